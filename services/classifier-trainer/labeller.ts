/**
 * An independent labeller: one or more classifiers of the run's own network, trained on the real images alone with
 * other randomness and class-balanced over-sampling, then frozen. It provides soft labels, and never guides synthesis.
 * It is trained once, before the run's first step, and is part of every checkpoint.
 */
import { trainingConfigSchema } from '../../config/training-config.ts';
import type { TrainingConfig } from '../../config/training-config.ts';
import type { Dataset } from '../../data/dataset.ts';
import type { Images } from '../../data/images.ts';
import { softmaxRows } from '../../models/metrics.ts';
import { decodeModelFile } from '../../models/model-file.ts';
import type { ClassifierModel, LoadedModel } from '../../models/model-file.ts';
import { decodeSafetensors, encodeSafetensors } from '../../tensor/safetensors.ts';
import { Predictor } from './predictor.ts';
import type { EngineChoice } from './predictor.ts';
import { ClassifierTraining } from './training.ts';
import type { TrainerConfig } from './training.ts';

const NO_IMAGES = { images: new Uint8Array(), labels: new Int32Array(), soft: null };

interface Member {
  readonly bytes: Uint8Array;
  readonly model: LoadedModel<ClassifierModel>;
  readonly predictor: Predictor;
}

export class Labeller {
  readonly #members: readonly Member[];
  readonly #classes: number;

  private constructor(files: readonly Uint8Array[], choice: EngineChoice) {
    this.#members = files.map((bytes) => {
      const model = decodeModelFile(bytes, 'classifier', 'the labeller');
      return { bytes, model, predictor: new Predictor(model.model, choice) };
    });
    this.#classes = this.#members[0]!.model.model.classes.length;
  }

  /** Trains every member, one after the other. `onStep` hears the steps of all that are done, and may throw to cancel. */
  static async train(
    config: TrainerConfig,
    dataset: Dataset,
    onStep: (done: number) => void,
  ): Promise<Labeller> {
    const { members, steps } = config.training.labeller;
    const files: Uint8Array[] = [];
    for (let member = 0; member < members; member++) {
      const stream = `labeller-${member}`;
      const own = {
        ...config,
        method: 'oversample',
        training: plainTraining(config.training, steps),
        stream,
      };
      const training = await ClassifierTraining.create(own, dataset);
      await training.trainEpoch(1, NO_IMAGES, (step) => onStep(member * steps + step));
      files.push(training.exportModel().bytes);
    }
    return new Labeller(files, config);
  }

  /** Decodes `encode`'s file. Throws UserError naming `source` for another file. */
  static decode(bytes: Uint8Array, source: string, choice: EngineChoice): Labeller {
    const { arrays } = decodeSafetensors(bytes, source);
    const files = Object.keys(arrays)
      .sort()
      .map((name) => arrays[name]!.data as Uint8Array);
    return new Labeller(files, choice);
  }

  encode(): Uint8Array {
    const arrays = this.#members.map(({ bytes }, i) => [
      String(i).padStart(3, '0'),
      { dtype: 'uint8', shape: [bytes.length], data: bytes },
    ]);
    return encodeSafetensors(Object.fromEntries(arrays) as Parameters<typeof encodeSafetensors>[0]);
  }

  /** Mean of the members' probabilities, [n, k], for images [n, h, w, c]. */
  async label(images: Images): Promise<Float32Array> {
    const sums: Float64Array[] = [];
    for (const { model, predictor } of this.#members) {
      const values = await predictor.logits(model.params, images);
      sums.push(Float64Array.from(softmaxRows({ values, columns: this.#classes }).values));
    }
    return Float32Array.from(sums[0]!, (_, i) => sums.reduce((sum, one) => sum + one[i]!, 0) / sums.length);
  }
}

/** The run's optimiser and augmentation, without its special treatments. */
function plainTraining(training: TrainingConfig, steps: number): TrainingConfig {
  const { batchSize, optimizer, learningRate, momentum, weightDecay, schedule, clipNorm } = training;
  const { augmentation, cropScale, verticalFlip, colorJitter, randAugment } = training;
  return trainingConfigSchema.parse({
    ...{ batchSize, optimizer, learningRate, momentum, weightDecay, schedule, clipNorm },
    ...{ augmentation, cropScale, verticalFlip, colorJitter, randAugment },
    ...{ epochs: 1, steps },
  });
}
