/** Parts of the cases of compute-cases.ts: what a case is, how its numbers are drawn, and how a compiled step is run. */
import type { DeviceName } from '../common/engine-names.ts';
import type { TrainingState } from '../models/training-step.ts';
import { float32, sizeOf, zeros } from '../tensor/array.ts';
import type { ArrayMap, NdArray } from '../tensor/array.ts';
import { freeTree } from '../tensor/device-arrays.ts';
import { foldIn, keyFromSeed, normal } from '../tensor/random.ts';

/** One case. */
export interface ComputeCase {
  readonly name: string;
  /** The unit of `perSecond`: images or steps. */
  readonly unit: string;
  /** Units of one run. */
  readonly units: number;
  /** The peer's description of the same network. */
  readonly settings: object;
  /** Weights and inputs, for the peer. */
  readonly tensors: ArrayMap;
  /** Compiles the case, for one core of the CPU by default; `run` returns the same values as the peer's `check`. */
  prepare(device?: DeviceName): Promise<PreparedCase>;
}

export interface PreparedCase {
  readonly flops: number;
  /** Runs of the compiled graph in one `run`. */
  readonly steps: number;
  readonly compileSeconds: number;
  run(): Promise<Record<string, NdArray>>;
  dispose(): Promise<void>;
}

export const key = foldIn(keyFromSeed(0), 'bench');

export function drawn(stream: string, shape: readonly number[], scale = 1): NdArray {
  const values = normal(foldIn(key, stream), sizeOf(shape));
  return { dtype: 'float32', shape, data: values.map((value) => value * scale) };
}

/** Gives every parameter a value, because zero-initialised layers would hide errors. */
export function filled(params: ArrayMap): ArrayMap {
  return Object.fromEntries(
    Object.entries(params).map(([name, array]) => [
      name,
      array.data.every((value) => value === 0) ? drawn(name, array.shape, 0.05) : array,
    ]),
  );
}

export function oneHot(rows: number, classes: number): NdArray {
  const labels = zeros([rows, classes]);
  for (let i = 0; i < rows; i++) labels.data[i * classes + (i % classes)] = 1;
  return labels;
}

export function prefixed(prefix: string, arrays: ArrayMap): ArrayMap {
  return Object.fromEntries(Object.entries(arrays).map(([name, array]) => [`${prefix}/${name}`, array]));
}

export interface Compiled {
  readonly flops: number | null;
  readonly compileSeconds: number;
  dispose(): Promise<void>;
}

export function prepared(compiled: Compiled, run: PreparedCase['run']): PreparedCase {
  const { flops, compileSeconds } = compiled;
  return { flops: flops ?? 0, steps: 1, compileSeconds, run, dispose: () => compiled.dispose() };
}

/** Runs a training step repeatedly on its own results. */
export function training(
  compiled: Compiled & {
    run(
      state: TrainingState<NdArray>,
    ): Promise<TrainingState<NdArray> & { loss: NdArray; gradientNorm: NdArray }>;
  },
  initial: TrainingState<NdArray>,
): PreparedCase {
  let state = initial;
  return prepared(compiled, async () => {
    const { loss, gradientNorm, ...next } = await compiled.run(state);
    freeTree(state);
    state = next;
    return { loss: float32([1], loss.data), gradientNorm: float32([1], gradientNorm.data) };
  });
}
