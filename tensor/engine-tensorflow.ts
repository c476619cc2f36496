/**
 * The `tensorflow` engine: runs the function operation by operation on TensorFlow through tfjs-node, on a GPU where the
 * package and the machine have one. Nothing is compiled. Both packages are optional and found when the engine is first
 * used (tensorflow-binding.ts); docs/gpu.md tells how to get one that runs.
 *
 * Constants are uploaded once; other inputs and all outputs cross between JavaScript and TensorFlow in each run.
 * tfjs-node works in the first thread of a process that loads it and in no other: one engine thread a process.
 */
import type { NdArray, TypedArray } from './array.ts';
import type { Engine, EngineOptions, Program, RunnableProgram } from './program.ts';
import { loadTensorFlow } from './tensorflow-binding.ts';
import tf from './tf.ts';
import type { Tensor } from './tf.ts';

export const tensorFlowEngine: Engine = {
  name: 'tensorflow',
  describe: async ({ threads }) => (await loadTensorFlow(threads)).description,
  build,
};

/** Throws UserError where no tfjs-node loads. The process keeps the thread count of the first program. */
async function build({ inputs, fn }: Program, { threads }: EngineOptions): Promise<RunnableProgram> {
  const { activate } = await loadTensorFlow(threads);
  // A copy, because the upload waits for the first use, and the caller may write to the array before.
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

/** Runs `body` and frees every tensor that it made. */
function inScope<T>(body: () => T): T {
  tf.engine().startScope();
  try {
    return body();
  } finally {
    tf.engine().endScope();
  }
}

/** Values of the results. TensorFlow's are copies; an input that is a result untouched is still the caller's array. */
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
