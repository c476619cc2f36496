// Training with a learning rate that is far too large, for both networks that are trained.
import { describe, expect, it } from 'vitest';
import { classifierConfigSchema } from '../config/classifier-config.ts';
import { trainingConfigSchema } from '../config/training-config.ts';
import type { Dataset } from '../data/dataset.ts';
import { ClassifierTraining } from './classifier-trainer/training.ts';
import { priorConfigSchema } from './prior-trainer/config.ts';
import { PriorTraining } from './prior-trainer/training.ts';
import { bytesOf } from '../data/images.ts';

const COUNT = 16;
const dataset: Dataset = {
  name: 'noise',
  classes: ['a', 'b'],
  height: 8,
  width: 8,
  channels: 1,
  train: {
    images: Uint8Array.from({ length: COUNT * 64 }, (_, i) => (i * 89) % 256),
    labels: Int32Array.from({ length: COUNT }, (_, i) => i % 2),
    ids: Array.from({ length: COUNT }, (_, i) => String(i)),
    groups: null,
  },
  validation: null,
  test: null,
  development: null,
  archive: null,
  digest: '',
  skipped: [],
  freshCount: 0,
  warnings: [],
};
const NO_IMAGES = { images: new Uint8Array(), labels: new Int32Array(), soft: null };

function classifier(learningRate: number): Promise<ClassifierTraining> {
  const config = {
    method: 'erm',
    classifier: classifierConfigSchema.parse({ widths: [8], groups: 4 }),
    training: trainingConfigSchema.parse({ learningRate, batchSize: 4, schedule: 'constant' }),
    ...{
      seed: 1,
      threads: 1,
      engine: 'onnxruntime' as const,
      device: 'cpu' as const,
      synthesis: { budget: 0 },
    },
    data: { tailBelow: 200 },
  };
  return ClassifierTraining.create(config, dataset);
}

function prior(learningRate: number): Promise<PriorTraining> {
  const denoiser = { widths: [8, 8], groups: 4 };
  const config = { data: { source: 'none' }, denoiser, learningRate, batchSize: 4, warmupSteps: 0 };
  const images = bytesOf(dataset.train.images);
  return PriorTraining.create(priorConfigSchema.parse(config), {
    ...dataset,
    images,
    count: COUNT,
    labels: dataset.train.labels,
    origin: null,
  });
}

describe('a classifier whose training diverges', () => {
  it('stops with the step and the first gradient that is not finite', async () => {
    const training = await classifier(1e30);
    await expect(training.trainEpoch(1, NO_IMAGES, () => undefined)).rejects.toThrow(
      /^training diverged at step 2: the loss is NaN, .* the gradient of 'stem\.conv\.weight' is not finite \(and \d+ more of \d+\); choose a smaller training\.learningRate than 1e\+30/,
    );
    expect(training.step).toBe(1);
  });

  it('names the parameter that the step before has broken, and makes no checkpoint of it', async () => {
    const training = await classifier(1e39);
    const stopped = training.trainEpoch(1, NO_IMAGES, (step) => {
      expect(step).toBe(1);
      expect(() => training.checkpoint()).toThrow(
        /diverged at step 1: the parameter 'stem\.conv\.weight' is not finite/,
      );
    });
    await expect(stopped).rejects.toThrow(/at step 2: .* the parameter 'stem\.conv\.weight' is not finite/);
  });
});

describe('a prior whose training diverges', () => {
  it('stops with the step and the first gradient that is not finite', async () => {
    const training = await prior(1e30);
    await training.advance();
    await expect(training.advance()).rejects.toThrow(
      /^training diverged at step 2: the loss is NaN, .* the gradient of 'time\.0\.weight' is not finite .*; choose a smaller learningRate than 1e\+30/,
    );
    expect(training.step).toBe(1);
  });

  it('names the parameter that the step before has broken, and makes no checkpoint of it', async () => {
    const training = await prior(1e39);
    await training.advance();
    expect(() => training.checkpoint()).toThrow(/diverged at step 1: the parameter '\S+' is not finite/);
    await expect(training.advance()).rejects.toThrow(/at step 2: .* the parameter '\S+' is not finite/);
  });
});
