/**
 * The graph that a trace builds: values and ONNX nodes in execution order, simplified while they are added.
 *
 * - equal nodes on equal inputs are one node (common sub-expressions);
 * - a constant filled with one value stays a `splat` and becomes bytes only where an operator needs a full tensor;
 * - consecutive transposes and reshapes merge, and those without effect vanish;
 * - nodes that no output needs are left out of the file.
 *
 * It knows ONNX operators, not tfjs: trace-kernels.ts translates.
 */
import { sizeOf } from './array.ts';
import { blockConvolutions } from './blocked-convolution.ts';
import { standardOperators } from './standard-operators.ts';
import { trainableConvolution } from './convolution-operands.ts';
import { equalShapes, producer } from './graph-value.ts';
import type { Attributes, GraphNode, Shape, Value, ValueType } from './graph-value.ts';
import { encodeModel } from './onnx.ts';
import { webGpuOperators } from './webgpu-operators.ts';
import { withFreeBatch } from './free-batch.ts';
import type { OnnxDType, OnnxGraph, OnnxNode, OnnxTensor } from './onnx.ts';

const MICROSOFT_OPERATORS = new Set(['FusedMatMul', 'QuickGelu']);

const OPERATORS_OF = { standard: standardOperators, webgpu: webGpuOperators };

/** The target of a graph (`GraphBuilder.encode`): a block size, a restricted set of operators, or neither. */
export type GraphTarget = number | null | keyof typeof OPERATORS_OF;

export interface EncodedGraph {
  readonly bytes: Uint8Array;
  readonly nodes: readonly OnnxNode[];
  readonly usedInputs: readonly string[];
  readonly flops: number;
}

export class GraphBuilder {
  private readonly inputs: Value[] = [];
  private readonly outputs: { name: string; value: Value }[] = [];
  private readonly nodes: GraphNode[] = [];
  private readonly known = new Map<string, GraphNode>();
  private readonly constants = new Map<string, Value>();
  private count = 0;

  input(name: string, type: ValueType): Value {
    const value: Value = { ...type, name, source: { kind: 'input' } };
    this.inputs.push(value);
    return value;
  }

  /** A constant; one that holds a single repeated number becomes a splat. */
  constant(elements: ArrayLike<number>, type: ValueType): Value {
    const first = elements[0];
    if (first !== undefined && type.shape.length > 0 && everyEqual(elements, first))
      return this.splat(first, type);
    return this.constantBytes(elementBytes(elements, type.dtype), type);
  }

  scalar(value: number, dtype: OnnxDType = 'float32'): Value {
    return this.constant([value], { shape: [], dtype });
  }

  /** A one-dimensional int64 constant, as ONNX takes shapes and axes. */
  integers(elements: readonly number[]): Value {
    return this.constantBytes(elementBytes(elements, 'int64'), { shape: [elements.length], dtype: 'int64' });
  }

  splat(value: number, type: ValueType): Value {
    return { ...type, name: `splat${this.count++}`, source: { kind: 'splat', value } };
  }

  /** The single number that fills `value`, or undefined. */
  splatOf(value: Value): number | undefined {
    return value.source.kind === 'splat' ? value.source.value : undefined;
  }

  /** Adds a node (or finds its equal) and returns its outputs. Splat inputs are written out in full. */
  node(op: string, inputs: readonly Value[], attributes: Attributes, outputs: readonly ValueType[]): Value[] {
    const full = inputs.map((input) => this.materialize(input));
    const key = JSON.stringify([op, full.map((input) => input.name), attributes]);
    const existing = this.known.get(key);
    if (existing !== undefined) return existing.outputs;
    const domain = MICROSOFT_OPERATORS.has(op) ? 'com.microsoft' : '';
    const node: GraphNode = { op, domain, inputs: full, attributes, outputs: [] };
    for (const type of outputs)
      node.outputs.push({ ...type, name: `v${this.count++}`, source: { kind: 'node', node } });
    this.nodes.push(node);
    this.known.set(key, node);
    return node.outputs;
  }

  /** A node with one output. */
  apply(op: string, inputs: readonly Value[], attributes: Attributes, output: ValueType): Value {
    return this.node(op, inputs, attributes, [output])[0]!;
  }

  reshape(value: Value, shape: Shape): Value {
    if (equalShapes(value.shape, shape)) return value;
    const type = { shape, dtype: value.dtype };
    if (value.source.kind === 'splat') return this.splat(value.source.value, type);
    if (value.source.kind === 'constant') return this.constantBytes(value.source.bytes, type);
    const previous = producer(value, 'Reshape');
    if (previous !== undefined) return this.reshape(previous.inputs[0]!, shape);
    return this.apply('Reshape', [value, this.integers(shape)], {}, type);
  }

  transpose(value: Value, permutation: readonly number[]): Value {
    const shape = permutation.map((axis) => value.shape[axis]!);
    if (value.source.kind === 'splat') return this.splat(value.source.value, { shape, dtype: value.dtype });
    const previous = producer(value, 'Transpose');
    if (previous !== undefined) {
      const earlier = (previous.attributes['perm'] as { ints: readonly number[] }).ints;
      return this.transpose(
        previous.inputs[0]!,
        permutation.map((axis) => earlier[axis]!),
      );
    }
    if (keepsOrder(permutation, value.shape)) return this.reshape(value, shape);
    return this.apply('Transpose', [value], { perm: { ints: permutation } }, { shape, dtype: value.dtype });
  }

  output(name: string, value: Value): void {
    this.outputs.push({ name, value });
  }

  /**
   * The ONNX file, without the nodes that no output needs; these nodes; the names of the inputs that it reads; and the
   * floating-point operations of its convolutions and matrix products (a multiply-add counts two), the bulk of the
   * work. With a `block` size, convolutions with non-constant weights are written in the blocked layout
   * (blocked-convolution.ts); `standard` uses only operators of the ONNX standard (standard-operators.ts), and allows
   * any batch size (free-batch.ts); `webgpu` is for that device (webgpu-operators.ts).
   */
  encode(block: GraphTarget): EncodedGraph {
    const outputs = this.outputs.map(({ name, value }) => ({ name, value: this.materialize(value) }));
    const { live, initializers, usedInputs } = reachableFrom(outputs.map(({ value }) => value));
    const kept = this.nodes.filter((node) => live.has(node));
    const lowered = lower(kept, block);
    const read = outputs.map(({ value }) => value.name);
    const file: OnnxGraph = {
      nodes: [
        ...withoutUnread(lowered.nodes, read),
        ...outputs.map(({ name, value }) => ({
          op: 'Identity',
          domain: '',
          attributes: {},
          inputs: [value.name],
          outputs: [name],
        })),
      ],
      initializers: [...initializers.values(), ...lowered.initializers],
      inputs: this.inputs.filter((input) => usedInputs.has(input.name)),
      outputs: outputs.map(({ name, value }) => ({ name, shape: value.shape, dtype: value.dtype })),
    };
    const bytes = encodeModel(block === 'standard' ? withFreeBatch(file) : file);
    const flops = [...live].reduce((sum, node) => sum + flopsOf(node), 0);
    return { bytes, nodes: file.nodes, usedInputs: [...usedInputs], flops };
  }

  /** A splat as a real value: ConstantOfShape, so that big zeros cost no bytes in the file. */
  private materialize(value: Value): Value {
    if (value.source.kind !== 'splat') return value;
    const element = elementBytes([value.source.value], value.dtype);
    if (sizeOf(value.shape) === 1) return this.constantBytes(element, value);
    const tensor = { name: '', dtype: value.dtype, shape: [1], bytes: element };
    return this.apply('ConstantOfShape', [this.integers(value.shape)], { value: { tensor } }, value);
  }

  private constantBytes(bytes: Uint8Array, { shape, dtype }: ValueType): Value {
    const key = `${dtype}[${shape.join()}]${Buffer.from(bytes).toString('latin1')}`;
    const existing = bytes.length <= 4096 ? this.constants.get(key) : undefined;
    if (existing !== undefined) return existing;
    const value: Value = { name: `c${this.count++}`, shape, dtype, source: { kind: 'constant', bytes } };
    if (bytes.length <= 4096) this.constants.set(key, value);
    return value;
  }
}

/** The nodes, constants and inputs that the values are computed from. */
function reachableFrom(values: readonly Value[]) {
  const live = new Set<GraphNode>();
  const initializers = new Map<string, OnnxTensor>();
  const usedInputs = new Set<string>();
  const visit = (value: Value): void => {
    const { source } = value;
    if (source.kind === 'input') usedInputs.add(value.name);
    if (source.kind === 'constant') initializers.set(value.name, { ...value, bytes: source.bytes });
    if (source.kind !== 'node' || live.has(source.node)) return;
    live.add(source.node);
    source.node.inputs.forEach(visit);
  };
  values.forEach(visit);
  return { live, initializers, usedInputs };
}

/** The nodes written for a target, and the constants that this adds. */
function lower(kept: readonly GraphNode[], block: GraphTarget): Pick<OnnxGraph, 'nodes' | 'initializers'> {
  const names = (values: readonly Value[]) => values.map((value) => value.name);
  const plain = kept.map((node) => ({ ...node, inputs: names(node.inputs), outputs: names(node.outputs) }));
  if (block === null) return { nodes: plain, initializers: [] };
  if (typeof block !== 'number') return { nodes: OPERATORS_OF[block](plain), initializers: [] };
  const operands = new Map(kept.map((node) => [node.outputs[0]!.name, trainableConvolution(node)]));
  return blockConvolutions(plain, block, (node) => operands.get(node.outputs[0]!) ?? null);
}

/** The nodes that the named results need, in order. */
function withoutUnread(nodes: readonly OnnxNode[], results: readonly string[]): OnnxNode[] {
  const read = new Set(results);
  const needed = nodes.toReversed().filter(({ inputs, outputs }) => {
    if (!outputs.some((name) => read.has(name))) return false;
    inputs.forEach((name) => read.add(name));
    return true;
  });
  // Without the index output, ONNX Runtime pools in its blocked layout.
  const trimmed = needed.map((node) =>
    node.op === 'MaxPool' && !read.has(node.outputs[1]!)
      ? { ...node, outputs: node.outputs.slice(0, 1) }
      : node,
  );
  return trimmed.reverse();
}

function flopsOf({ op, inputs, outputs, attributes }: GraphNode): number {
  const [first, second] = inputs;
  const size = sizeOf(outputs[0]!.shape);
  switch (op) {
    case 'Conv':
      return 2 * size * sizeOf(second!.shape.slice(1));
    case 'ConvTranspose':
      return 2 * sizeOf(first!.shape) * sizeOf(second!.shape.slice(1));
    case 'MatMul':
    case 'Gemm': // with transB alone, the inner axis is the last too
      return 2 * size * first!.shape.at(-1)!;
    case 'FusedMatMul': {
      const isTransposed =
        'transA' in attributes && 'int' in attributes['transA'] && attributes['transA'].int === 1;
      return 2 * size * first!.shape.at(isTransposed ? -2 : -1)!;
    }
    default:
      return 0;
  }
}

/** Whether the permutation leaves the elements in memory order (it moves only axes of extent 1). */
function keepsOrder(permutation: readonly number[], shape: Shape): boolean {
  const moved = permutation.filter((axis) => shape[axis] !== 1);
  return moved.every((axis, i) => i === 0 || axis > moved[i - 1]!);
}

function everyEqual(elements: ArrayLike<number>, first: number): boolean {
  for (let i = 1; i < elements.length; i++) if (!Object.is(elements[i], first)) return false;
  return true;
}

function elementBytes(elements: ArrayLike<number>, dtype: OnnxDType): Uint8Array {
  switch (dtype) {
    case 'float32':
      return new Uint8Array(Float32Array.from(elements).buffer);
    case 'int32':
      return new Uint8Array(Int32Array.from(elements).buffer);
    case 'int64':
      return new Uint8Array(BigInt64Array.from(Array.from(elements, BigInt)).buffer);
    case 'bool':
    case 'uint8':
      return Uint8Array.from(elements);
    default:
      return dtype satisfies never;
  }
}
