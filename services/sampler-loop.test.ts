import { expect, it } from 'vitest';
import { float32 } from '../tensor/array.ts';
import type { NdArray } from '../tensor/array.ts';
import { sampled } from './sampler-loop.ts';
import type { CompiledSamplingStep } from './sampler-loop.ts';

const row = (t: number) => ({ t, a: 0, s: 0, cX: 2, cD: 0, cP: 0 });
const first = ({ data }: NdArray) => data[0]!;

/** x' = cX·x + previous x̂0 + added; x̂0' = x. */
const step: CompiledSamplingStep<{ readonly added: number }> = {
  run: ({ x, previousX0, cX, added }) =>
    Promise.resolve({ x: float32([1], [first(cX) * first(x) + first(previousX0) + added]), x0: x }),
};

it('passes x and x̂0 on, with the row and the inputs of each step', async () => {
  const seen: [number, number][] = [];
  const x = await sampled(step, float32([1], [1]), [row(0.5), row(0.25), row(0.125)], ({ t }, i) => {
    seen.push([t, i]);
    return { added: 10 * i };
  });
  // 2·1 + 0 + 0 = 2; 2·2 + 1 + 10 = 15; 2·15 + 2 + 20 = 52
  expect(first(x)).toBe(52);
  expect(seen).toEqual([[0.5, 0], [0.25, 1], [0.125, 2]]); // prettier-ignore
});

it('ends where the inputs are refused', async () => {
  const cancelled = sampled(step, float32([1], [1]), [row(1), row(0.5)], (_, i) => {
    if (i === 1) throw new Error('cancelled');
    return { added: 0 };
  });
  await expect(cancelled).rejects.toThrow('cancelled');
});
