/** Tests a kernel: compares its output and gradients on one engine with another's. */
import { expect } from 'vitest';
import type { DeviceName } from '../../common/engine-names.ts';
import { float32, sizeOf } from '../array.ts';
import type { NdArray } from '../array.ts';
import { compile } from '../compile.ts';
import { foldIn, keyFromSeed, normal } from '../random.ts';
import tf from '../tf.ts';
import type { Tensor } from '../tf.ts';

export interface Case {
  readonly fn: (x: Tensor, y: Tensor) => Tensor;
  readonly x: readonly number[];
  readonly y?: readonly number[];
  /** Maps standard normal inputs into the function's domain (by default unchanged). */
  readonly domain?: (value: number) => number;
  /** No gradient, as for comparisons. */
  readonly forwardOnly?: boolean;
}

export const positive = (value: number) => Math.abs(value) + 0.5;
export const awayFromZero = (value: number) => value + Math.sign(value) * 0.2;

export function draw(
  shape: readonly number[],
  stream: string,
  domain: Case['domain'] = (value) => value,
): NdArray {
  return float32(shape, normal(foldIn(keyFromSeed(1), stream), sizeOf(shape)).map(domain));
}

/** f and, unless forward only, the gradients of Σ f·cos(i) for both inputs. */
export function withGradients({ fn, forwardOnly }: Case) {
  return ({ x, y }: { x: Tensor; y: Tensor }): Record<string, Tensor> => {
    const output = fn(x, y);
    if (forwardOnly) return { output };
    const weights = tf.tensor(
      Array.from({ length: output.size }, (_, i) => Math.cos(i)),
      output.shape,
    );
    const objective = (a: Tensor, b: Tensor) => tf.sum(tf.add(tf.mul(fn(a, b), weights), 0)).asScalar();
    const used = (a: Tensor, b: Tensor) =>
      tf.add(objective(a, b), tf.mul(0, tf.add(tf.sum(a), tf.sum(b)))).asScalar();
    const [dx, dy] = tf.grads(used)([x, y]);
    return { output, objective: objective(x, y), dx: dx!, dy: dy! };
  };
}

export async function runOn(
  engine: string,
  example: Case,
  device?: DeviceName,
): Promise<Record<string, NdArray>> {
  const x = draw(example.x, 'x', example.domain);
  const y = draw(example.y ?? [1], 'y', example.domain);
  const signature = {
    x: { shape: x.shape, dtype: 'float32' },
    y: { shape: y.shape, dtype: 'float32' },
  } as const;
  const executable = await compile(withGradients(example), signature, { engine, device });
  const result = await executable.run({ x, y });
  await executable.dispose();
  return result;
}

export function expectClose(actual: NdArray, expected: NdArray, tolerance: number, what: string): void {
  expect(actual.shape, what).toEqual(expected.shape);
  for (let i = 0; i < expected.data.length; i++) {
    const [a, e] = [Number(actual.data[i]), Number(expected.data[i])];
    const close = Math.abs(a - e) <= tolerance * Math.max(1, Math.abs(e)); // false for NaN
    expect(close, `${what}[${i}]: ${a} against ${e}`).toBe(true);
  }
}
