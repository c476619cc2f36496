// ResNets against torchvision's, with the numbers of models/testing/resnet-vectors.json (test/peer/resnet_vectors.py).
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { float32 } from '../tensor/array.ts';
import type { ArrayMap, NdArray } from '../tensor/array.ts';
import { compile } from '../tensor/compile.ts';
import { sgd } from '../tensor/optimizer.ts';
import { keyFromSeed } from '../tensor/random.ts';
import tf from '../tensor/tf.ts';
import type { Tensor, Tensor4D } from '../tensor/tf.ts';
import { specOf } from '../tensor/tree.ts';
import { isRunningStatistic } from '../models/batch-norm.ts';
import { classify, imageNetNormalization, initClassifier } from '../models/classifier.ts';
import type { ResNetConfig } from '../models/classifier.ts';
import { resNetShapes } from '../models/resnet.ts';
import { drawn, drawnParameters, summary } from '../models/testing/drawn.ts';
import { classifierGradients, classifierStep, initialState } from '../models/training-step.ts';

type Summaries = Readonly<Record<string, readonly [number, number]>>;
interface Vectors {
  readonly imageStream: number;
  /** Of an image's sides. */
  readonly size: number;
  /** Of the weights, see `drawnParameters`. */
  readonly shift: number;
  readonly logits: readonly number[];
  readonly loss: number;
  readonly image: readonly [number, number];
  readonly gradients: Summaries;
  readonly statistics: Summaries;
}
const FILE = new URL('../models/testing/resnet-vectors.json', import.meta.url);
const VECTORS = JSON.parse(readFileSync(FILE, 'utf8')) as Readonly<Record<string, Vectors>>;

const [CLASSES, ROWS] = [5, 4];
/**
 * Of norms, against float64. A unit whose input is within rounding of 0 may pass its gradient here and not there, which can change
 * a gradient by a hundredth, in PyTorch's own float32 too; so the numbers come from images, and for a ResNet-50 with batch statistics
 * from weights, that keep all units away from 0 (`margin` in the script).
 */
const TOLERANCE = 1e-4;

function configOf(architecture: ResNetConfig['architecture']): ResNetConfig {
  return { architecture, channels: 3, classes: CLASSES, normalization: imageNetNormalization(3) };
}

/** Drawn weights, a batch whose last row is padding, and torchvision's numbers. */
function caseOf(config: ResNetConfig, kind: 'running' | 'batch') {
  const expected = VECTORS[`${config.architecture} ${kind}`]!;
  const { imageStream, size, shift } = expected;
  const { params: all, streams } = drawnParameters(resNetShapes(config.architecture, config), shift);
  const some = (wanted: boolean) =>
    Object.fromEntries(
      Object.entries(all).filter(([name]) => isRunningStatistic(name) === wanted),
    ) as ArrayMap;
  const labels = Array.from({ length: ROWS * CLASSES }, (_, i) =>
    Number(i % CLASSES === Math.floor(i / CLASSES)),
  );
  const images = drawn(imageStream, [ROWS, 3, size, size]);
  const batch = {
    images: { ...images, data: images.data.map((u) => 2 * u) },
    labels: float32([ROWS, CLASSES], labels),
    mask: float32([ROWS], [1, 1, 1, 0]),
    weights: float32([ROWS], [1, 1, 1, 1]),
    adjustment: float32([CLASSES], [0, 0, 0, 0, 0]),
  };
  const layers = Object.keys(all).filter((name) => name.endsWith('.running_mean'));
  return {
    ...{ expected, params: some(false), buffers: some(true), batch, streams },
    layers: layers.map((name) => name.slice(0, -'.running_mean'.length)),
  };
}

/** Close in relation to the norm, which both numbers of a summary are bounded by. */
function expectSummary(
  actual: NdArray,
  stream: number,
  expected: readonly [number, number],
  name: string,
): void {
  const found = summary(stream, actual);
  const limit = TOLERANCE * expected[0];
  const isClose = found.every((value, i) => Math.abs(value - expected[i]!) <= limit);
  expect({ name, found, expected, isClose }).toEqual({ name, found, expected, isClose: true });
}

async function runOnce(fn: unknown, inputs: object): Promise<Record<string, unknown>> {
  const executable = await compile(fn as never, specOf(inputs) as never, {});
  const result = (await executable.run(inputs as never)) as Record<string, unknown>;
  await executable.dispose();
  return result;
}

describe.each(['resnet18', 'resnet50'] as const)('%s', (architecture) => {
  const config = configOf(architecture);
  const cases = { running: caseOf(config, 'running'), batch: caseOf(config, 'batch') };

  it.each(['running', 'batch'] as const)('has torchvision’s gradients, with %s statistics', async (kind) => {
    const { expected, params, buffers, batch, layers, streams } = cases[kind];
    const gradientsOf = classifierGradients(config, { measured: kind === 'batch' ? layers : [] });
    const result = await runOnce(gradientsOf, { params, buffers, batch });
    expect(Math.abs((result['loss'] as NdArray).data[0]! / expected.loss - 1)).toBeLessThan(TOLERANCE);
    const gradients = result['gradients'] as ArrayMap;
    expect(Object.keys(gradients).sort()).toEqual(Object.keys(expected.gradients));
    for (const [name, wanted] of Object.entries(expected.gradients))
      expectSummary(gradients[name]!, 3000 + streams.get(name)!, wanted, name);
  });

  it('has torchvision’s logits and gradient by the image', async () => {
    const { expected, params, buffers, batch } = cases.running;
    const { logits, image } = await runOnce(
      (inputs: { all: Record<string, Tensor>; images: Tensor; labels: Tensor }) => {
        const logitsOf = (x: Tensor) => classify(config, inputs.all, x as Tensor4D);
        const loss = (x: Tensor) => tf.div(tf.neg(tf.sum(tf.mul(inputs.labels, tf.logSoftmax(logitsOf(x))))), ROWS - 1); // prettier-ignore
        return { logits: logitsOf(inputs.images), image: tf.grad(loss)(inputs.images) };
      },
      { all: { ...params, ...buffers }, images: batch.images, labels: withoutLastRow(batch.labels) },
    );
    const scale = Math.max(...expected.logits.map(Math.abs));
    expected.logits.forEach((value, i) =>
      expect(Math.abs((logits as NdArray).data[i]! - value) / scale).toBeLessThan(TOLERANCE),
    );
    expectSummary(image as NdArray, 2000, expected.image, 'image');
  });

  it('moves running statistics as torchvision does, and only those of measured layers', async () => {
    const { expected, params, buffers, batch, layers, streams } = cases.batch;
    const optimizer = sgd({ momentum: 0 });
    const state = initialState(params, optimizer, buffers);
    const scalars = { learningRate: float32([], [0]), averageDecay: float32([], [0]) };
    const after = async (measured: readonly string[]) => {
      const step = classifierStep(config, { optimizer, clipNorm: Infinity, measured });
      return (await runOnce(step, { state, batch, scalars }))['buffers'] as ArrayMap;
    };
    const frozen = `${layers[0]}.running_mean`;
    expect((await after(layers.slice(-1)))[frozen]!.data).toEqual(buffers[frozen]!.data);
    const all = await after(layers);
    expect(Object.keys(all).sort()).toEqual(Object.keys(buffers).sort());
    for (const [name, wanted] of Object.entries(expected.statistics))
      expectSummary(all[name]!, 3000 + streams.get(name)!, wanted, name);
  });
});

function withoutLastRow(labels: NdArray): NdArray {
  return { ...labels, data: labels.data.map((value, i) => (i < (ROWS - 1) * CLASSES ? value : 0)) };
}

it('starts with convolutions of variance 2/fan-in, and statistics of 0 and 1', () => {
  const params = initClassifier(configOf('resnet18'), keyFromSeed(0));
  expect(Object.keys(params).sort()).toEqual(
    Object.keys(resNetShapes('resnet18', configOf('resnet18'))).sort(),
  );
  const data = Array.from(params['layer1.0.conv1.weight']!.data);
  const variance = data.reduce((sum, value) => sum + value * value, 0) / data.length;
  expect(variance / (2 / (64 * 9))).toBeCloseTo(1, 1);
  expect(params['bn1.running_var']!.data.every((value) => value === 1)).toBe(true);
  expect(params['bn1.running_mean']!.data.every((value) => value === 0)).toBe(true);
});
