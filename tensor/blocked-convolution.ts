/**
 * Convolutions in ONNX Runtime's blocked layout. Its CPU kernels convolve fastest on channels in blocks ([n, c/b, h, w, b],
 * b = 8 or 16 by processor) and its optimiser goes there by itself, but only where weights are constants. In training
 * they are inputs; so we write the operators of its `com.microsoft.nchwc` domain ourselves:
 *
 *   Conv(x, W)  →  ReorderOutput(Conv_b(ReorderInput(x), blocked W)),   W [o, i, kh, kw] → [o/b, i/b, kh, kw, b(i), b(o)]
 *
 * In a filter's gradient, W is the output's error with batch and channels swapped (trace-convolution.ts). It is as large
 * as an image then, and is made from the error's blocked form, whose rows of b numbers stay together.
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
 * Nodes that only the replaced ones read stay in the list.
 */
export function blockConvolutions(
  nodes: readonly OnnxNode[],
  block: number,
  shapesOf: (node: OnnxNode) => ConvolutionShapes | null,
): Lowered {
  const lowering = new Lowering(nodes, block);
  for (const node of nodes) {
    const shapes = node.op === 'Conv' && node.domain === '' ? shapesOf(node) : null;
    if (shapes === null || shapes.inputs % block !== 0 || shapes.outputs % block !== 0)
      lowering.nodes.push(node);
    else lowering.convolution(node, shapes);
  }
  return lowering;
}

class Lowering implements Lowered {
  readonly nodes: OnnxNode[] = [];
  readonly initializers: OnnxTensor[] = [];
  /** Names of values in blocked layout, by the name of the plain value. */
  readonly #blocked = new Map<string, string>();
  readonly #producers: ReadonlyMap<string, OnnxNode>;
  readonly #block: number;

  constructor(nodes: readonly OnnxNode[], block: number) {
    this.#producers = new Map(nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)));
    this.#block = block;
  }

  convolution(node: OnnxNode, { inputs, outputs, kernel }: ConvolutionShapes): void {
    const [x, weight, ...bias] = node.inputs as [string, string, ...string[]];
    const y = node.outputs[0]!;
    const b = this.#block;
    const swapped = this.#batchAndChannelsSwapped(weight);
    const split =
      swapped === null
        ? [outputs / b, b, inputs / b, b, ...kernel]
        : [inputs / b, b, outputs / b, ...kernel, b];
    const perm = swapped === null ? [0, 2, 4, 5, 3, 1] : [2, 0, 3, 4, 1, 5];
    const source = swapped === null ? weight : this.#blockedForm(swapped);
    this.nodes.push(
      plain('Reshape', [source, this.#shape(`${y}:split`, split)], `${y}:w6`),
      plain('Transpose', [`${y}:w6`], `${y}:wt`, { perm: { ints: perm } }),
      plain('Reshape', [`${y}:wt`, this.#shape(`${y}:whole`, [outputs, inputs, ...kernel])], `${y}:w`),
    );
    const operands = [this.#blockedForm(x), `${y}:w`, ...bias];
    this.#blocked.set(y, `${y}:blocked`);
    this.nodes.push({ ...node, domain: DOMAIN, inputs: operands, outputs: [`${y}:blocked`] });
    const channels = { channels: { int: outputs } };
    this.nodes.push({ ...plain('ReorderOutput', [`${y}:blocked`], y, channels), domain: DOMAIN });
  }

  /** The image whose axes [n, c, h, w] the named value has as [c, n, h, w]; null for anything else. */
  #batchAndChannelsSwapped(name: string): string | null {
    const node = this.#producers.get(name);
    const perm = node?.op === 'Transpose' ? node.attributes['perm'] : undefined;
    return perm !== undefined && 'ints' in perm && perm.ints.join() === '1,0,2,3' ? node!.inputs[0]! : null;
  }

  #blockedForm(name: string): string {
    const existing = this.#blocked.get(name);
    if (existing !== undefined) return existing;
    this.#blocked.set(name, `${name}:blocked`);
    this.nodes.push({ ...plain('ReorderInput', [name], `${name}:blocked`), domain: DOMAIN });
    return `${name}:blocked`;
  }

  #shape(name: string, extents: readonly number[]): string {
    const bytes = new Uint8Array(BigInt64Array.from(extents.map(BigInt)).buffer);
    this.initializers.push({ name, dtype: 'int64', shape: [extents.length], bytes });
    return name;
  }
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
