/** Input and output of an engine. The engines themselves: engine.ts. */
import type { DeviceName } from '../common/engine-names.ts';
import type { NdArray } from './array.ts';
import type { TraceInput } from './trace.ts';
import type { Tensor } from './tf.ts';
import type { Tree } from './tree.ts';

/** A function over flat lists, ready for an engine. */
export interface Program {
  readonly inputs: readonly TraceInput[];
  readonly fn: (tensors: Tensor[]) => Readonly<Record<string, Tensor>>;
  /** The identity of `fn` (named.ts); null if it is unknown, in which case compiled results are not kept. */
  readonly identity: string | null;
  /** Whether the result of this name stays on the device that computes it (device-arrays.ts). */
  readonly keep: (name: string) => boolean;
  /** Form of the function's result; known once `fn` has been called. */
  form(): ResultForm;
}

/** A tree of the names of results. */
export type ResultForm = Tree<ResultName>;

export interface ResultName {
  readonly result: string;
}

export interface RunnableProgram {
  /** Runs with one array per non-constant input, by name. Not re-entrant. */
  run(feeds: Readonly<Record<string, NdArray>>): Promise<Record<string, NdArray>>;
  /** SHA-256 of the compiled graph, or null if the engine compiles nothing. */
  readonly digest: string | null;
  /** Floating-point operations of a run's convolutions and matrix products; null if nothing is compiled. */
  readonly flops: number | null;
  /** Form of the result, when the program was built without calling its `fn`. */
  readonly keptForm?: ResultForm;
  dispose(): Promise<void>;
}

export interface EngineOptions {
  /** Threads inside one operator; results are bit-equal only between runs with equal thread counts. */
  readonly threads: number;
  /** Device of `onnxruntime`; `auto` by default. */
  readonly device?: DeviceName | undefined;
}

/** The engine and device of a process, for the records of a run. */
export interface EngineFacts {
  /** Engine, version, device, and the adapter where it is known: `onnxruntime-node 1.30.0 webgpu on GeForce`. */
  readonly engine: string;
  /** Why this device: `set to webgpu`, or what `auto` found. */
  readonly choice: string;
}

export interface Engine {
  readonly name: string;
  /** May load the engine, and then throws as `build` does. */
  describe(options: EngineOptions): Promise<EngineFacts>;
  build(program: Program, options: EngineOptions): Promise<RunnableProgram>;
}
