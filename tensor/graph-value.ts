/** The parts of a graph: values and the nodes that make them. */
import type { OnnxAttribute, OnnxDType } from './onnx.ts';

export type Shape = readonly number[];
export type Attributes = Readonly<Record<string, OnnxAttribute>>;

export interface GraphNode {
  readonly op: string;
  readonly domain: string;
  readonly inputs: readonly Value[];
  readonly attributes: Attributes;
  readonly outputs: Value[];
}

export interface Value {
  readonly name: string;
  readonly shape: Shape;
  readonly dtype: OnnxDType;
  readonly source:
    | { readonly kind: 'input' }
    | { readonly kind: 'constant'; readonly bytes: Uint8Array }
    | { readonly kind: 'splat'; readonly value: number }
    | { readonly kind: 'node'; readonly node: GraphNode };
}

export interface ValueType {
  readonly shape: Shape;
  readonly dtype: OnnxDType;
}

/** The node that made `value`, when it is an `op`. */
export function producer(value: Value, op: string): GraphNode | undefined {
  return value.source.kind === 'node' && value.source.node.op === op ? value.source.node : undefined;
}

export function equalShapes(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((extent, axis) => extent === b[axis]);
}

/** Whether it is the same in every run. */
export function isConstant({ source }: Value): boolean {
  if (source.kind === 'node') return source.node.inputs.every(isConstant);
  return source.kind !== 'input';
}
