/**
 * `compile(fn, signature)`: the equivalent of JAX's jit for TensorFlow.js. A plain tfjs function over trees of tensors
 * becomes an executable over trees of plain arrays; gradients taken inside it (tf.grads and the like) and whole
 * optimiser steps become part of it. Shapes are fixed by the signature.
 */
import { UserError } from '../common/errors.ts';
import type { NdArray } from './array.ts';
import { sizeOf } from './array.ts';
import { DeviceArray, isAnyArray } from './device-arrays.ts';
import { engineNamed } from './engine.ts';
import type { EngineOptions, ResultForm, ResultName } from './program.ts';
import { countGraph } from './graph-totals.ts';
import { identityOf } from './named.ts';
import tf from './tf.ts';
import type { Tensor } from './tf.ts';
import { flatten, mapTree } from './tree.ts';
import type { Tree } from './tree.ts';

export interface TensorSpec {
  readonly shape: readonly number[];
  readonly dtype: 'float32' | 'int32' | 'bool';
}

/** Form of the argument: a tree of names to tensor specs. */
export type Signature = { readonly [name: string]: Tree<TensorSpec> };
/** The signature and the constants, of which the argument of the function is made. */
type ArgumentForm = Tree<TensorSpec | NdArray>;
export type TensorTree = Tree<Tensor>;
export type ArrayTree = Tree<NdArray>;

/** The tensors that a signature describes. */
export type TensorsOf<S> = S extends { shape: readonly number[] }
  ? Tensor
  : { readonly [K in keyof S]: TensorsOf<S[K]> };

/** The arrays that correspond to a tree of tensors. */
export type ArraysOf<T> = T extends Tensor ? NdArray : { readonly [K in keyof T]: ArraysOf<T[K]> };

/** The arrays that `run` takes for a signature. */
export type FeedsOf<S> = S extends { shape: readonly number[] }
  ? NdArray
  : { readonly [K in keyof S]: FeedsOf<S[K]> };

export interface Executable<S, R> {
  /**
   * Runs the function. Throws RangeError naming the argument when a shape or type differs from the signature.
   * Calls must not overlap. Result arrays belong to the caller.
   */
  run(inputs: FeedsOf<S>): Promise<ArraysOf<R>>;
  /**
   * Name of the compiled graph: equal functions and signatures give equal digests. Null if the engine compiles nothing.
   */
  readonly digest: string | null;
  /** Floating-point operations of one run's convolutions and matrix products (a multiply-add is two); null like `digest`. */
  readonly flops: number | null;
  /** Seconds spent on tracing and building, or on reading an earlier build. */
  readonly compileSeconds: number;
  /** Whether the graph came from the cache on disk (graph-cache.ts) instead of being compiled. */
  readonly wasCached: boolean;
  dispose(): Promise<void>;
}

export interface CompileOptions<C> extends Partial<EngineOptions> {
  /** Further arguments of the function, whose values are built into the graph; `run` does not take them. */
  readonly constants?: C;
  /**
   * Parts of the result that later runs take again: on a GPU they stay there, where they can (device-arrays.ts). Fetch
   * such arrays before you read them, and free those that are no longer used.
   */
  readonly keep?: readonly string[];
  /** One of common/engine-names.ts; `onnxruntime` by default. */
  readonly engine?: string;
}

/** Compiles `fn`. Throws UserError for an unknown engine, or a tfjs kernel without a rule in the compiler. */
export async function compile<
  const S extends Signature,
  R extends TensorTree,
  C extends { readonly [name: string]: ArrayTree } = Record<never, never>,
>(
  fn: (inputs: TensorsOf<S> & TensorsOf<C>) => R,
  signature: S,
  { engine = 'onnxruntime', device = 'auto', threads = 1, constants, keep = [] }: CompileOptions<C> = {},
): Promise<Executable<S, R>> {
  const start = performance.now();
  checkDevice(engine, device);
  const form: ArgumentForm = { ...signature, ...constants };
  const inputs = inputsOf(form);
  const traced = byName(fn as (argument: TensorTree) => R, form);
  const program = await engineNamed(engine).build(
    {
      inputs,
      ...traced,
      identity: identityOf(fn),
      keep: (name) => keep.some((part) => `${name}/`.startsWith(`out:${part}/`)),
    },
    { threads, device },
  );
  const expected = inputs.filter((input) => input.constant === undefined);
  const { digest, flops, keptForm } = program;
  const compileSeconds = (performance.now() - start) / 1000;
  const wasCached = keptForm !== undefined;
  if (digest !== null) countGraph(wasCached, compileSeconds);
  return {
    ...{ digest, flops, compileSeconds, wasCached },
    dispose: () => program.dispose(),
    run: async (argument) => {
      const feeds = feedsFrom(argument, expected);
      const results = await program.run(feeds);
      return mapTree(keptForm ?? traced.form(), isResult, ({ result }) => results[result]!) as ArraysOf<R>;
    },
  };
}

/** The leaves of the argument in order: those of the signature, and the constants with their values. */
function inputsOf(form: ArgumentForm) {
  return flatten(form, isLeaf).map(([path, spec]) => ({
    name: `in:${path}`,
    shape: spec.shape,
    dtype: computable(path, spec.dtype),
    ...('data' in spec ? { constant: spec.data } : {}),
  }));
}

/** `fn` as a function of its leaves in order, which names each part of its result; and the form of the last result. */
function byName(fn: (argument: TensorTree) => TensorTree, argumentForm: ArgumentForm) {
  const paths = flatten(argumentForm, isLeaf).map(([path]) => path);
  let form: ResultForm | undefined;
  return {
    fn: (tensors: readonly Tensor[]) => {
      const byPath = new Map(paths.map((path, i) => [path, tensors[i]!]));
      const result = fn(mapTree(argumentForm, isLeaf, (_, path) => byPath.get(path)!));
      form = mapTree(result, isTensor, (_, path) => ({ result: `out:${path}` }));
      return Object.fromEntries(flatten(result, isTensor).map(([path, tensor]) => [`out:${path}`, tensor]));
    },
    form: () => form!,
  };
}

function checkDevice(engine: string, device: string): void {
  if (engine === 'onnxruntime' || device === 'auto') return;
  throw new UserError(
    `device ${device}: only the engine onnxruntime takes a device; ${engine} finds its own`,
  );
}

function feedsFrom(
  argument: ArrayTree,
  expected: readonly { name: string; shape: readonly number[]; dtype: string }[],
): Record<string, NdArray> {
  const feeds = Object.fromEntries(
    flatten(argument, isAnyArray).map(([path, array]) => [`in:${path}`, array]),
  );
  for (const { name, shape, dtype } of expected) {
    const array = feeds[name];
    const path = name.slice('in:'.length);
    if (array === undefined) throw new RangeError(`argument '${path}' is missing`);
    const length = array instanceof DeviceArray ? sizeOf(array.shape) : array.data.length;
    const fits = array.dtype === dtype && array.shape.join() === shape.join() && length === sizeOf(shape);
    if (!fits)
      throw new RangeError(
        `argument '${path}' is ${array.dtype}[${array.shape.join()}] with ${length} values, not ${dtype}[${shape.join()}]`,
      );
  }
  return feeds;
}

function computable(path: string, dtype: NdArray['dtype']): TensorSpec['dtype'] {
  if (dtype === 'uint8')
    throw new UserError(`argument '${path}' is uint8: tfjs computes on float32, int32 and bool`);
  return dtype;
}

function isLeaf(node: Tree<TensorSpec | NdArray>): node is TensorSpec | NdArray {
  return 'shape' in node && Array.isArray(node.shape);
}

function isResult(node: ResultForm): node is ResultName {
  return typeof node['result'] === 'string';
}

function isTensor(node: TensorTree): node is Tensor {
  return node instanceof tf.Tensor;
}
