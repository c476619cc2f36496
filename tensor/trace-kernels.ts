/**
 * The tracer's rules: for each tfjs kernel, the ONNX nodes that compute it. A kernel without a rule fails at trace
 * time with its name. Elementwise, reduction and shape rules are here; convolutions and pooling in trace-convolution.ts.
 */
import type {
  BatchMatMulAttrs,
  CastAttrs,
  ClipByValueAttrs,
  ConcatAttrs,
  ExpandDimsAttrs,
  FillAttrs,
  GatherV2Attrs,
  LeakyReluAttrs,
  LogSoftmaxAttrs,
  OneHotAttrs,
  PackAttrs,
  PadV2Attrs,
  ReshapeAttrs,
  ReverseAttrs,
  SliceAttrs,
  SoftmaxAttrs,
  SplitVAttrs,
  StepAttrs,
  TileAttrs,
  TransposeAttrs,
  UnpackAttrs,
} from '@tensorflow/tfjs';
import { sizeOf } from './array.ts';
import { GROUP_NORM, SILU } from './fused-kernels.ts';
import { equalShapes, producer } from './graph-value.ts';
import type { GraphBuilder } from './graph.ts';
import type { Shape, Value, ValueType } from './graph-value.ts';
import type { OnnxDType } from './onnx.ts';
import { CONVOLUTION_RULES } from './trace-convolution.ts';
import { matMul, reverse, rule } from './trace-rule.ts';
import type { Inputs, KernelRule } from './trace-rule.ts';
import { scaleAndShift } from './trace-scale-shift.ts';
import { sumOfQuarters } from './trace-strided-gradient.ts';
import tf from './tf.ts';

const { broadcast_util: broadcasting } = tf;

/** One ONNX operator, elementwise over one input. */
function unary(op: string): KernelRule {
  return (graph, { x }) => graph.apply(op, [x!], {}, x!);
}

/** One ONNX operator over two inputs that broadcast against each other. */
function binary(op: string, dtype?: OnnxDType): KernelRule {
  return (graph, { a, b }) => applyBinary(graph, op, a!, b!, dtype ?? a!.dtype);
}

function applyBinary(graph: GraphBuilder, op: string, a: Value, b: Value, dtype: OnnxDType): Value {
  if (op === 'Add') {
    const combined =
      addBias(graph, a, b) ??
      scaleAndShift(graph, a, b) ??
      scaleAndShift(graph, b, a) ??
      sumOfQuarters(graph, a, b);
    if (combined !== null) return combined;
  }
  const shape = broadcasting.assertAndGetBroadcastShape([...a.shape], [...b.shape]);
  const neutral = op === 'Mul' || op === 'Div' ? 1 : op === 'Add' || op === 'Sub' ? 0 : undefined;
  if (neutral !== undefined) {
    if (graph.splatOf(b) === neutral && equalShapes(a.shape, shape)) return a;
    const commutes = op === 'Mul' || op === 'Add';
    if (commutes && graph.splatOf(a) === neutral && equalShapes(b.shape, shape)) return b;
  }
  return elementwise(graph, op, asScalar(graph, a, b), asScalar(graph, b, a), { shape, dtype });
}

/**
 * One node over two inputs that broadcast. ONNX Runtime would handle a scalar against axes that end in 1, as of a 1×1
 * filter, element by element: the other operand is flattened instead.
 */
function elementwise(graph: GraphBuilder, op: string, a: Value, b: Value, type: ValueType): Value {
  const isOneRow = type.shape.length > 1 && type.shape.at(-1) === 1;
  const isScalar = ({ shape }: Value) => shape.length === 0;
  if (!isOneRow || !(isScalar(a) || isScalar(b))) return graph.apply(op, [a, b], {}, type);
  const size = sizeOf(type.shape);
  const [flatA, flatB] = [a, b].map((value) => (isScalar(value) ? value : graph.reshape(value, [size])));
  return graph.reshape(graph.apply(op, [flatA!, flatB!], {}, { ...type, shape: [size] }), type.shape);
}

/** Conv(x, w) + bias [1, c, 1, 1] as the convolution's own bias; null for any other sum. */
function addBias(graph: GraphBuilder, a: Value, b: Value): Value | null {
  const convolution = producer(a, 'Conv');
  if (convolution === undefined || convolution.inputs.length !== 2) return null;
  if (!equalShapes(b.shape, [1, a.shape[1]!, 1, 1])) return null;
  const bias = graph.reshape(b, [a.shape[1]!]);
  return graph.apply('Conv', [...convolution.inputs, bias], convolution.attributes, a);
}

/** A splat that only broadcasts against `other` is passed as a scalar. */
function asScalar(graph: GraphBuilder, value: Value, other: Value): Value {
  const splat = graph.splatOf(value);
  if (splat === undefined) return value;
  const shape = broadcasting.assertAndGetBroadcastShape([...value.shape], [...other.shape]);
  return equalShapes(shape, other.shape) ? graph.scalar(splat, value.dtype) : value;
}

/** x ↦ f(x, constant) for a scalar constant. */
function withScalar(graph: GraphBuilder, op: string, x: Value, constant: number): Value {
  return applyBinary(graph, op, x, graph.splat(constant, { shape: [], dtype: x.dtype }), x.dtype);
}

interface ReductionAttributes {
  readonly axis: number | number[];
  readonly keepDims?: boolean;
}

/** ONNX 17 takes ReduceSum's axes as an input, the other reductions' as an attribute. */
function reduction(op: string): KernelRule {
  return rule<ReductionAttributes>((graph, inputs, { axis, keepDims = false }) => {
    const x = inputs['x']!;
    const axes = tf.util.parseAxisParam(axis, [...x.shape]);
    const reduced = x.shape.map((extent, i) => (axes.includes(i) ? 1 : extent));
    const kept = x.shape.filter((_, i) => !axes.includes(i));
    return graph.reshape(reduce(graph, op, x, axes, reduced), keepDims ? reduced : kept);
  });
}

function reduce(graph: GraphBuilder, op: string, x: Value, axes: readonly number[], shape: Shape): Value {
  if (equalShapes(shape, x.shape)) return x;
  const type = { shape, dtype: x.dtype };
  if (op === 'ReduceSum') {
    const splat = graph.splatOf(x);
    if (splat !== undefined) return graph.splat((splat * sizeOf(x.shape)) / sizeOf(shape), type);
    return graph.apply(op, [x, graph.integers(axes)], { keepdims: { int: 1 } }, type);
  }
  return graph.apply(op, [x], { axes: { ints: axes }, keepdims: { int: 1 } }, type);
}

function cast(graph: GraphBuilder, x: Value, dtype: OnnxDType): Value {
  if (x.dtype === dtype) return x;
  const splat = graph.splatOf(x);
  if (splat !== undefined)
    return graph.splat(dtype === 'float32' ? splat : Math.trunc(splat), { ...x, dtype });
  const to = { float32: 1, uint8: 2, int32: 6, int64: 7, bool: 9 }[dtype];
  return graph.apply('Cast', [x], { to: { int: to } }, { shape: x.shape, dtype });
}

/** x[begin … begin + size), with a step of 1. */
function slice(graph: GraphBuilder, x: Value, begin: readonly number[], size: readonly number[]): Value {
  if (equalShapes(size, x.shape)) return x;
  const splat = graph.splatOf(x);
  if (splat !== undefined) return graph.splat(splat, { shape: size, dtype: x.dtype });
  const axes = x.shape.map((_, axis) => axis).filter((axis) => size[axis] !== x.shape[axis]);
  const starts = axes.map((axis) => begin[axis]!);
  const ends = axes.map((axis) => begin[axis]! + size[axis]!);
  const operands = [x, graph.integers(starts), graph.integers(ends), graph.integers(axes)];
  return graph.apply('Slice', operands, {}, { shape: size, dtype: x.dtype });
}

function concat(graph: GraphBuilder, values: readonly Value[], axis: number): Value {
  const nonEmpty = values.filter((value) => sizeOf(value.shape) > 0);
  const first = nonEmpty[0] ?? values[0]!;
  if (nonEmpty.length < 2) return first;
  const extent = nonEmpty.reduce((sum, value) => sum + value.shape[axis]!, 0);
  const shape = first.shape.map((old, i) => (i === axis ? extent : old));
  return graph.apply('Concat', nonEmpty, { axis: { int: axis } }, { shape, dtype: first.dtype });
}

/** Inputs of a kernel that takes a list ('0', '1', …), in order. */
function listed(inputs: Inputs): Value[] {
  return Object.keys(inputs)
    .sort((a, b) => Number(a) - Number(b))
    .map((name) => inputs[name]!);
}

function positiveAxis(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis;
}

const ELEMENTWISE: Readonly<Record<string, KernelRule>> = {
  Abs: unary('Abs'),
  Ceil: unary('Ceil'),
  Cos: unary('Cos'),
  Exp: unary('Exp'),
  Floor: unary('Floor'),
  Identity: (_graph, { x }) => x!,
  LogicalNot: unary('Not'),
  Log: unary('Log'),
  Neg: unary('Neg'),
  Reciprocal: unary('Reciprocal'),
  Relu: unary('Relu'),
  Round: unary('Round'),
  Sigmoid: unary('Sigmoid'),
  Sign: unary('Sign'),
  Sin: unary('Sin'),
  Softplus: unary('Softplus'),
  Sqrt: unary('Sqrt'),
  Tanh: unary('Tanh'),
  Add: binary('Add'),
  Sub: binary('Sub'),
  Multiply: binary('Mul'),
  RealDiv: binary('Div'),
  Pow: binary('Pow'),
  Maximum: binary('Max'),
  Minimum: binary('Min'),
  Equal: binary('Equal', 'bool'),
  Greater: binary('Greater', 'bool'),
  GreaterEqual: binary('GreaterOrEqual', 'bool'),
  Less: binary('Less', 'bool'),
  LessEqual: binary('LessOrEqual', 'bool'),
  LogicalAnd: binary('And', 'bool'),
  LogicalOr: binary('Or', 'bool'),
  NotEqual: (graph, { a, b }) => {
    const equal = applyBinary(graph, 'Equal', a!, b!, 'bool');
    return graph.apply('Not', [equal], {}, equal);
  },
  SquaredDifference: (graph, { a, b }) => {
    const difference = applyBinary(graph, 'Sub', a!, b!, a!.dtype);
    return graph.apply('Mul', [difference, difference], {}, difference);
  },
  Square: (graph, { x }) => graph.apply('Mul', [x!, x!], {}, x!),
  Rsqrt: (graph, { x }) => graph.apply('Reciprocal', [graph.apply('Sqrt', [x!], {}, x!)], {}, x!),
  Log1p: (graph, { x }) => graph.apply('Log', [withScalar(graph, 'Add', x!, 1)], {}, x!),
  Expm1: (graph, { x }) => withScalar(graph, 'Sub', graph.apply('Exp', [x!], {}, x!), 1),
  Relu6: (graph, { x }) => clip(graph, x!, 0, 6),
  Elu: (graph, { x }) => graph.apply('Elu', [x!], {}, x!),
  LeakyRelu: rule<LeakyReluAttrs>((graph, { x }, { alpha }) =>
    graph.apply('LeakyRelu', [x!], { alpha: { float: alpha } }, x!),
  ),
  ClipByValue: rule<ClipByValueAttrs>((graph, { x }, { clipValueMin, clipValueMax }) =>
    clip(graph, x!, clipValueMin, clipValueMax),
  ),
  // Heaviside: 1 where x > 0, alpha elsewhere.
  Step: rule<StepAttrs>((graph, { x }, { alpha }) => {
    const positive = applyBinary(graph, 'Greater', x!, graph.splat(0, { ...x!, shape: [] }), 'bool');
    return graph.apply('Where', [positive, graph.scalar(1), graph.scalar(alpha)], {}, x!);
  }),
  Select: (graph, { condition, t, e }) =>
    graph.apply(
      'Where',
      [condition!, asScalar(graph, t!, condition!), asScalar(graph, e!, condition!)],
      {},
      t!,
    ),
  Cast: rule<CastAttrs>((graph, { x }, { dtype }) => cast(graph, x!, dtype as OnnxDType)),
  AddN: (graph, inputs) => listed(inputs).reduce((a, b) => applyBinary(graph, 'Add', a, b, a.dtype)),
  [SILU]: (graph, { x }) => graph.apply('QuickGelu', [x!], { alpha: { float: 1 } }, x!),
};

function clip(graph: GraphBuilder, x: Value, low: number, high: number): Value {
  return graph.apply('Clip', [x, graph.scalar(low, x.dtype), graph.scalar(high, x.dtype)], {}, x);
}

const REDUCTIONS: Readonly<Record<string, KernelRule>> = {
  Sum: reduction('ReduceSum'),
  Mean: reduction('ReduceMean'),
  Max: rule<{ reductionIndices?: number | number[]; axis?: number | number[]; keepDims?: boolean }>(
    (graph, inputs, { reductionIndices, axis, keepDims }) =>
      reduction('ReduceMax')(graph, inputs, { axis: reductionIndices ?? axis, keepDims }),
  ),
  Min: reduction('ReduceMin'),
  Prod: reduction('ReduceProd'),
  ArgMax: rule<{ axis: number }>((graph, { x }, { axis }) => {
    const at = positiveAxis(axis, x!.shape.length);
    const shape = x!.shape.filter((_, i) => i !== at);
    const attributes = { axis: { int: at }, keepdims: { int: 0 } };
    return cast(graph, graph.apply('ArgMax', [x!], attributes, { shape, dtype: 'int64' }), 'int32');
  }),
  Softmax: rule<SoftmaxAttrs>((graph, { logits }, { dim }) =>
    graph.apply('Softmax', [logits!], { axis: { int: dim } }, logits!),
  ),
  LogSoftmax: rule<LogSoftmaxAttrs>((graph, { logits }, { axis }) =>
    graph.apply('LogSoftmax', [logits!], { axis: { int: axis } }, logits!),
  ),
  [GROUP_NORM]: rule<{ groups: number; epsilon: number }>(
    (graph, { x, scale, bias }, { groups, epsilon }) => {
      const [n, c, height, width] = x!.shape as [number, number, number, number];
      const last = (c / groups) * height * width;
      const rows = graph.reshape(x!, [n, groups, last]);
      const statistics = { shape: [n, groups, 1], dtype: x!.dtype };
      const ones = graph.splat(1, { shape: [last], dtype: x!.dtype });
      const attributes = { axis: { int: -1 }, epsilon: { float: epsilon } };
      const [y, , inverseDeviation] = graph.node('LayerNormalization', [rows, ones], attributes, [rows, statistics, statistics]); // prettier-ignore
      const normalized = graph.reshape(y!, x!.shape);
      const perChannel = (values: Value) => graph.reshape(values, [1, c, 1, 1]);
      const scaled = applyBinary(graph, 'Mul', normalized, perChannel(scale!), x!.dtype);
      return [applyBinary(graph, 'Add', scaled, perChannel(bias!), x!.dtype), normalized, inverseDeviation!];
    },
  ),
  BatchMatMul: rule<BatchMatMulAttrs>((graph, { a, b }, { transposeA, transposeB }) =>
    matMul(graph, a!, b!, transposeA, transposeB),
  ),
};

const SHAPES: Readonly<Record<string, KernelRule>> = {
  Reshape: rule<ReshapeAttrs>((graph, { x }, { shape }) =>
    graph.reshape(x!, tf.util.inferFromImplicitShape([...shape], sizeOf(x!.shape))),
  ),
  ExpandDims: rule<ExpandDimsAttrs>((graph, { input }, { dim }) => {
    const shape = [...input!.shape];
    shape.splice(dim < 0 ? dim + shape.length + 1 : dim, 0, 1);
    return graph.reshape(input!, shape);
  }),
  Transpose: rule<TransposeAttrs>((graph, { x }, { perm }) => graph.transpose(x!, perm)),
  Slice: rule<SliceAttrs>((graph, { x }, { begin, size }) => {
    const shape = { shape: [...x!.shape] } as Parameters<typeof tf.slice_util.parseSliceParams>[0];
    const [from, extents] = tf.slice_util.parseSliceParams(shape, begin, size);
    return slice(graph, x!, from!, extents!);
  }),
  Concat: rule<ConcatAttrs>((graph, inputs, { axis }) => {
    const values = listed(inputs);
    return concat(graph, values, positiveAxis(axis, values[0]!.shape.length));
  }),
  Pack: rule<PackAttrs>((graph, inputs, { axis }) => {
    const values = listed(inputs);
    const at = positiveAxis(axis, values[0]!.shape.length + 1);
    const expanded = values.map((value) =>
      graph.reshape(value, [...value.shape.slice(0, at), 1, ...value.shape.slice(at)]),
    );
    return concat(graph, expanded, at);
  }),
  Unpack: rule<UnpackAttrs>((graph, { value }, { axis }) => {
    const at = positiveAxis(axis, value!.shape.length);
    const rest = value!.shape.filter((_, i) => i !== at);
    return pieces(graph, value!, at, new Array<number>(value!.shape[at]!).fill(1)).map((piece) =>
      graph.reshape(piece, rest),
    );
  }),
  SplitV: rule<SplitVAttrs>((graph, { x }, { numOrSizeSplits, axis }) => {
    const at = positiveAxis(axis, x!.shape.length);
    const shape = { shape: [...x!.shape] } as Parameters<typeof tf.backend_util.prepareSplitSize>[0];
    return pieces(graph, x!, at, tf.backend_util.prepareSplitSize(shape, numOrSizeSplits, at));
  }),
  PadV2: rule<PadV2Attrs>((graph, { x }, { paddings, constantValue }) => {
    const shape = x!.shape.map((extent, axis) => paddings[axis]![0] + extent + paddings[axis]![1]);
    const pads = [...paddings.map(([before]) => before), ...paddings.map(([, after]) => after)];
    const operands = [x!, graph.integers(pads), graph.scalar(constantValue, x!.dtype)];
    return graph.apply('Pad', operands, {}, { shape, dtype: x!.dtype });
  }),
  Tile: rule<TileAttrs>((graph, { x }, { reps }) => {
    const shape = x!.shape.map((extent, axis) => extent * reps[axis]!);
    const splat = graph.splatOf(x!);
    if (splat !== undefined) return graph.splat(splat, { shape, dtype: x!.dtype });
    return graph.apply('Tile', [x!, graph.integers(reps)], {}, { shape, dtype: x!.dtype });
  }),
  Reverse: rule<ReverseAttrs>((graph, { x }, { dims }) => reverse(graph, x!, tf.util.parseAxisParam(dims, [...x!.shape]))), // prettier-ignore
  GatherV2: rule<GatherV2Attrs>((graph, { x, indices }, { axis, batchDims }) => {
    if (batchDims !== 0)
      throw new RangeError('GatherV2 with batch dimensions is not supported by the compiler');
    const at = positiveAxis(axis, x!.shape.length);
    const shape = [...x!.shape.slice(0, at), ...indices!.shape, ...x!.shape.slice(at + 1)];
    return graph.apply('Gather', [x!, indices!], { axis: { int: at } }, { shape, dtype: x!.dtype });
  }),
  OneHot: rule<OneHotAttrs>((graph, { indices }, { depth, onValue, offValue, dtype }) => {
    const choices = graph.constant([offValue, onValue], { shape: [2], dtype: 'float32' });
    const type: ValueType = { shape: [...indices!.shape, depth], dtype: 'float32' };
    const operands = [cast(graph, indices!, 'int64'), graph.integers([depth]), choices];
    const oneHot = graph.apply('OneHot', operands, { axis: { int: -1 } }, type);
    return cast(graph, oneHot, (dtype ?? 'int32') as OnnxDType);
  }),
  Fill: rule<FillAttrs>((graph, _inputs, { shape, value, dtype }) =>
    graph.splat(Number(value), { shape, dtype: (dtype ?? 'float32') as OnnxDType }),
  ),
  ZerosLike: (graph, { x }) => graph.splat(0, x!),
  OnesLike: (graph, { x }) => graph.splat(1, x!),
};

function pieces(graph: GraphBuilder, x: Value, axis: number, sizes: readonly number[]): Value[] {
  let start = 0;
  return sizes.map((size) => {
    const begin = x.shape.map((_, i) => (i === axis ? start : 0));
    start += size;
    return slice(
      graph,
      x,
      begin,
      x.shape.map((extent, i) => (i === axis ? size : extent)),
    );
  });
}

/** Every tfjs kernel that the compiler supports. */
export const KERNEL_RULES: Readonly<Record<string, KernelRule>> = {
  ...ELEMENTWISE,
  ...REDUCTIONS,
  ...SHAPES,
  ...CONVOLUTION_RULES,
};
