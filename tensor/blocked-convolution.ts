/**
 * Convolutions in ONNX Runtime's blocked layout. Its CPU kernels convolve fastest on channels in blocks ([n, c/b, h, w, b],
 * b = 8 or 16 by processor) and its optimiser goes there by itself, but only where weights are constants. In training
 * they are inputs; so we write the operators of its `com.microsoft.nchwc` domain ourselves:
 *
 *   Conv(x, W)  →  ReorderOutput(Conv_b(ReorderInput(x), blocked W)),   W [o, i, kh, kw] → [o/b, i/b, kh, kw, b(i), b(o)]
 *
 * The domain is not documented for use from outside. So it is used only after `findBlockSize` has seen it give right
 * results in this process, on this processor; otherwise convolutions stay as they are.
 */
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { encodeModel } from './onnx.ts';
import type { OnnxGraph, OnnxNode, OnnxTensor } from './onnx.ts';

const DOMAIN = 'com.microsoft.nchwc';
const BLOCK_SIZES = [8, 16];

export interface ConvolutionShapes {
  /** Channels of the image. */
  readonly inputs: number;
  readonly outputs: number;
  readonly kernel: readonly [number, number];
}

interface Lowered {
  readonly nodes: OnnxNode[];
  readonly initializers: OnnxTensor[];
}

/**
 * Replaces every convolution that `shapesOf` describes (null: leave it) and whose channels are multiples of `block`.
 */
export function blockConvolutions(
  nodes: readonly OnnxNode[],
  block: number,
  shapesOf: (node: OnnxNode) => ConvolutionShapes | null,
): Lowered {
  const initializers: OnnxTensor[] = [];
  /** Names of values in blocked layout, by the name of the plain value. */
  const blocked = new Map<string, string>();
  const lowered = nodes.flatMap((node) => {
    const shapes = node.op === 'Conv' && node.domain === '' ? shapesOf(node) : null;
    if (shapes === null || shapes.inputs % block !== 0 || shapes.outputs % block !== 0) return [node];
    return lowerOne(node, shapes, block, blocked, initializers);
  });
  return { nodes: lowered, initializers };
}

function lowerOne(
  node: OnnxNode,
  { inputs, outputs, kernel }: ConvolutionShapes,
  block: number,
  blocked: Map<string, string>,
  initializers: OnnxTensor[],
): OnnxNode[] {
  const [x, weight, ...bias] = node.inputs as [string, string, ...string[]];
  const y = node.outputs[0]!;
  const shape = (suffix: string, extents: readonly number[]): string => {
    const name = `${y}:${suffix}`;
    const bytes = new Uint8Array(BigInt64Array.from(extents.map(BigInt)).buffer);
    initializers.push({ name, dtype: 'int64', shape: [extents.length], bytes });
    return name;
  };
  const split = [outputs / block, block, inputs / block, block, ...kernel];
  const made: OnnxNode[] = [
    plain('Reshape', [weight, shape('split', split)], `${y}:w6`),
    plain('Transpose', [`${y}:w6`], `${y}:wt`, { perm: { ints: [0, 2, 4, 5, 3, 1] } }),
    plain('Reshape', [`${y}:wt`, shape('whole', [outputs, inputs, ...kernel])], `${y}:w`),
  ];
  if (!blocked.has(x)) {
    blocked.set(x, `${x}:blocked`);
    made.push({ ...plain('ReorderInput', [x], `${x}:blocked`), domain: DOMAIN });
  }
  blocked.set(y, `${y}:blocked`);
  const operands = [blocked.get(x)!, `${y}:w`, ...bias];
  made.push({ ...node, domain: DOMAIN, inputs: operands, outputs: [`${y}:blocked`] });
  made.push({
    ...plain('ReorderOutput', [`${y}:blocked`], y, { channels: { int: outputs } }),
    domain: DOMAIN,
  });
  return made;
}

function plain(
  op: string,
  inputs: readonly string[],
  output: string,
  attributes: OnnxNode['attributes'] = {},
): OnnxNode {
  return { op, domain: '', inputs, outputs: [output], attributes };
}

let found: Promise<number | null> | undefined;

/** The block size with which blocked convolutions give right results here, or null; looked for once. */
export function findBlockSize(): Promise<number | null> {
  found ??= (async () => {
    for (const block of BLOCK_SIZES) if (await givesRightResults(block)) return block;
    return null;
  })();
  return found;
}

/** A 3×3 convolution of 16 channels to 32 with a bias, plain against blocked. */
async function givesRightResults(block: number): Promise<boolean> {
  const [inputs, outputs, size] = [16, 32, 5];
  const image = [1, inputs, size, size];
  const filter = [outputs, inputs, 3, 3];
  const ramp = (shape: readonly number[]) =>
    new OrtTensor(
      'float32',
      Float32Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => Math.sin(i)),
      shape,
    );
  const feeds = { x: ramp(image), w: ramp(filter), b: ramp([outputs]) };
  const attributes = {
    kernel_shape: { ints: [3, 3] },
    pads: { ints: [1, 1, 1, 1] },
    strides: { ints: [1, 1] },
  };
  const node: OnnxNode = { op: 'Conv', domain: '', inputs: ['x', 'w', 'b'], outputs: ['y'], attributes };
  const declared = {
    inputs: (['x', 'w', 'b'] as const).map(
      (name) => ({ name, dtype: 'float32', shape: feeds[name].dims }) as const,
    ),
    outputs: [{ name: 'y', dtype: 'float32', shape: [1, outputs, size, size] } as const],
  };
  const run = async (graph: Pick<OnnxGraph, 'nodes' | 'initializers'>) => {
    const session = await InferenceSession.create(encodeModel({ ...declared, ...graph }), {
      logSeverityLevel: 4,
    });
    const result = await session.run(feeds);
    await session.release();
    return result['y']!.data as Float32Array;
  };
  try {
    const expected = await run({ nodes: [node], initializers: [] });
    const actual = await run(blockConvolutions([node], block, () => ({ inputs, outputs, kernel: [3, 3] })));
    return expected.every((value, i) => Math.abs(value - actual[i]!) < 1e-4);
  } catch {
    return false; // no such operators, or not on this processor
  }
}
