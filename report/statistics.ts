/**
 * The few statistics that a study needs: mean and sample standard deviation over seeds, Student's t interval, and
 * Wilson's interval for a recall. Refuses to guess a spread from one run.
 */

export interface Summary {
  readonly n: number;
  /** NaN when n = 0. */
  readonly mean: number;
  /** Sample standard deviation (n − 1); null for fewer than two values. */
  readonly deviation: number | null;
}

export interface Interval {
  readonly low: number;
  readonly high: number;
}

/** Mean and sample standard deviation of the finite values. */
export function summarize(values: readonly (number | null)[]): Summary {
  const finite = values.filter((value): value is number => value !== null && Number.isFinite(value));
  const n = finite.length;
  const mean = n === 0 ? NaN : finite.reduce((sum, value) => sum + value, 0) / n;
  if (n < 2) return { n, mean, deviation: null };
  const squares = finite.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { n, mean, deviation: Math.sqrt(squares / (n - 1)) };
}

/** 97.5% quantiles of Student's t for 1, 2, … degrees of freedom (any table of the distribution). */
const T_QUANTILES = [
  12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131,
  2.12, 2.11, 2.101, 2.093, 2.086,
];

/** 95% Student's t interval of a mean; null for fewer than two values. */
export function meanInterval(summary: Summary): Interval | null {
  if (summary.deviation === null) return null;
  const t = T_QUANTILES[summary.n - 2] ?? 1.96 + 2.5 / (summary.n - 1);
  const half = (t * summary.deviation) / Math.sqrt(summary.n);
  return { low: summary.mean - half, high: summary.mean + half };
}

/** Wilson's 95% score interval of a proportion; null without trials. */
export function proportionInterval(successes: number, trials: number): Interval | null {
  if (!(trials > 0)) return null;
  const z2 = 1.959964 ** 2;
  const p = successes / trials;
  const centre = (p + z2 / (2 * trials)) / (1 + z2 / trials);
  const half = Math.sqrt(z2 * ((p * (1 - p)) / trials + z2 / (4 * trials * trials))) / (1 + z2 / trials);
  return { low: Math.max(0, centre - half), high: Math.min(1, centre + half) };
}

/** The mean at each position over several series of possibly unequal length; null where no series has a value. */
export function meanByPosition(series: readonly (readonly (number | null)[])[]): (number | null)[] {
  const length = Math.max(0, ...series.map((values) => values.length));
  return Array.from({ length }, (_, position) => {
    const { n, mean } = summarize(series.map((values) => values[position] ?? null));
    return n === 0 ? null : mean;
  });
}
