/**
 * Mixing of examples: mixup (Zhang et al. 1710.09412) with λ ~ Beta(α, α) and a partner from the same batch, and
 * Balanced-MixUp (Galdran et al. 2109.09850) with λ ~ Beta(α, 1) of a class-balanced partner. One λ per batch.
 */
import { foldIn, uniform } from '../../tensor/random.ts';
import type { Key } from '../../tensor/random.ts';

export interface Mixing {
  readonly kind: 'mixup' | 'balanced';
  readonly alpha: number;
}

/** The partner's share of a batch, in [0, 1]: x ← (1 − share)·x + share·partner. */
export function drawShare({ kind, alpha }: Mixing, key: Key): number {
  if (kind === 'balanced') return drawUniform(key) ** (1 / alpha); // Beta(α, 1) by its inverse distribution
  return drawSymmetricBeta(alpha, key);
}

/**
 * Beta(α, α) by Jöhnk's rule (1964): X = U^{1/α}, Y = V^{1/α}, accepted when X + Y ≤ 1, gives X / (X + Y). In
 * logarithms.
 */
export function drawSymmetricBeta(alpha: number, key: Key): number {
  for (let attempt = 0; ; attempt++) {
    const x = Math.log(drawUniform(foldIn(key, attempt, 0))) / alpha;
    const y = Math.log(drawUniform(foldIn(key, attempt, 1))) / alpha;
    const larger = Math.max(x, y);
    const logSum = larger + Math.log(Math.exp(x - larger) + Math.exp(y - larger));
    if (logSum <= 0) return Math.exp(x - logSum);
  }
}

/** In (0, 1). */
function drawUniform(key: Key): number {
  return Math.max(uniform(key, 1)[0]!, 2 ** -25);
}

/** (1 − share)·own + share·partner[order], row by row; both have the same number of rows. */
export function mixRows(
  own: Float32Array,
  partner: Float32Array,
  order: readonly number[],
  share: number,
): Float32Array {
  const size = own.length / order.length;
  const mixed = new Float32Array(own.length);
  order.forEach((row, i) => {
    for (let k = 0; k < size; k++)
      mixed[i * size + k] = (1 - share) * own[i * size + k]! + share * partner[row * size + k]!;
  });
  return mixed;
}
