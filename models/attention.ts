/**
 * Attention over the positions of an image (Vaswani et al. 1706.03762) without its whole matrix of weights in memory:
 * heads are taken in groups, and the queries of a head in chunks, so that no more than `MOST_WEIGHTS` weights are held
 * at a time. A query's weights are complete within its chunk, so only the order of the work changes.
 */
import tf from '../tensor/tf.ts';
import type { Tensor3D } from '../tensor/tf.ts';

/** 64 MiB. */
const MOST_WEIGHTS = 2 ** 24;

/** Queries [b, d, positions], keys and values alike, of b heads (of one or of many images) → [b, d, positions]. */
export function attend(
  q: Tensor3D,
  k: Tensor3D,
  v: Tensor3D,
  scale: number,
  mostWeights = MOST_WEIGHTS,
): Tensor3D {
  const [heads, , positions] = q.shape;
  const group = Math.max(1, Math.floor(mostWeights / positions ** 2));
  const chunk = Math.min(positions, Math.max(1, Math.floor(mostWeights / positions)));
  const groups = spans(heads, group).map(([first, count]) => {
    const [queries, keys, values] = [q, k, v].map((x) => slice(x, 0, first, count));
    const parts = spans(positions, chunk).map(([from, size]) => {
      const logits = tf.mul(tf.matMul(slice(queries!, 2, from, size), keys!, true, false), scale);
      const mixed: Tensor3D = tf.matMul(values!, tf.softmax(logits), false, true); // weights are [b, query, key]
      return mixed;
    });
    return joined(parts, 2);
  });
  return joined(groups, 0);
}

/** Splits [0, total) into pieces of at most `most`: start and length of each. */
function spans(total: number, most: number): [first: number, count: number][] {
  return Array.from({ length: Math.ceil(total / most) }, (_, i) => [
    i * most,
    Math.min(most, total - i * most),
  ]);
}

function slice(x: Tensor3D, axis: 0 | 2, first: number, count: number): Tensor3D {
  if (count === x.shape[axis]) return x;
  const [b, d, positions] = x.shape;
  return axis === 0
    ? tf.slice(x, [first, 0, 0], [count, d, positions])
    : tf.slice(x, [0, 0, first], [b, d, count]);
}

function joined(parts: Tensor3D[], axis: number): Tensor3D {
  return parts.length === 1 ? parts[0]! : tf.concat(parts, axis);
}
