/** Describes the operands of a convolution for the blocked layout: their sources, and how they were rearranged. */
import { isConstant, producer } from './graph-value.ts';
import type { GraphNode, Value } from './graph-value.ts';

export type Shape4 = readonly [number, number, number, number];

export interface ConvolutionOperands {
  /** The image [n, c, h, w]; `isSwapped`: it is `source` [c, n, h, w] with its leading axes swapped. */
  readonly image: { readonly source: string; readonly isSwapped: boolean; readonly shape: Shape4 };
  /**
   * The weights [o, i, kh, kw]. `plain`: `source` itself; `swapped`: `source` [i, o, kh, kw] with its leading axes
   * swapped; `turned`: the same, also rotated by 180°.
   */
  readonly weights: {
    readonly source: string;
    readonly form: 'plain' | 'swapped' | 'turned';
    readonly shape: Shape4;
  };
}

/** The operands of a convolution whose weights change between runs; null for any other node. */
export function trainableConvolution({ op, inputs }: GraphNode): ConvolutionOperands | null {
  const [x, w] = inputs as [Value, Value];
  if (op !== 'Conv' || isConstant(w)) return null;
  const image = { isSwapped: unswapped(x) !== null, source: (unswapped(x) ?? x).name };
  return {
    image: { ...image, shape: x.shape as Shape4 },
    weights: { ...sourceOfWeights(w), shape: w.shape as Shape4 },
  };
}

function sourceOfWeights(w: Value): Pick<ConvolutionOperands['weights'], 'source' | 'form'> {
  const swapped = unswapped(w);
  if (swapped !== null) return { source: swapped.name, form: 'swapped' };
  const turned = unturned(w);
  return turned === null ? { source: w.name, form: 'plain' } : { source: turned.name, form: 'turned' };
}

/** The source of `value` if it is one with its two leading axes swapped; otherwise null. */
function unswapped(value: Value): Value | null {
  const swap = producer(value, 'Transpose');
  if (swap === undefined) return null;
  const { ints } = swap.attributes['perm'] as { ints: readonly number[] };
  return ints.join() === '1,0,2,3' ? swap.inputs[0]! : null;
}

/** The source of `value` if it is one swapped, and then with both last axes reversed (`reverse`); otherwise null. */
function unturned(value: Value): Value | null {
  const [x, , , axes, steps] = producer(value, 'Slice')?.inputs ?? [];
  const spatial = [2, 3].filter((axis) => value.shape[axis]! > 1);
  const isTurned = isEvery(steps, -1n) && integersOf(axes).join() === spatial.join();
  return isTurned ? unswapped(x!) : null;
}

function isEvery(value: Value | undefined, element: bigint): boolean {
  const elements = integersOf(value);
  return elements.length > 0 && elements.every((each) => each === element);
}

function integersOf(value: Value | undefined): readonly bigint[] {
  return value?.source.kind === 'constant' ? Array.from(new BigInt64Array(value.source.bytes.buffer)) : [];
}
