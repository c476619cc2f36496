/**
 * Tests of paired differences: the exact sign-flip permutation test (Fisher 1935: under the null hypothesis each
 * difference is as likely to be its negative), and Holm's correction (1979) of several of them.
 */

/** Above this many pairs, enumeration would take long: 2^20 is a second. */
const MOST_PAIRS = 20;

/**
 * Two-sided p of the mean of `differences`: the share of all 2^n sign patterns whose mean is at least as far from 0.
 * Null for no differences, and for more than 20. With n pairs it cannot be below 2^(1 − n).
 */
export function signFlipP(differences: readonly number[]): number | null {
  const n = differences.length;
  if (n === 0 || n > MOST_PAIRS) return null;
  const observed = Math.abs(differences.reduce((sum, d) => sum + d, 0));
  const tolerance = 1e-12 * differences.reduce((sum, d) => sum + Math.abs(d), 0);
  let asFar = 0;
  for (let pattern = 0; pattern < 2 ** n; pattern++) {
    let sum = 0;
    for (let i = 0; i < n; i++) sum += (pattern >> i) & 1 ? -differences[i]! : differences[i]!;
    if (Math.abs(sum) >= observed - tolerance) asFar++;
  }
  return asFar / 2 ** n;
}

/** Holm's adjusted p of each: max over the smaller ones of (m − rank)·p, at most 1. Nulls stay, and do not count. */
export function holm(ps: readonly (number | null)[]): (number | null)[] {
  const known = ps
    .map((p, i) => ({ p, i }))
    .filter((entry): entry is { p: number; i: number } => entry.p !== null);
  known.sort((a, b) => a.p - b.p);
  const adjusted: (number | null)[] = ps.map(() => null);
  let largest = 0;
  known.forEach(({ p, i }, rank) => {
    largest = Math.max(largest, Math.min(1, (known.length - rank) * p));
    adjusted[i] = largest;
  });
  return adjusted;
}
