import { describe, expect, it } from 'vitest';
import { float32 } from './array.ts';
import type { ArrayMap } from './array.ts';
import { compile } from './compile.ts';
import {
  adamW,
  clipByGlobalNorm,
  cosineSchedule,
  movingAverage,
  sgd,
  stepSchedule,
  vectorsJoined,
  withWarmup,
} from './optimizer.ts';
import type { Optimizer, TensorMap } from './optimizer.ts';
import tf from './tf.ts';
import type { Scalar, Tensor } from './tf.ts';
import { specOf } from './tree.ts';

const LEARNING_RATES = [0.1, 0.05, 0.025];

/** Σ sin w + ¼ Σ w² + Σ b³ + Σ w₀·b: mixes both parameters, so that neither gradient is constant. */
function objective({ w, b }: TensorMap): Scalar {
  const first = tf.slice(w!, [0, 0], [1, 2]);
  return tf.addN([
    tf.sum(tf.sin(w!)),
    tf.mul(tf.sum(tf.square(w!)), 0.25),
    tf.sum(tf.mul(tf.square(b!), b!)),
    tf.sum(tf.mul(first, b!)),
  ]);
}

async function threeSteps(optimizer: Optimizer): Promise<ArrayMap> {
  let params: ArrayMap = { w: float32([2, 2], [1, -2, 0.5, 3]), b: float32([2], [0.1, -0.3]) };
  let state = optimizer.init(params);
  const scalarsAt = (step: number) =>
    Object.fromEntries(
      Object.entries(optimizer.scalars(step, LEARNING_RATES[step - 1]!)).map(([name, v]) => [
        name,
        float32([], [v]),
      ]),
    );
  const executable = await compile(
    ({ params, state, scalars }) => {
      const { grads } = tf.valueAndGrads((w: Tensor, b: Tensor) => objective({ w, b }))([
        params['w']!,
        params['b']!,
      ]);
      return optimizer.update(params, { w: grads[0]!, b: grads[1]! }, state, scalars);
    },
    specOf({ params, state, scalars: scalarsAt(1) }),
  );
  for (let step = 1; step <= LEARNING_RATES.length; step++)
    ({ params, state } = await executable.run({ params, state, scalars: scalarsAt(step) }));
  await executable.dispose();
  return params;
}

function expectNear(actual: ArrayLike<number>, expected: readonly number[]): void {
  expect(actual.length).toBe(expected.length);
  expected.forEach((value, i) => expect(Math.abs(actual[i]! - value), `element ${i}`).toBeLessThan(2e-6));
}

describe('optimisers take the steps of PyTorch 2.13 (float64; weight decay 0.01 on w alone)', () => {
  it('SGD with momentum 0.9', async () => {
    const { w, b } = await threeSteps(sgd({ momentum: 0.9, weightDecay: 0.01 }));
    expectNear(w!.data, [0.706111, -1.5947823, 0.2038015, 2.8602814]);
    expectNear(b!.data, [-0.1545049, 0.1567363]);
  });

  it('AdamW', async () => {
    const { w, b } = await threeSteps(adamW({ weightDecay: 0.01 }));
    expectNear(w!.data, [0.8235463, -1.8222755, 0.3242314, 2.8200452]);
    expectNear(b!.data, [-0.0744688, -0.124947]);
  });
});

describe('clipByGlobalNorm', () => {
  const clip = (limit: number) =>
    compile(
      ({ w, b }) => {
        const { gradients, norm } = clipByGlobalNorm({ w, b }, limit);
        return { w: gradients['w']!, b: gradients['b']!, norm };
      },
      { w: { shape: [2], dtype: 'float32' }, b: { shape: [1], dtype: 'float32' } },
    );
  const gradients = { w: float32([2], [3, 4]), b: float32([1], [12]) };

  it('scales all gradients together: ‖(3, 4, 12)‖ = 13', async () => {
    const { w, b, norm } = await (await clip(2.6)).run(gradients);
    expectNear([...w.data, ...b.data], [0.6, 0.8, 2.4]);
    expect(norm.data[0]).toBe(13);
  });

  it.each([14, Infinity])('leaves them alone below the limit %d', async (limit) => {
    const { w, b } = await (await clip(limit)).run(gradients);
    expectNear([...w.data, ...b.data], [3, 4, 12]);
  });
});

it('movingAverage: 0.9 · 2 + 0.1 · 1 = 1.9', async () => {
  const average = await compile(
    ({ old, now, decay }) => ({ a: movingAverage({ a: old }, { a: now }, decay)['a']! }),
    { old: { shape: [1], dtype: 'float32' }, now: { shape: [1], dtype: 'float32' }, decay: { shape: [], dtype: 'float32' } }, // prettier-ignore
  );
  const { a } = await average.run({
    old: float32([1], [2]),
    now: float32([1], [1]),
    decay: float32([], [0.9]),
  });
  expectNear(a.data, [1.9]);
});

describe('schedules, by hand', () => {
  it('cosine falls from 1 to 0 with the half at half time', () => {
    expect(cosineSchedule(1, 100)).toBe(1);
    expect(cosineSchedule(51, 100)).toBeCloseTo(0.5, 12);
    expect(cosineSchedule(100, 100)).toBeCloseTo(0.5 * (1 + Math.cos(0.99 * Math.PI)), 12);
  });

  it('step divides by ten after 30%, 60% and 90% of the steps', () => {
    const at = [1, 60, 61, 120, 121, 180, 181, 200].map((step) => stepSchedule(step, 200));
    expectNear(at, [1, 1, 0.1, 0.1, 0.01, 0.01, 0.001, 0.001]);
  });

  it('warm-up rises in equal steps', () => {
    const schedule = withWarmup(4, () => 1);
    expect([1, 2, 3, 4, 5].map((step) => schedule(step, 10))).toEqual([0.25, 0.5, 0.75, 1, 1]);
    expect(withWarmup(0, () => 1)(1, 10)).toBe(1);
  });
});

it('joins vectors into one, and splits them again', async () => {
  await tf.setBackend('cpu');
  const params = { a: tf.tensor1d([1, 2]), w: tf.tensor2d([[3]]), b: tf.tensor1d([4]) };
  const { join, split } = vectorsJoined(params);
  const joined = join({ a: tf.tensor1d([5, 6]), w: tf.tensor2d([[7]]), b: tf.tensor1d([8]) });
  expect(Object.values(joined).map((tensor) => Array.from(tensor.dataSync()))).toEqual([[7], [5, 6, 8]]);
  const doubled = Object.fromEntries(Object.entries(joined).map(([name, t]) => [name, tf.mul(t, 2)]));
  expect(Object.entries(split(doubled)).map(([name, t]) => [name, Array.from(t.dataSync())])).toEqual([
    ['w', [14]],
    ['a', [10, 12]],
    ['b', [16]],
  ]);
});
