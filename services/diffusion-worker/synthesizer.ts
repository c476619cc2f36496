/**
 * Makes the images of a shard: noise or noised anchors in, sampler steps with guidance, bytes out. Runs in the compute
 * thread. An image depends on its item, the run's seed and the named objects alone, never on its neighbours: every
 * graph runs at the full shard size, padded.
 */
import type { SynthesisConfig } from '../../config/synthesis-config.ts';
import { UserError } from '../../common/errors.ts';
import { augment } from '../../data/augment.ts';
import { preprocess, toBytes } from '../../data/preprocess.ts';
import { guidanceStrength } from '../../models/guidance.ts';
import { guidedStep } from '../../models/guided-step.ts';
import { decodeModelFile } from '../../models/model-file.ts';
import type { ClassifierModel, DenoiserModel, LoadedModel } from '../../models/model-file.ts';
import { samplerSteps } from '../../models/sampler.ts';
import type { NoiseLevel } from '../../models/schedule.ts';
import { float32, zeros } from '../../tensor/array.ts';
import type { NdArray } from '../../tensor/array.ts';
import { compile } from '../../tensor/compile.ts';
import { foldIn, keyFromSeed, normal } from '../../tensor/random.ts';
import { decodeSafetensors } from '../../tensor/safetensors.ts';
import { scalarsOf } from '../prior-trainer/sample.ts';
import { isReleased, samplingLevels } from './config.ts';

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
  readonly threads: number;
  /** Digests of loaded objects. */
  readonly prior: string;
  readonly anchors: string | null;
  readonly weights: string;
}

type StepInputs = {
  readonly x: NdArray;
  readonly previousX0: NdArray;
  readonly labelsOneHot: NdArray;
  readonly weight: NdArray;
} & ReturnType<typeof scalarsOf>;

interface CompiledStep {
  readonly name: string;
  run(inputs: StepInputs): Promise<{ x: NdArray; x0: NdArray }>;
  dispose(): Promise<void>;
}

/** Objects kept, those used last: a shard needs the prior, the anchors and one version of the weights. */
const OBJECTS_KEPT = 4;

export class Synthesizer {
  readonly #objects = new Map<string, Uint8Array>();
  #step: CompiledStep | undefined;

  /** Whether the object is held, so that the caller sends each once. To ask is to use: it then outlives those not asked for. */
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
   * The shard's images [n, h, w, c]. `onStep` is called between sampler steps and may throw to cancel. Throws UserError
   * when prior and classifier do not fit each other.
   */
  async synthesize(job: ShardJob, onStep: () => void): Promise<{ images: Uint8Array; shape: number[] }> {
    const prior = decodeModelFile(this.#object(job.prior), 'denoiser', 'the prior');
    const classifier = decodeModelFile(this.#object(job.weights), 'classifier', 'the classifier weights');
    requireFit(prior.model, classifier.model);
    const step = await this.#compiled(job, prior, classifier);
    const { height, width, channels } = prior.model.image;
    const levels = samplingLevels(job.synthesis);
    const labelsOneHot = this.#labels(job, classifier.model.classes.length);
    let x = this.#start(job, prior.model, levels[0]!);
    let previousX0 = zeros(x.shape);
    for (const row of samplerSteps(job.synthesis.sampler, levels)) {
      onStep();
      const weight = float32([], [guidanceStrength(job.synthesis.guidance, row.t)]);
      const inputs = { x, previousX0, labelsOneHot, weight, ...scalarsOf(row) };
      ({ x, x0: previousX0 } = await step.run(inputs));
    }
    const count = job.items.length;
    const values = (x.data as Float32Array).subarray(0, count * height * width * channels);
    return {
      images: toBytes(values, count, height, width, channels),
      shape: [count, height, width, channels],
    };
  }

  #object(digest: string): Uint8Array {
    const bytes = this.#objects.get(digest);
    if (bytes === undefined) throw new Error(`object ${digest} was not loaded`);
    return bytes;
  }

  /**
   * The step for this prior and these weights. Both are built into the graph: its convolutions then run a third faster
   * than with weights as inputs, for a tenth of a second of compiling an epoch.
   */
  async #compiled(
    job: ShardJob,
    prior: LoadedModel<DenoiserModel>,
    { model, params }: LoadedModel<ClassifierModel>,
  ): Promise<CompiledStep> {
    const { synthesis, engine, threads } = job;
    const name = JSON.stringify([job.prior, job.weights, synthesis, engine, threads]);
    if (this.#step?.name === name) return this.#step;
    await this.#step?.dispose();
    const { height, width, channels } = prior.model.image;
    const image = { shape: [synthesis.shardSize, channels, height, width], dtype: 'float32' } as const;
    const scalar = { shape: [], dtype: 'float32' } as const;
    const labels = { shape: [synthesis.shardSize, model.classes.length], dtype: 'float32' } as const;
    const network = { unet: prior.model.network, prediction: prior.model.prediction };
    const { rule, softening, direction } = synthesis.guidance;
    const guidance = { rule, softening, direction, clip: !isReleased(synthesis) };
    const executable = await compile(
      guidedStep(network, model.network, guidance),
      {
        x: image,
        previousX0: image,
        labelsOneHot: labels,
        weight: scalar,
        ...{ t: scalar, a: scalar, s: scalar, cX: scalar, cD: scalar, cP: scalar },
      },
      { engine, threads, constants: { prior: prior.params, classifier: params } },
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
    const anchors = job.anchors === null ? null : this.#anchors(job.anchors, image);
    const x = zeros([job.synthesis.shardSize, channels, height, width]);
    const key = keyFromSeed(job.runSeed);
    job.items.forEach(({ imageId, anchorIndex }, i) => {
      const noise = normal(foldIn(key, 'noise', imageId), size);
      const scale = anchorIndex < 0 ? 1 : s; // from noise alone the first level is noise, whatever its a
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

  #anchors(digest: string, { height, width, channels }: DenoiserModel['image']): Uint8Array {
    const { images } = decodeSafetensors(this.#object(digest), 'the anchors').arrays;
    if (images === undefined || images.shape.slice(1).join() !== [height, width, channels].join())
      throw new UserError(
        `the anchors are ${images?.shape.slice(1).join('×') ?? 'missing'}, the prior makes ${height}×${width}×${channels} images`,
      );
    return images.data as Uint8Array;
  }
}

function requireFit(prior: DenoiserModel, classifier: ClassifierModel): void {
  const text = ({ height, width, channels }: DenoiserModel['image']) => `${height}×${width}×${channels}`;
  if (text(prior.image) !== text(classifier.image))
    throw new UserError(
      `the prior makes ${text(prior.image)} images, the classifier takes ${text(classifier.image)}: ` +
        `train a prior on the same data, or set data.imageSize and data.channels to the prior's`,
    );
}
