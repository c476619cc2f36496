import { describe, expect, it } from 'vitest';
import { keyFromSeed, normal } from '../tensor/random.ts';
import tf from '../tensor/tf.ts';
import type { Tensor, Tensor4D } from '../tensor/tf.ts';
import { parameterCount } from './parameters.ts';
import type { Parameters } from './parameters.ts';
import { DEFAULT_UNET, initUNet, unet } from './unet.ts';
import type { UNetConfig } from './unet.ts';
import type { ArrayMap } from '../tensor/array.ts';

await tf.setBackend('cpu');

const SMALL: UNetConfig = {
  channels: 1,
  widths: [4, 8],
  blocksPerLevel: 1,
  patch: 2,
  groups: 2,
  attention: true,
};

function tensorsOf(arrays: ArrayMap): Record<string, Tensor> {
  return Object.fromEntries(
    Object.entries(arrays).map(([name, { data, shape }]) => [name, tf.tensor(data, [...shape])]),
  );
}

/** Parameters with nothing at zero, so that every path of the network is heard. */
function shaken(config: UNetConfig): Parameters {
  const key = keyFromSeed(3);
  return Object.fromEntries(
    Object.entries(tensorsOf(initUNet(config, key))).map(([name, value]) => [
      name,
      tf.add(value, tf.mul(0.1, tf.tensor(normal(key, value.size), value.shape))),
    ]),
  );
}

function image(shape: [number, number, number, number]): Tensor4D {
  const size = shape.reduce((product, extent) => product * extent, 1);
  return tf.tensor4d(normal(keyFromSeed(9), size), shape);
}

function largestDifference(a: Tensor, b: Tensor): number {
  return tf.max(tf.abs(tf.sub(a, b))).dataSync()[0]!;
}

describe('unet', () => {
  it('has the size that was planned', () => {
    const count = parameterCount(initUNet(DEFAULT_UNET, keyFromSeed(0)));
    expect(count).toBeGreaterThan(750_000);
    expect(count).toBeLessThan(850_000);
  });

  it('starts at zero and draws the same parameters for the same key', () => {
    const arrays = initUNet(SMALL, keyFromSeed(1));
    expect(initUNet(SMALL, keyFromSeed(1))).toEqual(arrays);
    expect(initUNet(SMALL, keyFromSeed(2))).not.toEqual(arrays);
    const out = unet(SMALL, tensorsOf(arrays), image([1, 1, 8, 8]), tf.scalar(0.5));
    expect(Array.from(out.dataSync()).every((value) => value === 0)).toBe(true);
  });

  it.each([
    [28, 1],
    [32, 3],
    [64, 1],
  ])('keeps the shape of %i px images of %i channels', (size, channels) => {
    const config = { ...SMALL, channels };
    const x = image([1, channels, size, size]);
    expect(unet(config, shaken(config), x, tf.scalar(0.3)).shape).toEqual(x.shape);
  });

  it('treats images alone: a batch with a time per image equals each image with its own', () => {
    const params = shaken(SMALL);
    const x = image([2, 1, 8, 8]);
    const both = unet(SMALL, params, x, tf.tensor([0.2, 0.9], [2, 1, 1, 1]));
    for (const [i, t] of [0.2, 0.9].entries()) {
      const one = unet(SMALL, params, tf.slice(x, [i, 0, 0, 0], [1, 1, 8, 8]), tf.scalar(t));
      expect(largestDifference(one, tf.slice(both, [i, 0, 0, 0], [1, 1, 8, 8]))).toBeLessThan(1e-5);
    }
  });

  it('depends on time, and every parameter has a gradient that finite differences confirm', () => {
    const params = shaken(SMALL);
    const names = Object.keys(params);
    const x = image([1, 1, 8, 8]);
    const at = (t: number, values: readonly Tensor[]) =>
      unet(SMALL, Object.fromEntries(names.map((name, i) => [name, values[i]!])), x, tf.scalar(t));
    const start = Object.values(params);
    expect(largestDifference(at(0.1, start), at(0.2, start))).toBeGreaterThan(1e-3);

    const target = image([1, 1, 8, 8]).reverse();
    const loss = (...values: Tensor[]) => tf.mean(tf.squaredDifference(at(0.4, values), target)).asScalar();
    const gradients = tf.grads(loss)(start);
    const direction = gradients.map((g, i) => tf.tensor(normal(keyFromSeed(100 + i), g.size), g.shape));
    for (const [i, name] of names.entries()) {
      const step = 1e-2 / Math.sqrt(direction[i]!.size);
      const moved = (sign: number) =>
        loss(
          ...start.map((value, j) => (j === i ? tf.add(value, tf.mul(sign * step, direction[i]!)) : value)),
        );
      const difference = (moved(1).dataSync()[0]! - moved(-1).dataSync()[0]!) / (2 * step);
      const slope = tf.sum(tf.mul(gradients[i]!, direction[i]!)).dataSync()[0]!;
      expect(Math.abs(slope - difference), name).toBeLessThan(2e-3 + 0.02 * Math.abs(slope));
    }
  });

  it('names an image size that does not divide', () => {
    expect(() => unet(SMALL, shaken(SMALL), image([1, 1, 30, 30]), tf.scalar(0))).toThrow(
      /image size 30×30.*multiples of 4/,
    );
    expect(() => unet(SMALL, shaken(SMALL), image([1, 3, 28, 28]), tf.scalar(0))).toThrow(/3 channels/);
    expect(() => initUNet({ ...SMALL, widths: [6, 9] }, keyFromSeed(0))).toThrow(/9 is not a multiple/);
  });
});
