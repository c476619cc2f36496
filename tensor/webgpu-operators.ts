/**
 * Rewrites nodes that ONNX Runtime 1.30 computes wrongly with WebGPU. It takes a convolution by one pixel, or by as many as
 * the image has, for a matrix product, and then forgets rows and columns of zeros that are only below and to the right.
 */
import type { OnnxNode, OnnxTensor } from './onnx.ts';

/** The nodes with these zeros written out before the convolution. */
export function webGpuOperators(nodes: readonly OnnxNode[]): OnnxNode[] {
  return nodes.flatMap((node) => {
    const { op, inputs, outputs, attributes } = node;
    const pads = attributes['pads'];
    if (op !== 'Conv' || pads === undefined || !('ints' in pads)) return [node];
    const [top = 0, left = 0, bottom = 0, right = 0] = pads.ints;
    if (top !== 0 || left !== 0 || (bottom === 0 && right === 0)) return [node];
    const [amounts, padded] = [`${outputs[0]}:pads`, `${outputs[0]}:padded`];
    const tensor = int64([0, 0, 0, 0, 0, 0, bottom, right]);
    return [
      { op: 'Constant', domain: '', inputs: [], outputs: [amounts], attributes: { value: { tensor } } },
      { op: 'Pad', domain: '', inputs: [inputs[0]!, amounts], outputs: [padded], attributes: {} },
      {
        ...node,
        inputs: [padded, ...inputs.slice(1)],
        attributes: { ...attributes, pads: { ints: [0, 0, 0, 0] } },
      },
    ];
  });
}

function int64(values: readonly number[]): OnnxTensor {
  const bytes = new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
  return { name: '', dtype: 'int64', shape: [values.length], bytes };
}
