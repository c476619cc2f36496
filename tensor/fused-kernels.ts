/**
 * Additional tfjs kernels, for operations that ONNX Runtime has as one node (or whose hand-derived gradient is much
 * cheaper than the composed one). Each is defined by a composition of tfjs operations, which the eager backends run,
 * and by its gradient; the tracer (trace-kernels.ts) has a rule that emits the single node.
 *
 *   Silu(x)          = x · sigmoid(x)                                                     (Elfwing et al. 2017)
 *   GroupNorm(x)     = γ·x̂ + β per channel, x̂ = (x − mean)/√(var + ε) over each group of channels (Wu and He
 *   1803.08494);
 *                      also gives x̂ [n, c, h, w] and 1/√(var + ε) [n, groups, 1] for its gradient
 *   MaxPool2D(x)     = the largest value of each window of an image [n, c, h, w]; MaxPool2DGrad adds each window's dy
 *   to
 *                      the first place that holds it
 */
import tf from './tf.ts';
import type { Tensor, Tensor4D } from './tf.ts';

export const SILU = 'Silu';
export const GROUP_NORM = 'GroupNorm';
export const MAX_POOL = 'MaxPool2D';
export const MAX_POOL_GRADIENT = 'MaxPool2DGrad';

/** Backends that run operations one by one; the tracing backend has its own rules. */
const EAGER_BACKENDS = ['cpu', 'tensorflow'];

type Inputs = Readonly<Record<string, Tensor>>;
type Attributes = Readonly<Record<string, number>>;

function defineKernel(
  kernelName: string,
  compose: (inputs: Inputs, attributes: Attributes) => Tensor | Tensor[],
): void {
  for (const backendName of EAGER_BACKENDS) {
    tf.registerKernel({
      kernelName,
      backendName,
      // tfjs passes tensors to kernels and accepts tensors back; its declared type says only TensorInfo.
      kernelFunc: ({ inputs, attrs }) =>
        tf.tidy(() => compose(inputs as unknown as Inputs, (attrs ?? {}) as Attributes)),
    });
  }
}

defineKernel(SILU, ({ x }) => tf.mul(x!, tf.sigmoid(x!)));
tf.registerGradient({
  kernelName: SILU,
  inputsToSave: ['x'],
  outputsToSave: [true],
  gradFunc: (dy, [x, y]) => ({
    // d/dx x·σ(x) = σ + y·(1 − σ), y = x·σ
    x: () => {
      const sigmoid = tf.sigmoid(x!);
      return tf.mul(dy as Tensor, tf.add(sigmoid, tf.sub(y!, tf.mul(y!, sigmoid))));
    },
  }),
});

defineKernel(GROUP_NORM, ({ x, scale, bias }, { groups, epsilon }) => {
  const [n, c] = x!.shape as [number, number];
  const rows = tf.reshape(x!, [n, groups!, -1]);
  const { mean, variance } = tf.moments(rows, -1, true);
  const inverseDeviation = tf.rsqrt(tf.add(variance, epsilon!));
  const normalized = tf.reshape(tf.mul(tf.sub(rows, mean), inverseDeviation), x!.shape);
  const perChannel = (values: Tensor) => tf.reshape(values, [1, c, 1, 1]);
  const y = tf.add(tf.mul(normalized, perChannel(scale!)), perChannel(bias!));
  return [y, normalized, inverseDeviation];
});
tf.registerGradient({
  kernelName: GROUP_NORM,
  inputsToSave: ['scale'],
  outputsToSave: [false, true, true],
  // Whole-image work is one product, two sums and the last line; everything else has one number per channel:
  //   P = Σ_hw dy, Q = Σ_hw dy·x̂ (per image and channel);  dβ = Σ_n P, dγ = Σ_n Q
  //   dx = (γ·dy − mean_g(γ·dy) − x̂·mean_g(γ·dy·x̂))·r,  with mean_g(γ·dy) = Σ_{c∈g} γ·P / m and likewise for Q
  gradFunc: (dys, [scale, normalized, inverseDeviation], attributes) => {
    const dy = (dys as unknown as Tensor[])[0]!;
    const { groups } = attributes as unknown as { groups: number };
    const [n, c, height, width] = dy.shape as [number, number, number, number];
    const overImage = (values: Tensor) => tf.sum(values, [2, 3], true);
    const [p, q] = [overImage(dy), overImage(tf.mul(dy, normalized!))];
    const gamma = tf.reshape(scale!, [1, c, 1, 1]);
    const groupMean = (values: Tensor) =>
      tf.div(tf.sum(tf.reshape(values, [n, groups, c / groups]), -1, true), (c / groups) * height * width);
    const spread = (values: Tensor) => tf.reshape(tf.mul(values, tf.ones([1, 1, c / groups])), [n, c, 1, 1]); // [n, groups, 1] to channels
    const r = inverseDeviation!;
    const offset = spread(tf.mul(groupMean(tf.mul(p, gamma)), r));
    const slope = spread(tf.mul(groupMean(tf.mul(q, gamma)), r));
    return {
      x: () => tf.sub(tf.mul(dy, tf.mul(gamma, spread(r))), tf.add(tf.mul(normalized!, slope), offset)),
      scale: () => tf.reshape(tf.sum(q, 0), [c]),
      bias: () => tf.reshape(tf.sum(p, 0), [c]),
    };
  },
});

/**
 * Parameters of `MaxPool2D`: square windows of `size`, every `stride` pixels, of the image with `pad` pixels around it.
 */
export type MaxPoolAttributes = { readonly size: number; readonly stride: number; readonly pad: number };

/** tfjs pools only [n, h, w, c] images. */
const TO_NHWC = [0, 2, 3, 1];
const TO_NCHW = [0, 3, 1, 2];

defineKernel(MAX_POOL, ({ x }, { size, stride, pad }) => {
  const image = tf.transpose(x as Tensor4D, TO_NHWC);
  return tf.transpose(tf.maxPool(image, size!, stride!, pad!, 'floor'), TO_NCHW);
});
defineKernel(MAX_POOL_GRADIENT, ({ dy, x, y }, { size, stride, pad }) => {
  const [errors, input, output] = [dy!, x!, y!].map((image) => tf.transpose(image, TO_NHWC));
  const attributes = { filterSize: size!, strides: stride!, pad: pad!, dimRoundingMode: 'floor' };
  const inputs = { dy: errors!, input: input!, output: output! };
  const dx: Tensor = tf.engine().runKernel('MaxPoolGrad', inputs, attributes);
  return tf.transpose(dx, TO_NCHW);
});
tf.registerGradient({
  kernelName: MAX_POOL,
  inputsToSave: ['x'],
  outputsToSave: [true],
  gradFunc: (dy, [x, y], attributes) => ({
    x: () => runFused(MAX_POOL_GRADIENT, { dy: dy as Tensor, x: x!, y: y! }, attributes as unknown as Attributes)[0]!, // prettier-ignore
  }),
});

/** Runs one of the kernels above on the active backend. */
export function runFused(
  kernelName: string,
  inputs: Readonly<Record<string, Tensor>>,
  attributes: Attributes = {},
): Tensor[] {
  const result: Tensor | Tensor[] = tf.engine().runKernel(kernelName, { ...inputs }, { ...attributes });
  return Array.isArray(result) ? result : [result];
}
