/** Writes ONNX Runtime's own operators in those of the ONNX standard, for files that other runtimes shall read. */
import type { OnnxNode } from './onnx.ts';

/** The nodes with none of another domain than ONNX's. @throws Error for an operator that has no such form here. */
export function standardOperators(nodes: readonly OnnxNode[]): OnnxNode[] {
  return nodes.flatMap((node) => {
    if (node.domain === '') return [node];
    const write = STANDARD_FORMS[node.op];
    if (write === undefined) throw new Error(`${node.op} of ${node.domain} has no standard form`);
    return write(node);
  });
}

const STANDARD_FORMS: Readonly<Record<string, (node: OnnxNode) => OnnxNode[]>> = {
  /** x·σ(αx); here α is always 1. */
  QuickGelu: ({ inputs: [x = ''], outputs: [y = ''] }) => [
    standard('Sigmoid', [x], [`${y}:gate`]),
    standard('Mul', [x, `${y}:gate`], [y]),
  ],
  /** A product of two matrices, either of them transposed. */
  FusedMatMul: ({ inputs, outputs, attributes }) => [standard('Gemm', inputs, outputs, attributes)],
};

function standard(
  op: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: OnnxNode['attributes'] = {},
): OnnxNode {
  return { op, domain: '', inputs, outputs, attributes };
}
