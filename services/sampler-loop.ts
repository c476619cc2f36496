/**
 * The loop of a sampler over its compiled step: x and x̂0 stay on the device between steps; x comes back after the last.
 */
import type { SamplerStep } from '../models/sampler.ts';
import { float32, zeros } from '../tensor/array.ts';
import type { NdArray } from '../tensor/array.ts';
import { fetchTree, freeTree } from '../tensor/device-arrays.ts';

type Row = ReturnType<typeof scalarsOf>;

/** A step of models/guided-step.ts, compiled with `keep: SAMPLER_STATE`. */
export interface CompiledSamplingStep<More> {
  run(
    inputs: Row & More & { readonly x: NdArray; readonly previousX0: NdArray },
  ): Promise<{ readonly x: NdArray; readonly x0: NdArray }>;
}

/** Results of a step that the next one takes. */
export const SAMPLER_STATE = ['x', 'x0'] as const;

/**
 * x after every row of the sampler's table, from `start` [n, c, h, w]. `inputsOf` gives what a step takes beside the row;
 * it may throw to cancel.
 */
export async function sampled<More>(
  step: CompiledSamplingStep<More>,
  start: NdArray,
  rows: readonly SamplerStep[],
  inputsOf: (row: SamplerStep, index: number) => More,
): Promise<NdArray> {
  let now = { x: start, x0: zeros(start.shape) };
  try {
    for (const [i, row] of rows.entries()) {
      const inputs = { x: now.x, previousX0: now.x0, ...scalarsOf(row), ...inputsOf(row, i) };
      const next = await step.run(inputs);
      freeTree(now);
      now = next;
    }
  } catch (thrown) {
    freeTree(now);
    throw thrown;
  }
  freeTree({ x0: now.x0 }); // nobody reads it
  return (await fetchTree({ x: now.x })).x;
}

/** A row of the sampler's table as the scalar inputs of a step. */
export function scalarsOf({ t, a, s, cX, cD, cP }: SamplerStep) {
  const scalar = (value: number): NdArray => float32([], [value]);
  return { t: scalar(t), a: scalar(a), s: scalar(s), cX: scalar(cX), cD: scalar(cD), cP: scalar(cP) };
}
