/** Divides a whole number among shares, like seats among parties: quotas of images, places of an epoch. */

/**
 * Whole numbers in proportion to `weights` (not negative, some positive), each in [floor, cap], that sum to `total`
 * exactly, or as closely as the limits allow. Largest-remainder method; ties go to the lower index. A class at a limit
 * passes the difference on to the others, in proportion.
 */
export function apportion(
  weights: readonly number[],
  total: number,
  floor = 0,
  cap: number | null = null,
): number[] {
  const count = weights.length;
  const highest = Math.min(cap ?? total, total);
  const lowest = Math.min(floor, highest, Math.floor(total / count));
  const reachable = Math.min(total, highest * count);
  return largestRemainder(clampShares(weights, reachable, lowest, highest), reachable, highest);
}

/**
 * Real-valued shares of `total` in proportion to `weights` within [lowest, highest]: the point min(max(λ·w, lowest),
 * highest) whose sum is `total`. Found exactly: of the classes that break a limit, those on the side of the larger
 * total breach are fixed there (the other side may come back), and the rest share what remains.
 */
function clampShares(weights: readonly number[], total: number, lowest: number, highest: number): number[] {
  const shares: number[] = new Array<number>(weights.length).fill(0);
  let free = weights.map((_, c) => c);
  let left = total;
  while (free.length > 0) {
    const sum = free.reduce((s, c) => s + weights[c]!, 0);
    for (const c of free) shares[c] = sum > 0 ? (left * weights[c]!) / sum : left / free.length;
    const over = free.filter((c) => shares[c]! > highest);
    const under = free.filter((c) => shares[c]! < lowest);
    const excess = over.reduce((s, c) => s + shares[c]! - highest, 0);
    const lack = under.reduce((s, c) => s + lowest - shares[c]!, 0);
    if (over.length === 0 && under.length === 0) break;
    const fixed = excess >= lack ? over : under;
    for (const c of fixed) shares[c] = excess >= lack ? highest : lowest;
    left -= fixed.reduce((s, c) => s + shares[c]!, 0);
    free = free.filter((c) => !fixed.includes(c));
  }
  return shares;
}

function largestRemainder(shares: readonly number[], total: number, highest: number): number[] {
  const whole = shares.map((share) => Math.floor(share + 1e-9)); // 3 may appear as 2.9999999996
  let left = total - whole.reduce((sum, n) => sum + n, 0);
  const order = shares
    .map((share, c) => ({ c, remainder: share - whole[c]! }))
    .filter(({ c }) => whole[c]! < highest)
    .sort((a, b) => b.remainder - a.remainder || a.c - b.c);
  for (const { c } of order) {
    if (left <= 0) break;
    whole[c]! += 1;
    left -= 1;
  }
  return whole;
}
