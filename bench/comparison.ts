/** How our side and a peer are compared: equal results first, then seconds in turns. */
import type { NdArray } from '../tensor/array.ts';
import type { PreparedCase } from './case-parts.ts';
import { median } from './statistics.ts';

/** Seconds of each of `times` runs. */
export async function secondsOf(item: PreparedCase, times: number): Promise<number[]> {
  const seconds: number[] = [];
  for (let i = 0; i < times; i++) {
    const start = performance.now();
    await item.run();
    seconds.push((performance.now() - start) / 1000);
  }
  return seconds;
}

/** Both sides must compute the same results, or their speeds mean nothing. @throws Error if they do not */
export function requireEqual(
  name: string,
  ours: Readonly<Record<string, NdArray>>,
  theirs: Readonly<Record<string, NdArray>>,
  tolerance: number,
): void {
  for (const [part, { data }] of Object.entries(ours)) {
    const worst = Array.from(data).reduce((most, value, i) => {
      const difference = Math.abs(value - theirs[part]!.data[i]!) / Math.max(1, Math.abs(value));
      return Number.isNaN(difference) ? Infinity : Math.max(most, difference);
    }, 0);
    if (!(worst <= tolerance))
      throw new Error(`${name}: ${part} of ours and the peer's differ by ${worst.toPrecision(2)}`);
  }
}

/** Their seconds divided by ours: the median over rounds, and the smallest and the largest; null without a peer. */
export function ratioOf(ours: readonly number[], theirs: readonly number[] | null) {
  if (theirs === null) return { ratio: null, spread: null };
  const ratios = theirs.map((seconds, round) => seconds / ours[round]!);
  return { ratio: median(ratios), spread: [Math.min(...ratios), Math.max(...ratios)] as const };
}
