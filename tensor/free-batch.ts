/**
 * Generalises a graph that was traced for one batch size to any size. The size of the trace is a number of which
 * nothing else in the graph is a multiple, so that every place that depends on it can be identified: extents of inputs
 * and outputs get a name, and a Reshape gets -1 there. Other dependencies on it cannot be generalised.
 */
import type { OnnxGraph, OnnxNode, OnnxTensor } from './onnx.ts';

/** A prime, larger than the extents of images and layers. */
export const TRACED_BATCH = 1_000_003;
const NAME = 'batch';

/** The graph for any batch size. @throws Error if a node other than a Reshape depends on the batch's size. */
export function withFreeBatch(graph: OnnxGraph): OnnxGraph {
  const fixed = new Map(graph.initializers.filter(holdsBatch).map((tensor) => [tensor.name, tensor]));
  const free = new Map([...fixed].map(([name, tensor]) => [name, freed(tensor)]));
  const isLeft = (node: OnnxNode) =>
    node.inputs.some((name, i) => fixed.has(name) && !(node.op === 'Reshape' && i === 1)) ||
    Object.values(node.attributes).some((value) => 'ints' in value && value.ints.some(isOfBatch));
  const left = graph.nodes.find(isLeft);
  if (left !== undefined) throw new Error(`${left.op} depends on the size of the batch`);
  const named = <Value extends { readonly shape: readonly (number | string)[] }>(value: Value) => ({
    ...value,
    shape: value.shape.map((extent) => (typeof extent === 'number' && isOfBatch(extent) ? NAME : extent)),
  });
  return {
    nodes: graph.nodes,
    initializers: graph.initializers.map((tensor) => free.get(tensor.name) ?? tensor),
    inputs: graph.inputs.map(named),
    outputs: graph.outputs.map(named),
  };
}

function isOfBatch(extent: number): boolean {
  return extent !== 0 && extent % TRACED_BATCH === 0;
}

function holdsBatch(tensor: OnnxTensor): boolean {
  return tensor.dtype === 'int64' && elements(tensor).some((value) => isOfBatch(Number(value)));
}

function elements({ bytes }: OnnxTensor): bigint[] {
  return Array.from(new BigInt64Array(bytes.slice().buffer));
}

function freed(tensor: OnnxTensor): OnnxTensor {
  const values = elements(tensor).map((value) => (isOfBatch(Number(value)) ? -1n : value));
  if (values.filter((value) => value === -1n).length > 1)
    throw new Error('a Reshape depends on the size of the batch in two places');
  return { ...tensor, bytes: new Uint8Array(BigInt64Array.from(values).buffer) };
}
