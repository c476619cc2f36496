import { describe, expect, it } from 'vitest';
import { float32 } from '../tensor/array.ts';
import type { ArrayMap } from '../tensor/array.ts';
import { compile } from '../tensor/compile.ts';
import { adamW } from '../tensor/optimizer.ts';
import { keyFromSeed } from '../tensor/random.ts';
import tf from '../tensor/tf.ts';
import type { Tensor } from '../tensor/tf.ts';
import { specOf } from '../tensor/tree.ts';
import { featureCount, networkFeatures } from './denoiser-network.ts';
import { guidedStep } from './guided-step.ts';
import { headLogits, initPriorHead, priorHeadStep } from './prior-head.ts';
import { random, UNET } from './testing/guided-case.ts';
import { initialState, scalarInputs } from './training-step.ts';
import { initUNet } from './unet.ts';

await tf.setBackend('cpu');

const SHAPE = [2, 1, 12, 12] as const; // the lowest level is 3 × 3: its quarters overlap

const tensors = (arrays: ArrayMap): Record<string, Tensor> =>
  Object.fromEntries(
    Object.entries(arrays).map(([name, { data, shape }]) => [name, tf.tensor(data, [...shape])]),
  );
const prior = initUNet(UNET, keyFromSeed(1));
const x = random(2, SHAPE);
const t = float32([2], [0.3, 0.7]);
const images = tf.tensor4d(x.data, [...SHAPE]);
const times = tf.tensor1d(t.data);

describe('features of the prior', () => {
  it('have one row an image, which the other images do not change', () => {
    const both = networkFeatures(UNET, tensors(prior), images, times);
    expect(both.shape).toEqual([2, featureCount(UNET)]);
    const alone = networkFeatures(UNET, tensors(prior), tf.slice(images, 1, 1), tf.tensor1d([t.data[1]!]));
    const difference = tf.max(tf.abs(tf.sub(tf.slice(both, 1, 1), alone))).dataSync()[0]!;
    expect(difference).toBeLessThan(1e-6);
  });

  it('are 4 + 10·8 with attention, 4 + 5·8 without', () => {
    expect(featureCount(UNET)).toBe(84);
    expect(featureCount({ ...UNET, attention: false })).toBe(44);
  });
});

describe('the head', () => {
  it('fits targets that its images decide, on every engine alike', async () => {
    const optimizer = adamW({ weightDecay: 0 });
    const step = priorHeadStep(UNET, { optimizer, clipNorm: 1 });
    const targets = float32([2, 3], [0.5, 0.5, 0, 0, 0, 1]);
    const lossesOf = async (engine: string) => {
      let state = initialState(initPriorHead(UNET, 3, keyFromSeed(3)), optimizer);
      const scalars = () => scalarInputs(optimizer, { step: 1, learningRate: 0.02, averageDecay: 0 });
      const inputs = { state, prior, images: x, t, targets, scalars: scalars() };
      const executable = await compile(step, specOf(inputs), { engine });
      const losses: number[] = [];
      for (let i = 0; i < 12; i++) {
        const { loss, gradientNorm, ...next } = await executable.run({
          ...inputs,
          state,
          scalars: scalars(),
        });
        expect(gradientNorm.data[0]).toBeGreaterThan(0);
        losses.push(loss.data[0]!);
        state = next;
      }
      await executable.dispose();
      return losses;
    };
    const [compiled, reference] = [await lossesOf('onnxruntime'), await lossesOf('reference')];
    compiled.forEach((loss, i) => expect(Math.abs(loss - reference[i]!)).toBeLessThan(1e-4));
    // the entropy of the targets, (log 2 + 0)/2, is the least that cross-entropy can be; over it, half is gone
    const excess = (loss: number) => loss - Math.log(2) / 2;
    expect(excess(compiled.at(-1)!)).toBeLessThan(excess(compiled[0]!) / 2);
    expect(excess(compiled.at(-1)!)).toBeGreaterThan(0);
  });

  it('guides along the gradient at x_t, by finite differences', async () => {
    const head = initPriorHead(UNET, 3, keyFromSeed(4));
    const guidance = {
      rule: 'prior-features',
      clip: true,
      softening: [1, 1],
      direction: 'confident',
      lowPass: false,
    } as const;
    const scalar = (value: number) => float32([], [value]);
    const inputs = {
      ...{ prior, classifier: head, x, previousX0: x, labelsOneHot: float32([2, 3], [1, 0, 0, 0, 0, 1]) },
      ...{ weight: scalar(0.05), t: scalar(0.5), a: scalar(Math.SQRT1_2), s: scalar(Math.SQRT1_2) },
      ...{ cX: scalar(0), cD: scalar(1), cP: scalar(0) }, // x' is the guided x̂0
    };
    const run = async (weight: number) => {
      const feeds = { ...inputs, weight: scalar(weight) };
      const step = await compile(
        guidedStep({ network: UNET, prediction: 'v' }, null, guidance),
        specOf(feeds),
        {
          engine: 'onnxruntime',
        },
      );
      const { x: next } = await step.run(feeds);
      await step.dispose();
      return next.data;
    };
    const [guided, plain] = [await run(0.05), await run(0)];
    const logP = (values: Float32Array) => {
      const image = tf.tensor4d(values, [...SHAPE]);
      const z = headLogits(UNET, tensors(prior), tensors(head), image, tf.scalar(0.5));
      return tf.sum(tf.mul(tf.logSoftmax(z), tf.tensor2d(inputs.labelsOneHot.data, [2, 3]))).dataSync()[0]!;
    };
    const values = Float32Array.from(x.data);
    // pixels of the first image whose estimate is not at its bound: their steps are in the ratio of the slopes
    const pixels = [...values.keys()].slice(0, 144).filter((i) => Math.abs(plain[i]!) < 0.9);
    const slope = (i: number) => {
      const moved = (by: number) => logP(values.map((value, k) => (k === i ? value + by : value)));
      return (moved(0.02) - moved(-0.02)) / 0.04;
    };
    const steps = pixels.map((i) => guided[i]! - plain[i]!);
    const order = pixels.map((_, k) => k).sort((a, b) => Math.abs(steps[b]!) - Math.abs(steps[a]!));
    const [first, second, third] = order as [number, number, number];
    for (const other of [second, third]) {
      const ratio = slope(pixels[other]!) / slope(pixels[first]!);
      expect(Math.abs(steps[other]! / steps[first]! - ratio)).toBeLessThan(0.03);
    }
    expect(Math.sign(slope(pixels[first]!))).toBe(Math.sign(steps[first]!));
  });
});
