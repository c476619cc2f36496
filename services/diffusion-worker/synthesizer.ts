/**
 * Generates the images of a shard: noise or noised anchors in, sampler steps with guidance, bytes out. Runs in the
 * compute thread. An image depends only on its item, the run's seed and the named objects, never on its neighbours:
 * every graph runs at the full shard size, padded.
 */
import type { SynthesisConfig } from '../../config/synthesis-config.ts';
import type { DeviceName } from '../../common/engine-names.ts';
import { UserError } from '../../common/errors.ts';
import { augment } from '../../data/augment.ts';
import { preprocess, toBytes } from '../../data/preprocess.ts';
import { decodeAnchors } from '../../models/anchors-file.ts';
import { guidanceStrength } from '../../models/guidance.ts';
import { guidedStep } from '../../models/guided-step.ts';
import { classShifts } from '../../models/lda.ts';
import { decodeModelFile } from '../../models/model-file.ts';
import type { ClassifierModel, DenoiserModel, LoadedModel, PriorHeadModel } from '../../models/model-file.ts';
import { isEqualShape, resizedValues } from '../../models/resize.ts';
import { samplerSteps } from '../../models/sampler.ts';
import type { NoiseLevel } from '../../models/schedule.ts';
import { float32, zeros } from '../../tensor/array.ts';
import type { NdArray } from '../../tensor/array.ts';
import { compile } from '../../tensor/compile.ts';
import { foldIn, keyFromSeed, normal } from '../../tensor/random.ts';
import { sampled, SAMPLER_STATE } from '../sampler-loop.ts';
import type { CompiledSamplingStep } from '../sampler-loop.ts';
import { isReleased, samplingLevels } from './sampling-levels.ts';

export interface ShardItem {
  readonly imageId: number;
  readonly classIndex: number;
  /** −1 starts from noise. */
  readonly anchorIndex: number;
}

export interface ShardJob {
  readonly runSeed: number;
  readonly items: readonly ShardItem[];
  readonly synthesis: SynthesisConfig;
  readonly engine: string;
  readonly device: DeviceName;
  readonly threads: number;
  /** Digests of loaded objects. */
  readonly prior: string;
  readonly anchors: string | null;
  readonly weights: string;
}

/** Inputs of a guided step beside the sampler's state and row. */
interface GuidanceInputs {
  readonly labelsOneHot: NdArray;
  readonly weight: NdArray;
  readonly shift?: NdArray;
  readonly copyNoise?: NdArray;
}

/** Shifts of every class (models/lda.ts) at each level that a sampler visits: [classes, c, h, w] each. */
interface LevelShifts {
  readonly name: string;
  readonly levels: readonly Float32Array[];
}

interface CompiledStep extends CompiledSamplingStep<GuidanceInputs> {
  readonly name: string;
  dispose(): Promise<void>;
}

/**
 * Maximum number of kept objects, most recently used: a shard needs the prior, the anchors and one version of the
 * weights.
 */
const OBJECTS_KEPT = 4;

/** The inputs of a guided step on a shard: the sampler's state and row, and what guides. */
function guidedSignature(
  { shardSize, guidance }: SynthesisConfig,
  { image }: DenoiserModel,
  classes: number,
) {
  const { height, width, channels } = image;
  const float = <const Shape extends readonly number[]>(shape: Shape) =>
    ({ shape, dtype: 'float32' }) as const;
  const state = float([shardSize, channels, height, width]);
  const scalar = float([]);
  const copied = float([guidance.copies * shardSize, channels, height, width]);
  return {
    ...{ x: state, previousX0: state },
    ...{ labelsOneHot: float([shardSize, classes]), weight: scalar },
    ...{ t: scalar, a: scalar, s: scalar, cX: scalar, cD: scalar, cP: scalar },
    ...(guidance.lda === 0 ? {} : { shift: state }),
    ...(guidance.copies === 0 ? {} : { copyNoise: copied }),
  };
}

export class Synthesizer {
  readonly #objects = new Map<string, Uint8Array>();
  #step: CompiledStep | undefined;
  #shifts: LevelShifts | undefined;

  /** Whether the object is held, so that the caller sends each only once. Asking counts as use. */
  holds(digest: string): boolean {
    const bytes = this.#objects.get(digest);
    if (bytes === undefined) return false;
    this.#objects.delete(digest);
    this.#objects.set(digest, bytes);
    return true;
  }

  load(digest: string, bytes: Uint8Array): void {
    this.#objects.delete(digest);
    this.#objects.set(digest, bytes);
    for (const oldest of this.#objects.keys()) {
      if (this.#objects.size <= OBJECTS_KEPT) break;
      this.#objects.delete(oldest);
    }
  }

  /**
   * The shard's images [n, h, w, c], at the data's size. `onStep` is called between sampler steps and may throw to
   * cancel.
   */
  async synthesize(job: ShardJob, onStep: () => void): Promise<{ images: Uint8Array; shape: number[] }> {
    const prior = decodeModelFile(this.#object(job.prior), 'denoiser', 'the prior');
    const classifier = this.#guide(job, prior.model);
    const step = await this.#compiled(job, prior, classifier);
    const { height, width, channels } = prior.model.image;
    const levels = samplingLevels(job.synthesis, prior.model.network);
    const labelsOneHot = this.#labels(job, classifier.model.classes.length);
    const start = this.#start(job, prior.model, levels[0]!);
    const shifts = this.#classShifts(job, prior.model, levels);
    const x = await sampled(step, start, samplerSteps(job.synthesis.sampler, levels), (row, i) => {
      onStep();
      const weight = float32([], [guidanceStrength(job.synthesis.guidance, row.t)]);
      return {
        ...{ labelsOneHot, weight },
        ...(shifts === null ? {} : { shift: shiftOfItems(job, shifts[i]!, start.shape) }),
        ...(job.synthesis.guidance.copies === 0 ? {} : { copyNoise: copyNoise(job, i, start.shape) }),
      };
    });
    const count = job.items.length;
    const values = (x.data as Float32Array).subarray(0, count * height * width * channels);
    const wanted = classifier.model.kind === 'prior-head' ? classifier.model.wanted : classifier.model.image;
    const images = resizedValues(values, count, prior.model.image, wanted);
    return {
      images: toBytes(images, count, wanted.height, wanted.width, wanted.channels),
      shape: [count, wanted.height, wanted.width, wanted.channels],
    };
  }

  /** The guide: the classifier, or the head on the features of the same prior. */
  #guide(job: ShardJob, prior: DenoiserModel): LoadedModel<GuideModel> {
    const kind = job.synthesis.guidance.rule === 'prior-features' ? 'prior-head' : 'classifier';
    const guide = decodeModelFile(this.#object(job.weights), kind, 'the weights that guide');
    requireFit(prior, guide.model);
    return guide;
  }

  #object(digest: string): Uint8Array {
    const bytes = this.#objects.get(digest);
    if (bytes === undefined) throw new Error(`object ${digest} was not loaded`);
    return bytes;
  }

  /**
   * The step for this prior and these weights. Both are built into the graph: its convolutions then run a third faster
   * than with weights as inputs, for a tenth of a second of compilation per epoch.
   */
  async #compiled(
    job: ShardJob,
    prior: LoadedModel<DenoiserModel>,
    { model, params }: LoadedModel<GuideModel>,
  ): Promise<CompiledStep> {
    const { synthesis, engine, device, threads } = job;
    const name = JSON.stringify([job.prior, job.weights, synthesis, engine, device, threads]);
    if (this.#step?.name === name) return this.#step;
    await this.#step?.dispose();
    const network = { network: prior.model.network, prediction: prior.model.prediction };
    const { rule, softening, direction, lowPass } = synthesis.guidance;
    const guidance = { rule, softening, direction, lowPass, clip: !isReleased(synthesis) };
    const executable = await compile(
      guidedStep(
        network,
        model.kind === 'classifier' ? model.network : null,
        guidance,
        isEqualShape(prior.model.image, model.image) ? undefined : model.image,
      ),
      guidedSignature(synthesis, prior.model, model.classes.length),
      {
        ...{ engine, device, threads, keep: SAMPLER_STATE },
        constants: { prior: prior.params, classifier: params },
      },
    );
    this.#step = { name, run: (inputs) => executable.run(inputs), dispose: () => executable.dispose() };
    return this.#step;
  }

  #labels({ items, synthesis }: ShardJob, classes: number): NdArray {
    const labels = zeros([synthesis.shardSize, classes]);
    items.forEach(({ classIndex, imageId }, i) => {
      if (classIndex < 0 || classIndex >= classes)
        throw new UserError(
          `image ${imageId}: class ${classIndex} is none of the classifier's ${classes} classes`,
        );
      labels.data[i * classes + classIndex] = 1;
    });
    return labels;
  }

  /** x at the first level: a·anchor + s·noise; padding rows are zeros. */
  #start(job: ShardJob, { image }: DenoiserModel, { a, s }: NoiseLevel): NdArray {
    const { height, width, channels } = image;
    const size = height * width * channels;
    const anchors = job.anchors === null ? null : decodeAnchors(this.#object(job.anchors), image).images;
    const x = zeros([job.synthesis.shardSize, channels, height, width]);
    const key = keyFromSeed(job.runSeed);
    job.items.forEach(({ imageId, anchorIndex }, i) => {
      const noise = normal(foldIn(key, 'noise', imageId), size);
      const scale = anchorIndex < 0 ? 1 : s; // from pure noise the first level is noise, whatever its a
      for (let k = 0; k < size; k++) x.data[i * size + k] = scale * noise[k]!;
      if (anchorIndex < 0) return;
      if (anchors === null)
        throw new UserError(`image ${imageId}: has an anchor, but the shard names no anchors`);
      if ((anchorIndex + 1) * size > anchors.length)
        throw new UserError(
          `image ${imageId}: anchor ${anchorIndex} is beyond the ${anchors.length / size} anchors`,
        );
      const source = anchors.subarray(anchorIndex * size, (anchorIndex + 1) * size);
      const varied = augment(source, height, width, channels, foldIn(key, 'anchor-augment', imageId));
      const values = preprocess(varied, 1, height, width, channels);
      for (let k = 0; k < size; k++) x.data[i * size + k]! += a * values[k]!;
    });
    return x;
  }

  /** Null without class statistics. Computed once for each kind of shard. */
  #classShifts(
    job: ShardJob,
    { image }: DenoiserModel,
    levels: readonly NoiseLevel[],
  ): readonly Float32Array[] | null {
    const { lda } = job.synthesis.guidance;
    if (lda === 0) return null;
    const name = JSON.stringify([job.anchors, lda, levels]);
    if (this.#shifts?.name !== name) {
      const { statistics } = job.anchors === null ? {} : decodeAnchors(this.#object(job.anchors), image);
      if (!statistics) throw new UserError('anchors: guidance.lda needs the class statistics in their file');
      this.#shifts = { name, levels: levels.slice(0, -1).map((one) => classShifts(statistics, one, lda)) };
    }
    return this.#shifts.levels;
  }
}

/** Each item's shift: [shardSize, c, h, w]; zeros for padding. */
function shiftOfItems({ items }: ShardJob, ofClasses: Float32Array, shape: readonly number[]): NdArray {
  const out = zeros(shape);
  const size = out.data.length / shape[0]!;
  items.forEach(({ classIndex }, i) =>
    (out.data as Float32Array).set(ofClasses.subarray(classIndex * size, (classIndex + 1) * size), i * size),
  );
  return out;
}

/** Noise added to each copy of each item at a step, keyed by image, step and copy: [copies·shardSize, c, h, w]. */
function copyNoise({ runSeed, items, synthesis }: ShardJob, step: number, shape: readonly number[]): NdArray {
  const { copies, copyNoise: deviation } = synthesis.guidance;
  const [rows, ...pixels] = shape;
  const out = zeros([copies * rows!, ...pixels]);
  const size = out.data.length / (copies * rows!);
  const key = foldIn(keyFromSeed(runSeed), 'copies');
  for (let copy = 0; copy < copies; copy++)
    items.forEach(({ imageId }, i) => {
      const noise = normal(foldIn(key, imageId, step, copy), size);
      const from = (copy * rows! + i) * size;
      for (let k = 0; k < size; k++) out.data[from + k] = deviation * noise[k]!;
    });
  return out;
}

type GuideModel = ClassifierModel | PriorHeadModel;

/** A head reads the features of one prior, which has one image size; a classifier receives resized images. */
function requireFit(prior: DenoiserModel, guide: GuideModel): void {
  if (guide.kind === 'classifier') return;
  if (JSON.stringify(guide.network) !== JSON.stringify(prior.network))
    throw new UserError(`the head that guides reads the features of another network than the prior's`);
  if (!isEqualShape(prior.image, guide.image))
    throw new UserError(`the head that guides was trained on images of another size than the prior's`);
}
