/** The type of a tracer's rule, and graph fragments that several rules share. */
import type { GraphBuilder } from './graph.ts';
import type { Value } from './graph-value.ts';
import tf from './tf.ts';

export type Inputs = Readonly<Record<string, Value>>;

/** Appends the nodes of one kernel call. `attributes` are the kernel's own, typed by tfjs. */
export type KernelRule = (graph: GraphBuilder, inputs: Inputs, attributes: object) => Value | Value[];

/** A rule whose attributes have tfjs's type for its kernel. */
export function rule<A>(
  apply: (graph: GraphBuilder, inputs: Inputs, attributes: A) => Value | Value[],
): KernelRule {
  return apply as KernelRule;
}

const { broadcast_util: broadcasting } = tf;

/** Batched matrix product; leading axes broadcast. Transposed operands are passed to the product without a copy. */
export function matMul(
  graph: GraphBuilder,
  a: Value,
  b: Value,
  transposeA: boolean,
  transposeB: boolean,
): Value {
  const rows = a.shape.at(transposeA ? -1 : -2)!;
  const columns = b.shape.at(transposeB ? -2 : -1)!;
  const batch = broadcasting.assertAndGetBroadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2));
  const type = { shape: [...batch, rows, columns], dtype: a.dtype };
  if (!transposeA && !transposeB) return graph.apply('MatMul', [a, b], {}, type);
  const attributes = { transA: { int: Number(transposeA) }, transB: { int: Number(transposeB) } };
  return graph.apply('FusedMatMul', [a, b], attributes, type);
}

/** x with the given axes in reverse order: Slice with step −1. */
export function reverse(graph: GraphBuilder, x: Value, axes: readonly number[]): Value {
  const reversed = axes.filter((axis) => x.shape[axis]! > 1);
  if (reversed.length === 0) return x;
  const each = (element: number) => graph.integers(reversed.map(() => element));
  const beforeFirst = -(2 ** 31);
  return graph.apply('Slice', [x, each(-1), each(beforeFirst), graph.integers(reversed), each(-1)], {}, x);
}

export type Pads = readonly [top: number, left: number, bottom: number, right: number];

/** Image padded (negative: cropped) by [top, left, bottom, right] zeros. */
export function padImage(graph: GraphBuilder, x: Value, [top, left, bottom, right]: Pads): Value {
  if (top === 0 && left === 0 && bottom === 0 && right === 0) return x;
  const [a, b, height, width] = x.shape as [number, number, number, number];
  const shape = [a, b, height + top + bottom, width + left + right];
  const pads = graph.integers([0, 0, top, left, 0, 0, bottom, right]);
  return graph.apply('Pad', [x, pads, graph.scalar(0)], {}, { shape, dtype: x.dtype });
}
