/**
 * The tracer's rule for a stride-2 convolution's gradient by its image. Pixels of dX whose row and column have the same
 * parities depend on the same taps of W, so each quarter of dX is a stride-1 convolution of dY, several times as fast
 * as the transposed convolution. Rows, with k taps and `top` rows of padding (columns alike):
 *
 *   dX[2p + r] = Σ_m W[i₀ + 2m] · dY[p + d − m],   i₀ = (r + top) mod 2,  d = (r + top − i₀)/2,  m < (k − i₀)/2
 *
 * Finally the quarters are interleaved. A sum of two such gradients, as at a shortcut, is computed quarter by quarter.
 */
import type { GraphBuilder } from './graph.ts';
import { equalShapes } from './graph-value.ts';
import type { Shape, Value } from './graph-value.ts';
import { padImage, reverse } from './trace-rule.ts';
import type { Pads } from './trace-rule.ts';
import type tf from './tf.ts';

type Conv2DInfo = ReturnType<typeof tf.backend_util.computeConv2DInfo>;

/** dX's quarters [n, c, h/2, w/2], by the parities of row and column: (0, 0), (0, 1), (1, 0), (1, 1); null: all zeros. */
type Quarters = readonly (Value | null)[];

const PARITIES = [0, 1] as const;

/** The operands of the values made by `interleave`. */
const quartersOf = new WeakMap<Value, Quarters>();

/** dX [n, c, h, w] from dY [n, o, h', w'] and the filter [c, o, kh, kw]; null unless stride is 2 and the image even. */
export function stridedInputGradient(
  graph: GraphBuilder,
  dy: Value,
  filter: Value,
  info: Conv2DInfo,
): Value | null {
  const { batchSize, inChannels, inHeight, inWidth, strideHeight, strideWidth } = info;
  if (strideHeight !== 2 || strideWidth !== 2 || inHeight % 2 !== 0 || inWidth % 2 !== 0) return null;
  const shape = [batchSize, inChannels, inHeight / 2, inWidth / 2];
  const quarters = PARITIES.flatMap((r) =>
    PARITIES.map((s) => {
      const rows = tapsOf(r, info.filterHeight, info.padInfo.top, inHeight / 2, info.outHeight);
      const columns = tapsOf(s, info.filterWidth, info.padInfo.left, inWidth / 2, info.outWidth);
      return quarter(graph, dy, filter, rows, columns, shape);
    }),
  );
  return interleave(graph, quarters, shape, dy.dtype);
}

interface Taps {
  readonly first: number;
  readonly count: number;
  /** Rows of zeros around dY; negative ones crop it. */
  readonly before: number;
  readonly after: number;
}

function tapsOf(parity: number, kernel: number, pad: number, extent: number, outExtent: number): Taps {
  const first = (parity + pad) % 2;
  const count = Math.max(0, Math.ceil((kernel - first) / 2));
  const before = count - 1 - (parity + pad - first) / 2;
  return { first, count, before, after: extent + count - 1 - outExtent - before };
}

function quarter(
  graph: GraphBuilder,
  dy: Value,
  filter: Value,
  rows: Taps,
  columns: Taps,
  shape: Shape,
): Value | null {
  if (rows.count === 0 || columns.count === 0) return null;
  const pads: Pads = [rows.before, columns.before, rows.after, columns.after];
  const crops = pads.map((pad) => Math.min(pad, 0)) as unknown as Pads;
  const attributes = {
    kernel_shape: { ints: [rows.count, columns.count] },
    strides: { ints: [1, 1] },
    pads: { ints: pads.map((pad) => Math.max(pad, 0)) },
  };
  const operands = [padImage(graph, dy, crops), everySecondTap(graph, filter, rows, columns)];
  return graph.apply('Conv', operands, attributes, { shape, dtype: dy.dtype });
}

/** Taps first, first + 2, …, last one first. (WebGPU slices wrongly by a step of −2.) */
function everySecondTap(graph: GraphBuilder, filter: Value, rows: Taps, columns: Taps): Value {
  const shape = [...filter.shape.slice(0, 2), rows.count, columns.count];
  const perAxis = (of: (taps: Taps) => number) => graph.integers([of(rows), of(columns)]);
  const operands = [
    filter,
    perAxis(({ first }) => first),
    perAxis(({ first, count }) => first + 2 * count - 1),
    graph.integers([2, 3]),
    graph.integers([2, 2]),
  ];
  return reverse(graph, graph.apply('Slice', operands, {}, { shape, dtype: filter.dtype }), [2, 3]);
}

function interleave(graph: GraphBuilder, quarters: Quarters, shape: Shape, dtype: Value['dtype']): Value {
  const [n, c, height, width] = shape as [number, number, number, number];
  const pairs = (values: readonly Value[], rows: number, length: number) => {
    const sides = values.map((value) => graph.reshape(value, [rows, length]));
    return graph.apply('Concat', sides, { axis: { int: 1 } }, { shape: [rows, 2 * length], dtype });
  };
  const all = quarters.map((value) => value ?? graph.splat(0, { shape, dtype }));
  const halves = [all.slice(0, 2), all.slice(2)].map((row) => pairs(row, n * c * height * width, 1));
  const whole = graph.reshape(pairs(halves, n * c * height, 2 * width), [n, c, 2 * height, 2 * width]);
  quartersOf.set(whole, quarters);
  return whole;
}

/** a + b if both are interleaved quarters; otherwise null. */
export function sumOfQuarters(graph: GraphBuilder, a: Value, b: Value): Value | null {
  const [left, right] = [quartersOf.get(a), quartersOf.get(b)];
  if (left === undefined || right === undefined || !equalShapes(a.shape, b.shape)) return null;
  const [n, c, height, width] = a.shape as [number, number, number, number];
  const type = { shape: [n, c, height / 2, width / 2], dtype: a.dtype };
  const sums = left.map((value, i) => {
    const other = right[i]!;
    return value === null || other === null ? (value ?? other) : graph.apply('Add', [value, other], {}, type);
  });
  return interleave(graph, sums, type.shape, a.dtype);
}
