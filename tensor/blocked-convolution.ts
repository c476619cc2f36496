/**
 * Convolutions in ONNX Runtime's blocked layout. Its CPU kernels convolve fastest on channels in blocks ([n, c/b, h, w,
 * b], b = 8 or 16 by processor) and its optimiser chooses that layout by itself, but only for constant weights. In
 * training they are inputs, so this module writes the operators of its `com.microsoft.nchwc` domain:
 *
 *   Conv(x, W)  →  ReorderOutput(Conv_b(blocked x, blocked W))
 *
 * with operands from blocked-operands.ts. In a filter's gradient the rows of the "filter" are as long as the image's,
 * and the output is as small as a filter: columns are padded beforehand, because the kernel handles padded ones one by
 * one.
 *
 * The domain is not documented for external use. It is used only after `findBlockSize` has verified its results in this
 * process, on this processor; otherwise convolutions are unchanged.
 */
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { BLOCKED_DOMAIN, BlockedOperands } from './blocked-operands.ts';
import type { ConvolutionOperands, Shape4 } from './convolution-operands.ts';
import { encodeModel } from './onnx.ts';
import type { OnnxGraph, OnnxNode } from './onnx.ts';

const BLOCK_SIZES = [8, 16];

/**
 * Replaces every convolution that `operandsOf` describes (null: leave it unchanged) and whose channels are multiples of
 * `block`. Nodes that only the replaced ones read stay in the list.
 */
export function blockConvolutions(
  nodes: readonly OnnxNode[],
  block: number,
  operandsOf: (node: OnnxNode) => ConvolutionOperands | null,
): Pick<OnnxGraph, 'nodes' | 'initializers'> {
  const operands = new BlockedOperands(block);
  for (const node of nodes) {
    const described = node.op === 'Conv' && node.domain === '' ? operandsOf(node) : null;
    if (described === null || described.weights.shape.slice(0, 2).some((channels) => channels % block !== 0))
      operands.nodes.push(node);
    else writeConvolution(operands, node, described);
  }
  return operands;
}

function writeConvolution(
  operands: BlockedOperands,
  node: OnnxNode,
  { image, weights }: ConvolutionOperands,
): void {
  const [top, left, bottom, right] = padsOf(node);
  const x = image.isSwapped
    ? operands.swappedImage(image.source, image.shape, { left, right })
    : operands.image(image.source);
  const pads = image.isSwapped ? [top, 0, bottom, 0] : [top, left, bottom, right];
  const y = node.outputs[0]!;
  const blocked = `${y}:blocked`;
  operands.nodes.push({
    ...node,
    domain: BLOCKED_DOMAIN,
    inputs: [x, operands.weights(weights), ...node.inputs.slice(2)],
    outputs: [blocked],
    attributes: { ...node.attributes, pads: { ints: pads } },
  });
  operands.remember(y, blocked);
  operands.nodes.push({
    op: 'ReorderOutput',
    domain: BLOCKED_DOMAIN,
    inputs: [blocked],
    outputs: [y],
    attributes: { channels: { int: weights.shape[0] } },
  });
}

function padsOf({ attributes: { pads } }: OnnxNode): Shape4 {
  return pads !== undefined && 'ints' in pads ? (pads.ints as Shape4) : [0, 0, 0, 0];
}

let found: Promise<number | null> | undefined;

/** The block size with which blocked convolutions give correct results here, or null; determined once. */
export function findBlockSize(): Promise<number | null> {
  found ??= (async () => {
    for (const block of BLOCK_SIZES) if (await givesRightResults(block)) return block;
    return null;
  })();
  return found;
}

/** A 3×3 convolution of 16 channels to 32 with a bias: block sizes are tried on it. */
const TRIAL = {
  node: {
    op: 'Conv',
    domain: '',
    inputs: ['x', 'w', 'b'],
    outputs: ['y'],
    attributes: { kernel_shape: { ints: [3, 3] }, pads: { ints: [1, 1, 1, 1] }, strides: { ints: [1, 1] } },
  },
  operands: {
    image: { source: 'x', isSwapped: false, shape: [1, 16, 5, 5] },
    weights: { source: 'w', form: 'plain', shape: [32, 16, 3, 3] },
  },
  inputs: { x: [1, 16, 5, 5], w: [32, 16, 3, 3], b: [32] },
  outputs: [{ name: 'y', dtype: 'float32', shape: [1, 32, 5, 5] }],
} as const;

/** Computes the trial's convolution plain and blocked. */
async function givesRightResults(block: number): Promise<boolean> {
  try {
    const expected = await runTrial({ nodes: [TRIAL.node], initializers: [] });
    const actual = await runTrial(blockConvolutions([TRIAL.node], block, () => TRIAL.operands));
    return expected.every((value, i) => Math.abs(value - actual[i]!) < 1e-4);
  } catch {
    return false; // no such operators, or not on this processor
  }
}

async function runTrial(graph: Pick<OnnxGraph, 'nodes' | 'initializers'>): Promise<Float32Array> {
  const shapes = Object.entries<readonly number[]>(TRIAL.inputs);
  const inputs = shapes.map(([name, shape]) => ({ name, dtype: 'float32', shape }) as const);
  const feeds = Object.fromEntries(shapes.map(([name, shape]) => [name, wave(shape)]));
  const bytes = encodeModel({ inputs, outputs: TRIAL.outputs, ...graph });
  const session = await InferenceSession.create(bytes, { logSeverityLevel: 4 });
  const result = await session.run(feeds);
  await session.release();
  return result['y']!.data as Float32Array;
}

/** sin 0, sin 1, sin 2, … */
function wave(shape: readonly number[]): OrtTensor {
  const length = shape.reduce((a, b) => a * b);
  return new OrtTensor(
    'float32',
    Float32Array.from({ length }, (_, i) => Math.sin(i)),
    shape,
  );
}
