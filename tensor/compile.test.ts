import { describe, expect, it } from 'vitest';
import { float32 } from './array.ts';
import { compile } from './compile.ts';
import tf from './tf.ts';

describe('compile', () => {
  it('runs gradients inside the graph', async () => {
    const step = await compile(
      ({ x, w }) => ({ gradient: tf.grad((v) => tf.sum(tf.square(tf.matMul(x, v))))(w) }),
      { x: { shape: [2, 3], dtype: 'float32' }, w: { shape: [3, 1], dtype: 'float32' } },
    );
    // d/dw |xw|² = 2 xᵀ x w, by hand for x = [[1,2,3],[0,1,0]], w = [1,0,1]ᵀ: xw = [4, 0]
    const { gradient } = await step.run({
      x: float32([2, 3], [1, 2, 3, 0, 1, 0]),
      w: float32([3, 1], [1, 0, 1]),
    });
    expect(Array.from(gradient.data)).toEqual([8, 16, 24]);
  });
});
