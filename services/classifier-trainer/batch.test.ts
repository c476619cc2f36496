import { expect, it } from 'vitest';
import { keyFromSeed } from '../../tensor/random.ts';
import { BatchMaker, type BatchOptions } from './batch.ts';

/** Two real images of class 0 and 1, a synthetic one with a soft label; one pixel each. */
const options: BatchOptions = {
  parts: [
    { images: Uint8Array.of(0, 255), labels: Int32Array.of(0, 1), soft: null, weight: 1 },
    { images: Uint8Array.of(51), labels: Int32Array.of(1), soft: Float32Array.of(0.25, 0.75), weight: 0.5 },
  ],
  shape: { height: 1, width: 1, channels: 1 },
  classes: 2,
  batchSize: 4,
  augmentation: null,
  noiseAware: false,
  adjustment: [0, 0],
  classWeights: [0.5, 1.5],
  mixing: null,
  partners: null,
  relabel: null,
  key: keyFromSeed(1),
};
const order = Int32Array.of(2, 0, 1);

it('rows are labels, weights and a mask; a soft label has the mean weight of its classes', async () => {
  const batch = await new BatchMaker(options).make(order, 0);
  expect([...batch.labels.data]).toEqual([0.25, 0.75, 1, 0, 0, 1, 0, 0]);
  expect([...batch.mask.data]).toEqual([1, 1, 1, 0]);
  // 0.5 · (0.25 · 0.5 + 0.75 · 1.5) = 0.625
  expect([...batch.weights.data]).toEqual([0.625, 0.5, 1.5, 0]);
  expect([...batch.images.data]).toEqual([Math.fround(51 / 127.5 - 1), -1, 1, 0]);
});

it('real images are relabelled after augmentation, synthetic ones are not', async () => {
  const label = (images: Uint8Array) =>
    Promise.resolve(
      Float32Array.from(images, (byte) => byte / 255).reduce<Float32Array>(
        (rows, p, i) => {
          rows.set([p, 1 - p], 2 * i);
          return rows;
        },
        new Float32Array(2 * images.length),
      ),
    );
  const batch = await new BatchMaker({ ...options, relabel: { count: 2, label } }).make(order, 0);
  expect([...batch.labels.data]).toEqual([0.25, 0.75, 0, 1, 1, 0, 0, 0]);
});

it('balanced mixing takes the partners of the places', async () => {
  const mixing = { kind: 'balanced', alpha: 1e9 } as const; // a share of 1: the partner alone
  const batch = await new BatchMaker({ ...options, mixing, partners: Int32Array.of(0, 0, 0) }).make(order, 0);
  expect(batch.images.data[0]).toBeCloseTo(-1, 5);
  expect(batch.labels.data[0]).toBeCloseTo(1, 5);
});
