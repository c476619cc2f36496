/** The `reference` engine: eager tfjs on its pure JavaScript backend. */
import type { NdArray } from './array.ts';
import type { Engine } from './program.ts';
import tf from './tf.ts';
import type { Tensor } from './tf.ts';

export const referenceEngine: Engine = {
  name: 'reference',
  describe: () => Promise.resolve({ engine: `tfjs ${tf.version.tfjs} cpu`, choice: 'the only one' }),
  build: ({ inputs, fn }) =>
    Promise.resolve({
      digest: null,
      flops: null,
      run: (feeds) => {
        void tf.setBackend('cpu'); // takes effect before it returns
        return Promise.resolve(
          collect(() => {
            const tensors = inputs.map(({ name, shape, dtype, constant }) =>
              tf.tensor(constant ?? feeds[name]!.data, [...shape], dtype),
            );
            return fn(tensors);
          }),
        );
      },
      dispose: () => Promise.resolve(),
    }),
};

/** Runs `body` and copies its results out, so that no tensor outlives the call. */
function collect(body: () => Readonly<Record<string, Tensor>>): Record<string, NdArray> {
  tf.engine().startScope();
  try {
    return Object.fromEntries(
      Object.entries(body()).map(([name, tensor]) => [
        name,
        {
          dtype: tensor.dtype as NdArray['dtype'],
          shape: [...tensor.shape],
          data: tensor.dataSync().slice(),
        },
      ]),
    );
  } finally {
    tf.engine().endScope();
  }
}
