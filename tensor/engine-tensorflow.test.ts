import { describe, expect, it } from 'vitest';
import { UserError } from '../common/errors.ts';
import { float32 } from './array.ts';
import { compile } from './compile.ts';
import { engineNamed } from './engine.ts';
import * as ops from './ops.ts';
import { importFirst } from './tensorflow-binding.ts';
import { isTensorFlowInstalled, itOnTensorFlow } from './testing/tensorflow.ts';
import tf from './tf.ts';
import type { Tensor4D } from './tf.ts';

const ENGINE = 'tensorflow';
const IMAGE = { shape: [1, 2, 4, 4], dtype: 'float32' } as const;
const image = float32(
  IMAGE.shape,
  Array.from({ length: 32 }, (_, i) => i),
);
const weight = float32([2, 2, 3, 3], Array.from({ length: 36 }, Math.cos)); // prettier-ignore

/** A convolution and its gradient, with the weight built in: every kernel of our own is in it. */
function compileLayer() {
  const layer = ({ x, w }: { x: Tensor4D; w: Tensor4D }) => {
    const y = (v: Tensor4D) => ops.silu(ops.conv2d(v, w, { stride: 2 }));
    return { y: y(x), slope: tf.grad((v) => tf.sum(y(v as Tensor4D)))(x) };
  };
  return compile(layer as never, { x: IMAGE }, { engine: ENGINE, constants: { w: weight } });
}

describe('the tensorflow engine', () => {
  itOnTensorFlow('frees what a run makes, and its constants in the end', async () => {
    const before = tf.memory().numTensors;
    const layer = await compileLayer();
    expect(tf.memory().numTensors).toBe(before + 1);
    for (let i = 0; i < 3; i++) {
      await layer.run({ x: image });
      expect(tf.memory().numTensors).toBe(before + 1);
      expect(handles()).toBe(1); // TensorFlow's own count: the weight, uploaded by the first run
    }
    await layer.dispose();
    expect(tf.memory().numTensors).toBe(before);
    expect(handles()).toBe(0);
  });

  itOnTensorFlow('keeps the values that constants had when it was built', async () => {
    const factor = float32([], [2]);
    const double = await compile(
      ({ x, factor }) => ({ y: tf.mul(x, factor) }),
      { x: { shape: [2], dtype: 'float32' } },
      { engine: ENGINE, constants: { factor } },
    );
    factor.data[0] = 5;
    expect(Array.from((await double.run({ x: float32([2], [1, 3]) })).y.data)).toEqual([2, 6]);
  });

  itOnTensorFlow('gives results that are nobody else’s arrays', async () => {
    const same = await compile(
      ({ x }) => ({ same: x, flat: tf.reshape(x, [4]) }),
      { x: { shape: [2, 2], dtype: 'float32' } },
      { engine: ENGINE },
    );
    const x = float32([2, 2], [1, 2, 3, 4]);
    const { same: copy, flat } = await same.run({ x });
    copy.data[0] = 9;
    expect(Array.from(x.data)).toEqual([1, 2, 3, 4]);
    expect(Array.from(flat.data)).toEqual([1, 2, 3, 4]);
  });

  itOnTensorFlow('leaves tfjs’s backend as it was, also when the function throws', async () => {
    await tf.setBackend('cpu');
    const broken = await compile(
      ({ x }): { x: typeof x } => {
        throw new RangeError(`on ${tf.getBackend()}, ${x.rank}`);
      },
      { x: { shape: [2], dtype: 'float32' } },
      { engine: ENGINE },
    );
    await expect(broken.run({ x: float32([2], [1, 2]) })).rejects.toThrow('on tensorflow, 1');
    expect(tf.getBackend()).toBe('cpu');
  });

  itOnTensorFlow('says which package, versions and device it is', async () => {
    expect((await engineNamed(ENGINE).describe({ threads: 1 })).engine).toMatch(
      /^@tensorflow\/tfjs-node(-gpu)? 4\.\d+\.\d+, TensorFlow 2\.\d+\.\d+\S*, (cpu|gpu)$/,
    );
  });

  it.skipIf(isTensorFlowInstalled)(
    `without its packages is one clear line${isTensorFlowInstalled ? ' (skipped: one is installed)' : ''}`,
    async () => {
      const line =
        "engine 'tensorflow' needs @tensorflow/tfjs-node-gpu or @tensorflow/tfjs-node, and none loads " +
        '(@tensorflow/tfjs-node-gpu: not installed; @tensorflow/tfjs-node: not installed): see docs/gpu.md';
      await expect(compileLayer()).rejects.toEqual(new UserError(line));
    },
  );

  it('names every package that does not load, with the reason', async () => {
    const line =
      "engine 'tensorflow' needs @tensorflow/of-no-such-name or yaml, and none loads " +
      '(@tensorflow/of-no-such-name: not installed; ' +
      'yaml: it uses another copy of @tensorflow/tfjs than Ballast does; npm dedupe joins them): see docs/gpu.md';
    await expect(importFirst(['@tensorflow/of-no-such-name', 'yaml'])).rejects.toEqual(new UserError(line));
  });
});

/** Tensors that the TensorFlow library holds. */
function handles(): number {
  const { binding } = tf.findBackend(ENGINE) as unknown as { binding: { getNumOfTensors(): number } };
  return binding.getNumOfTensors();
}
