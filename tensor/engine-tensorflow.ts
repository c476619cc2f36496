/**
 * The `tensorflow` engine: runs the function operation by operation on TensorFlow through tfjs-node, on a GPU if the
 * package and the machine have one. Nothing is compiled. Both packages are optional and searched for at first use
 * (tensorflow-binding.ts); docs/gpu.md explains how to install one.
 *
 * Constants are uploaded once; other inputs and all outputs cross between JavaScript and TensorFlow in each run.
 * tfjs-node works only in the first thread of a process that loads it: one engine thread per process.
 */
import type { NdArray, TypedArray } from './array.ts';
import type { Engine, EngineOptions, Program, RunnableProgram } from './program.ts';
import { loadTensorFlow } from './tensorflow-binding.ts';
import tf from './tf.ts';
import type { Tensor } from './tf.ts';

export const tensorFlowEngine: Engine = {
  name: 'tensorflow',
  describe: async ({ threads }) => ({
    engine: (await loadTensorFlow(threads)).description,
    choice: "TensorFlow's own",
  }),
  build,
};

/** Throws UserError if no tfjs-node loads. The process keeps the thread count of the first program. */
async function build({ inputs, fn }: Program, { threads }: EngineOptions): Promise<RunnableProgram> {
  const { activate } = await loadTensorFlow(threads);
  // A copy, because the upload happens at first use, and the caller may write to the array before.
  const constants = new Map(
    inputs.flatMap(({ name, shape, dtype, constant }) =>
      constant ? [[name, activate(() => tf.tensor(constant.slice(), [...shape], dtype))] as const] : [],
    ),
  );
  return {
    digest: null,
    flops: null,
    run: (feeds) =>
      Promise.resolve(
        activate(() =>
          inScope(() => {
            const tensors = inputs.map(
              ({ name, shape, dtype }) =>
                constants.get(name) ?? tf.tensor(feeds[name]!.data, [...shape], dtype),
            );
            const passedIn = new Set<TypedArray>(Object.values(feeds).map(({ data }) => data));
            return collect(fn(tensors), passedIn);
          }),
        ),
      ),
    dispose: () => {
      for (const tensor of constants.values()) tensor.dispose();
      return Promise.resolve();
    },
  };
}

/** Runs `body` and frees every tensor that it created. */
function inScope<T>(body: () => T): T {
  tf.engine().startScope();
  try {
    return body();
  } finally {
    tf.engine().endScope();
  }
}

/** Values of the results. TensorFlow's are copies; an input that is returned unchanged is still the caller's array. */
function collect(
  results: Readonly<Record<string, Tensor>>,
  passedIn: ReadonlySet<TypedArray>,
): Record<string, NdArray> {
  return Object.fromEntries(
    Object.entries(results).map(([name, tensor]) => {
      const values = tensor.dataSync();
      const data = passedIn.has(values) ? values.slice() : values;
      return [name, { dtype: tensor.dtype as NdArray['dtype'], shape: [...tensor.shape], data }];
    }),
  );
}
