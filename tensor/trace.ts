/**
 * Tracing: runs a tfjs function once on a backend that computes nothing; each kernel (forward, and backward as tfjs's
 * own automatic differentiation calls them) appends ONNX nodes to a graph.
 *
 * A traced function must not read tensor values (`dataSync`), and its control flow may depend only on shapes.
 */
import { UserError } from '../common/errors.ts';
import type { TypedArray } from './array.ts';
import { GraphBuilder } from './graph.ts';
import type { EncodedGraph, GraphTarget } from './graph.ts';
import type { Shape, Value } from './graph-value.ts';
import tf from './tf.ts';
import type { BackendValues, DataType, Tensor, TensorInfo } from './tf.ts';
import { KERNEL_RULES } from './trace-kernels.ts';
import type { KernelRule } from './trace-rule.ts';

const BACKEND = 'trace';

type TfDType = 'float32' | 'int32' | 'bool';
type DataId = TensorInfo['dataId'];

class TraceBackend extends tf.KernelBackend {
  graph: GraphBuilder | undefined;
  private values = new WeakMap<DataId, Value>();
  private ids = 0;

  lookUp({ dataId }: TensorInfo): Value {
    const value = this.values.get(dataId);
    if (value === undefined) throw new Error('a tensor of another trace was used inside a compiled function');
    return value;
  }

  /** A tfjs tensor handle for a graph value. */
  wrap(value: Value): TensorInfo {
    const dataId: DataId = { id: this.ids++ };
    this.values.set(dataId, value);
    return { dataId, shape: [...value.shape], dtype: value.dtype as TfDType };
  }

  override write(values: BackendValues, shape: number[], dtype: DataType): DataId {
    return this.wrap(this.tracing().constant(values as TypedArray, { shape, dtype: dtype as TfDType }))
      .dataId;
  }

  /** A tensor created outside the trace enters it as a constant. */
  override move(dataId: DataId, values: BackendValues, shape: number[], dtype: DataType): void {
    this.values.set(
      dataId,
      this.tracing().constant(values as TypedArray, { shape, dtype: dtype as TfDType }),
    );
  }

  override readSync(): never {
    throw new UserError('a compiled function cannot read tensor values: they exist only when it runs');
  }

  override read(): never {
    return this.readSync();
  }

  tracing(): GraphBuilder {
    if (this.graph === undefined) throw new Error('the trace is over');
    return this.graph;
  }

  override numDataIds = (): number => this.ids;
  override refCount = (): number => 1;
  override incRef = (): void => {};
  decRef = (): boolean => true;
  override disposeData = (): boolean => true;
  override memory = () => ({ unreliable: true, reasons: [] });
  override floatPrecision = (): 32 => 32;
  override epsilon = (): number => 1e-7;
  override dispose = (): void => {};
}

const backend = new TraceBackend();

function registerKernels(): void {
  tf.registerBackend(BACKEND, () => backend, 0);
  for (const [kernelName, rule] of Object.entries<KernelRule>(KERNEL_RULES)) {
    tf.registerKernel({
      kernelName,
      backendName: BACKEND,
      kernelFunc: ({ inputs, attrs }) => {
        const values = Object.fromEntries(
          Object.entries(inputs)
            .filter(([, info]) => info != null)
            .map(([name, info]) => [name, backend.lookUp(info as TensorInfo)]),
        );
        const result = rule(backend.tracing(), values, attrs ?? {});
        return Array.isArray(result) ? result.map((value) => backend.wrap(value)) : backend.wrap(result);
      },
    });
  }
}
registerKernels();

/** Runs `body` with the tracing backend active; synchronous, so that nothing else can run in between. */
function withTraceBackend<T>(graph: GraphBuilder, body: () => T): T {
  const previous = tf.getBackend();
  backend.graph = graph;
  void tf.setBackend(BACKEND); // takes effect before it returns: the backend needs no asynchronous start
  tf.engine().startScope();
  try {
    return body();
  } catch (thrown) {
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    const missing = /Kernel '(\w+)' not registered/.exec(message);
    if (missing !== null)
      throw new UserError(
        `the compiler has no rule for the tfjs kernel '${missing[1]}' (see docs/compile.md)`,
        {
          cause: thrown,
        },
      );
    throw thrown;
  } finally {
    tf.engine().endScope();
    backend.graph = undefined;
    if (previous) void tf.setBackend(previous);
  }
}

/** Whether a function is being traced; otherwise an eager engine runs it, operation by operation. */
export function isTracing(): boolean {
  return backend.graph !== undefined;
}

export interface TraceInput {
  readonly name: string;
  readonly shape: Shape;
  readonly dtype: TfDType;
  /** If set, the input is a constant of the graph. */
  readonly constant?: TypedArray;
}

/**
 * Traces `fn`, called with one tensor per input in order; its named results become the graph's outputs. Returns the
 * ONNX file and its inputs, written for `target` (`GraphBuilder.encode`).
 */
export function trace(
  fn: (tensors: Tensor[]) => Readonly<Record<string, Tensor>>,
  inputs: readonly TraceInput[],
  target: GraphTarget,
): EncodedGraph & { outputs: { name: string; shape: number[]; dtype: TfDType }[] } {
  const graph = new GraphBuilder();
  return withTraceBackend(graph, () => {
    const tensors = inputs.map(({ name, shape, dtype, constant }) => {
      const value =
        constant === undefined
          ? graph.input(name, { shape, dtype })
          : graph.constant(constant, { shape, dtype });
      const info = backend.wrap(value);
      return tf.engine().makeTensorFromTensorInfo(info, backend);
    });
    const results = Object.entries(fn(tensors));
    for (const [name, tensor] of results) graph.output(name, backend.lookUp(tensor));
    const outputs = results.map(([name, tensor]) => ({
      name,
      shape: [...tensor.shape],
      dtype: tensor.dtype as TfDType,
    }));
    return { ...graph.encode(target), outputs };
  });
}
