/**
 * A rewrite rule of the tracer: it merges the per-channel operations of normalisation layers and their gradients into
 * one pass.
 *
 *   x · scale + shift                       one BatchNormalization with mean 0, variance 1 and ε = 0
 *   (x · scale₁ + shift₁) · scale₂ + shift₂   the same, with scale₁·scale₂ and shift₁·scale₂ + shift₂
 */
import { equalShapes, producer } from './graph-value.ts';
import type { GraphBuilder } from './graph.ts';
import type { Value } from './graph-value.ts';
import tf from './tf.ts';

/**
 * `product` + `shift` in one pass; null for any other sum. Scale and shift are [1, c, 1, 1], or [n, c, 1, 1]:
 * then the images' channels are arranged side by side as those of one image.
 */
export function scaleAndShift(graph: GraphBuilder, product: Value, shift: Value): Value | null {
  const factors = producer(product, 'Mul')?.inputs;
  if (factors === undefined || product.shape.length !== 4 || !isPerChannel(shift, product)) return null;
  const [x, scale] = isPerChannel(factors[0]!, product)
    ? [factors[1]!, factors[0]!]
    : [factors[0]!, factors[1]!];
  if (!equalShapes(x.shape, product.shape) || !isPerChannel(scale, product)) return null;
  const before = scaledAndShifted.get(x);
  if (before === undefined) return normalization(graph, x, scale, shift);
  const bothScales = perChannel(graph, 'Mul', before.scale, scale);
  const bothShifts = perChannel(graph, 'Add', perChannel(graph, 'Mul', before.shift, scale), shift);
  return normalization(graph, before.x, bothScales, bothShifts);
}

function perChannel(graph: GraphBuilder, op: 'Add' | 'Mul', a: Value, b: Value): Value {
  const shape = tf.broadcast_util.assertAndGetBroadcastShape([...a.shape], [...b.shape]);
  return graph.apply(op, [a, b], {}, { shape, dtype: a.dtype });
}

/** The operands of the values made by `normalization`. */
const scaledAndShifted = new WeakMap<Value, { x: Value; scale: Value; shift: Value }>();

function normalization(graph: GraphBuilder, x: Value, scale: Value, shift: Value): Value {
  const [n, c, height, width] = x.shape as [number, number, number, number];
  const perImage = scale.shape[0]! > 1 || shift.shape[0]! > 1;
  const shape = perImage ? [1, n * c, height, width] : x.shape;
  const type = { shape: [shape[1]!], dtype: x.dtype };
  const ones = graph.splat(1, { shape: [n, c, 1, 1], dtype: x.dtype });
  const spread = (values: Value) => {
    const isShort = perImage && values.shape[0] !== n;
    return graph.reshape(isShort ? graph.apply('Mul', [values, ones], {}, ones) : values, type.shape);
  };
  const operands = [
    graph.reshape(x, shape),
    spread(scale),
    spread(shift),
    graph.splat(0, type),
    graph.splat(1, type),
  ];
  const y = graph.apply('BatchNormalization', operands, { epsilon: { float: 0 } }, { shape, dtype: x.dtype });
  const result = graph.reshape(y, x.shape);
  scaledAndShifted.set(result, { x, scale, shift });
  return result;
}

function isPerChannel({ shape }: Value, image: Value): boolean {
  const [n, c, height, width] = image.shape;
  return (
    (shape[0] === 1 || shape[0] === n) && equalShapes(shape.slice(1), [c!, 1, 1]) && height! * width! > 1
  );
}
