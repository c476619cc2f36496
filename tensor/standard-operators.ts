/** Rewrites ONNX Runtime's own operators in those of the ONNX standard, for files that other runtimes will read. */
import type { OnnxNode } from './onnx.ts';

/** The nodes, using only ONNX's own domain. @throws Error for an operator without such a form. */
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
  /** A product of two matrices, either of which may be transposed. */
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
