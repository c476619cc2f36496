// cRT: a whole network, then a newly drawn head on the frozen rest, in one run of equal steps.
import { expect, it } from 'vitest';
import { classifierConfigSchema } from '../../config/classifier-config.ts';
import { trainingConfigSchema } from '../../config/training-config.ts';
import type { Dataset } from '../../data/dataset.ts';
import type { ArrayMap } from '../../tensor/array.ts';
import { ClassifierTraining } from './training.ts';
import { stageSpans } from './training-stage.ts';

const [COUNT, SIDE] = [20, 8];
/** Sixteen images of the first class, four of the second, which are brighter. */
const labels = Int32Array.from({ length: COUNT }, (_, i) => (i < 16 ? 0 : 1));
const dataset: Dataset = {
  name: 'noise',
  classes: ['common', 'rare'],
  ...{ height: SIDE, width: SIDE, channels: 1 },
  train: {
    images: Uint8Array.from(
      { length: COUNT * SIDE * SIDE },
      (_, i) => ((i * 89) % 150) + (i < 16 * SIDE * SIDE ? 0 : 100),
    ),
    labels,
    ids: Array.from(labels, (_, i) => String(i)),
    groups: null,
  },
  ...{ validation: null, test: null, development: null, archive: null },
  ...{ digest: '', skipped: [], freshCount: 0, warnings: [] },
};
const NO_IMAGES = { images: new Uint8Array(), labels: new Int32Array(), soft: null };
const training = trainingConfigSchema.parse({ epochs: 4, batchSize: 5, headRetraining: 0.5 });

function open(): Promise<ClassifierTraining> {
  const config = {
    method: 'crt',
    classifier: classifierConfigSchema.parse({ widths: [8], groups: 4 }),
    training,
    ...{ seed: 1, threads: 1, engine: 'onnxruntime' as const, device: 'cpu' as const },
    ...{ synthesis: { budget: 0 }, data: { tailBelow: 10 } },
  };
  return ClassifierTraining.create(config, dataset);
}

async function trainOn(run: ClassifierTraining, epochs: readonly number[]): Promise<void> {
  for (const epoch of epochs) await run.trainEpoch(epoch, NO_IMAGES, () => undefined);
}

function changed(before: ArrayMap, after: ArrayMap): string[] {
  return Object.keys(before)
    .filter((name) => String(before[name]!.data) !== String(after[name]!.data))
    .sort();
}

it('trains all, then the head alone, from a new head, with classes drawn evenly', async () => {
  const run = await open();
  await trainOn(run, [1, 2]);
  const joint = run.params;
  await trainOn(run, [3]);
  expect(changed(joint, run.params)).toEqual(['head.bias', 'head.weight']);
  const head = (params: ArrayMap) => params['head.weight']!.data as Float32Array;
  expect(Math.max(...head(run.params).map((value, i) => Math.abs(value - head(joint)[i]!)))).toBeGreaterThan(
    0.1,
  ); // drawn again
  await trainOn(run, [4]);
  expect(run.step).toBe(16); // 4 epochs of 20 / 5 steps, as every method takes
});

it('has a learning-rate schedule for each stage', () => {
  expect(stageSpans(training, 16)).toEqual({ whole: { before: 0, steps: 8 }, head: { before: 8, steps: 8 } });
  expect(stageSpans({ ...training, headRetraining: null }, 16).whole).toEqual({ before: 0, steps: 16 });
});

it('goes on from a checkpoint of either stage, and from between them, to the same bits', async () => {
  const whole = await open();
  const checkpoints: Uint8Array[] = [];
  for (const epoch of [1, 2, 3, 4]) {
    checkpoints.push(whole.checkpoint());
    await trainOn(whole, [epoch]);
  }
  for (const done of [1, 2, 3]) {
    const later = await open();
    await later.restore(checkpoints[done]!, 'checkpoint');
    await trainOn(later, [1, 2, 3, 4].slice(done));
    expect(later.exportModel().digest).toBe(whole.exportModel().digest);
  }
});
