/**
 * `ballast judge train`: trains an independent classifier, only on real images, that decides whether a synthetic image
 * shows its intended class. Give it more (or balanced) data than the run trains on: a judge that learnt from the same
 * few tail images shares the guiding classifier's blind spots.
 */
import { z } from 'zod';
import { UserError } from '../../common/errors.ts';
import { writeFileAtomic } from '../../common/files.ts';
import { classifierConfigSchema } from '../../config/classifier-config.ts';
import { dataConfigSchema } from '../../config/data-config.ts';
import { deviceSchema, engineSchema } from '../../config/engine.ts';
import { trainingConfigSchema } from '../../config/training-config.ts';
import { loadDataset } from '../../data/dataset.ts';
import type { ClassificationMetrics } from '../../models/metrics.ts';
import { ClassifierTraining } from './training.ts';

export const judgeConfigSchema = z.strictObject({
  data: dataConfigSchema,
  classifier: classifierConfigSchema.prefault({}),
  training: trainingConfigSchema.prefault({}),
  /** Seed of all random numbers. */
  seed: z.int().min(0).default(0),
  /** Compute threads. They change low bits of results. */
  threads: z.int().min(1).default(1),
  engine: engineSchema,
  device: deviceSchema,
});
export type JudgeConfig = z.output<typeof judgeConfigSchema>;

export interface JudgeProgress {
  readonly step: number;
  readonly steps: number;
  readonly loss: number;
}

const NO_IMAGES = { images: new Uint8Array(), labels: new Int32Array(), soft: null };

/** Trains and writes the judge to `out`; returns its quality on the data's test images. Stops when `signal` aborts. */
export async function trainJudge(
  config: JudgeConfig,
  out: string,
  signal: AbortSignal,
  onProgress: (progress: JudgeProgress) => void,
): Promise<ClassificationMetrics> {
  const dataset = await loadDataset(config.data);
  if (dataset.test === null)
    throw new UserError(
      `${config.data.source}: has no test images; name some with --test, because a judge must be tested`,
    );
  const training = await ClassifierTraining.create(
    { ...config, method: 'erm', synthesis: { budget: 0 } },
    dataset,
  );
  const steps = training.totalSteps;
  for (let epoch = 1; epoch <= config.training.epochs; epoch++)
    await training.trainEpoch(epoch, NO_IMAGES, (_step, loss) => {
      signal.throwIfAborted();
      onProgress({ step: training.step, steps, loss });
    });
  const evaluated = await training.evaluate(dataset.test, () => signal.throwIfAborted());
  await writeFileAtomic(out, training.exportModel().bytes);
  return evaluated!.metrics;
}
