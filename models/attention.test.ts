import { expect, it } from 'vitest';
import { drawn } from './testing/drawn.ts';
import { attend } from './attention.ts';
import tf from '../tensor/tf.ts';
import type { Tensor3D } from '../tensor/tf.ts';

await tf.setBackend('cpu');

const SHAPE: [number, number, number] = [5, 4, 7]; // heads, features, positions
const [q, k, v] = [1, 2, 3].map((stream) => tf.tensor3d(drawn(stream, SHAPE).data, SHAPE)) as [
  ...[Tensor3D, Tensor3D, Tensor3D],
];

it('mixes values by the softmax of query · key, position by position', () => {
  const [queries, keys, values] = [q, k, v].map((x) => x.arraySync());
  const mixed = attend(q, k, v, 0.5).arraySync();
  for (let head = 0; head < 5; head++)
    for (let at = 0; at < 7; at++) {
      const dot = (other: number) =>
        queries![head]!.reduce((sum, row, d) => sum + row[at]! * keys![head]![d]![other]!, 0);
      const powers = Array.from({ length: 7 }, (_, other) => Math.exp(0.5 * dot(other)));
      const total = powers.reduce((sum, power) => sum + power, 0);
      for (let d = 0; d < 4; d++) {
        const expected = powers.reduce((sum, power, i) => sum + (power / total) * values![head]![d]![i]!, 0);
        expect(mixed[head]![d]![at]).toBeCloseTo(expected, 6);
      }
    }
});

// 2 heads at once with one left over; one head; parts of 2 queries with one left over; one query; less than one.
it.each([98, 49, 14, 7, 1])('is the same with at most %i weights in memory', async (most) => {
  const { kernels, result } = await tf.profile(() => attend(q, k, v, 0.5, most));
  const difference = tf.sub(result as Tensor3D, attend(q, k, v, 0.5));
  expect(tf.max(tf.abs(difference)).dataSync()[0]).toBeLessThan(1e-7);
  const matrices = kernels
    .filter(({ name }) => name === 'Softmax')
    .map(({ outputShapes }) => outputShapes[0]!);
  const sizes = matrices.map((shape) => shape.reduce((product, extent) => product * extent, 1));
  expect(Math.max(...sizes)).toBe(Math.max(most, 7));
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(5 * 7 * 7);
});
