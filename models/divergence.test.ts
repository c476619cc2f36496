import { describe, expect, it } from 'vitest';
import { float32 } from '../tensor/array.ts';
import tf from '../tensor/tf.ts';
import type { Tensor } from '../tensor/tf.ts';
import { brokenState, explainDivergence, notFinite } from './divergence.ts';

const scalar = (value: number) => float32([], [value]);
const choice = { engine: 'onnxruntime', threads: 1 };

function stateOf(params: Readonly<Record<string, number>>, mean: Readonly<Record<string, number>> = {}) {
  const arrays = (values: Readonly<Record<string, number>>) =>
    Object.fromEntries(Object.entries(values).map(([name, value]) => [name, scalar(value)]));
  return { params: arrays(params), buffers: {}, average: arrays(params), optimizer: { mean: arrays(mean) } };
}

/** Σ x·√θ: the gradient x/(2·√θ) is infinite at θ = 0, where the loss is finite. */
function gradientsOf({ params, batch }: { params: Readonly<Record<string, Tensor>>; batch: { x: Tensor } }) {
  const names = Object.keys(params);
  const { value, grads } = tf.valueAndGrads((...thetas: Tensor[]) =>
    tf.mul(batch.x, tf.addN(thetas.map((theta) => tf.sqrt(theta)))).asScalar(),
  )(Object.values(params));
  return { loss: value, gradients: Object.fromEntries(names.map((name, i) => [name, grads[i]!])) };
}

describe('explainDivergence', () => {
  const explain = (
    params: Readonly<Record<string, number>>,
    x = 1,
    mean?: Readonly<Record<string, number>>,
  ) => explainDivergence(gradientsOf, { state: stateOf(params, mean), batch: { x: scalar(x) } }, choice);

  it('names the first gradient that is not finite', async () => {
    expect(await explain({ stem: 1, body: 0, head: 1 })).toBe("the gradient of 'body' is not finite");
    expect(await explain({ stem: 0, body: 1, head: 0 })).toBe(
      "the gradient of 'stem' is not finite (and 1 more of 3)",
    );
  });

  it('names a parameter, optimiser memory or an input before gradients, which follow from them', async () => {
    expect(await explain({ stem: 1, head: Infinity })).toBe("the parameter 'head' is not finite");
    expect(await explain({ stem: 0 }, 1, { stem: NaN })).toBe("the optimiser's mean of 'stem' is not finite");
    expect(await explain({ stem: 0 }, NaN)).toBe("the input 'x' is not finite");
  });

  it('reports an infinite norm of finite values', async () => {
    expect(await explain({ stem: 1 }, 1e30)).toContain('the sum of their squares is not');
  });
});

it('finds nothing in a state that is well', () => {
  expect(brokenState(stateOf({ stem: 1 }, { stem: -3e38 }))).toBeNull();
  expect(notFinite({ a: scalar(1), b: float32([2], [1, -Infinity]), c: scalar(NaN) })).toEqual(['b', 'c']);
});
