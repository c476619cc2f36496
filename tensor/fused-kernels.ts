/**
 * Kernels of our own beside tfjs's: operations that ONNX Runtime has as one node (or for which a hand-derived gradient
 * is much cheaper than the composed one). Each is defined by a composition of tfjs operations, which the eager
 * backends run, and by its gradient; the tracer (trace-kernels.ts) has a rule that emits the single node.
 *
 *   Silu(x)          = x · sigmoid(x)                                                     (Elfwing et al. 2017)
 *   NormalizeLast(x) = (x − mean) / √(var + ε) over the last axis, biased variance; also gives 1/√(var + ε)
 *   Upsample2x(x)    = nearest-neighbour doubling of height and width, [n, c, h, w] → [n, c, 2h, 2w]
 */
import tf from './tf.ts';
import type { Tensor, Tensor4D } from './tf.ts';

export const SILU = 'Silu';
export const NORMALIZE_LAST = 'NormalizeLast';
export const UPSAMPLE_2X = 'Upsample2x';

/** Backends that run operations one by one; the tracing backend has rules of its own. */
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
      // tfjs hands tensors to kernels and accepts tensors back; its declared type says only TensorInfo.
      kernelFunc: ({ inputs, attrs }) =>
        tf.tidy(() => compose(inputs as unknown as Inputs, (attrs ?? {}) as Attributes)),
    });
  }
}

defineKernel(SILU, ({ x }) => tf.mul(x!, tf.sigmoid(x!)));
tf.registerGradient({
  kernelName: SILU,
  inputsToSave: ['x'],
  gradFunc: (dy, [x]) => ({
    // d/dx x·σ(x) = σ + y·(1 − σ), y = x·σ
    x: () => {
      const sigmoid = tf.sigmoid(x!);
      const y = tf.mul(x!, sigmoid);
      return tf.mul(dy as Tensor, tf.add(sigmoid, tf.sub(y, tf.mul(y, sigmoid))));
    },
  }),
});

defineKernel(NORMALIZE_LAST, ({ x }, { epsilon }) => {
  const { mean, variance } = tf.moments(x!, -1, true);
  const inverseDeviation = tf.rsqrt(tf.add(variance, epsilon!));
  return [tf.mul(tf.sub(x!, mean), inverseDeviation), inverseDeviation];
});
tf.registerGradient({
  kernelName: NORMALIZE_LAST,
  outputsToSave: [true, true],
  gradFunc: (dys, [y, inverseDeviation]) => ({
    // dx = (dy − mean(dy) − y · mean(dy · y)) / √(var + ε); the second output is for this gradient alone
    x: () => {
      const dy = (dys as unknown as Tensor[])[0]!;
      const centred = tf.sub(dy, tf.mean(dy, -1, true));
      const along = tf.mul(y!, tf.mean(tf.mul(dy, y!), -1, true));
      return tf.mul(tf.sub(centred, along), inverseDeviation!);
    },
  }),
});

defineKernel(UPSAMPLE_2X, ({ x }) => {
  const [, , height, width] = x!.shape as [number, number, number, number];
  const channelsLast = tf.transpose(x!, [0, 2, 3, 1]) as Tensor4D;
  const larger = tf.image.resizeNearestNeighbor(channelsLast, [height * 2, width * 2]);
  return tf.transpose(larger, [0, 3, 1, 2]);
});
tf.registerGradient({
  kernelName: UPSAMPLE_2X,
  gradFunc: (dy) => ({
    // Each input pixel was copied to a 2×2 block: its gradient is the block's sum.
    x: () => {
      const [n, c, height, width] = (dy as Tensor).shape as [number, number, number, number];
      const blocks = tf.reshape(dy as Tensor, [n * c, height / 2, 2, width / 2, 2]);
      return tf.reshape(tf.sum(tf.sum(blocks, 4), 2), [n, c, height / 2, width / 2]);
    },
  }),
});

/** Runs one of the kernels above on the active backend. */
export function runFused(kernelName: string, x: Tensor, attributes: Attributes = {}): Tensor[] {
  const result: Tensor | Tensor[] = tf.engine().runKernel(kernelName, { x }, { ...attributes });
  return Array.isArray(result) ? result : [result];
}
