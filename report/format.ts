/**
 * Numbers as people read them, one form everywhere. A value that is null or not finite prints as an en dash:
 * a report never says "NaN".
 */

export const NO_VALUE = '–';

function isMissing(value: number | null | undefined): value is null | undefined {
  return value === null || value === undefined || !Number.isFinite(value);
}

/** A rate in [0, 1] as a percentage: 0.787 → '78.7%'. */
export function percent(rate: number | null | undefined, digits = 1): string {
  return isMissing(rate) ? NO_VALUE : `${(rate * 100).toFixed(digits)}%`;
}

/** A rate as an axis mark: whole percent where it is whole. */
export function percentMark(rate: number): string {
  return percent(rate, Math.abs(rate * 100 - Math.round(rate * 100)) < 1e-6 ? 0 : 1);
}

/** A difference of two rates in percentage points, signed: 0.045 → '+4.5'. */
export function points(difference: number | null | undefined, digits = 1): string {
  if (isMissing(difference)) return NO_VALUE;
  const text = (Math.abs(difference) * 100).toFixed(digits);
  if (Number(text) === 0) return `±${text}`;
  return `${difference < 0 ? '−' : '+'}${text}`;
}

/** A plain number with fixed decimals: 0.4312 → '0.431'. */
export function decimal(value: number | null | undefined, digits = 3): string {
  return isMissing(value) ? NO_VALUE : value.toFixed(digits);
}

/** A count with thousands separators: 4964 → '4,964'. */
export function count(value: number | null | undefined): string {
  return isMissing(value) ? NO_VALUE : Math.round(value).toLocaleString('en-US');
}

/** How many a second, with decimals where they are few: 412.3 → '412', 9.3 → '9.30', 0.03 → '0.03'. */
export function perSecond(rate: number | null | undefined): string {
  return isMissing(rate) || rate >= 9.995 ? count(rate) : rate.toFixed(2);
}

/** Seconds as '4.2 s', '3 min 05 s' or '1 h 02 min'. */
export function duration(seconds: number | null | undefined): string {
  if (isMissing(seconds)) return NO_VALUE;
  const positive = Math.max(0, seconds);
  if (positive < 9.95) return `${positive.toFixed(1)} s`;
  const whole = Math.round(positive);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, '0')} s`;
  const minutes = Math.round(positive / 60);
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`;
}

/** 'one' or 'many' word after a count: plural(1, 'seed') → '1 seed'. */
export function plural(value: number, word: string): string {
  return `${count(value)} ${word}${value === 1 ? '' : word.endsWith('s') ? 'es' : 's'}`;
}
