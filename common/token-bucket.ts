/**
 * Rate limits by token buckets: a bucket holds up to `burst` tokens, gains `ratePerSecond` new ones per second, and
 * every call takes one. Pure except for the map of `RateLimiter`; the time is an argument.
 */

export interface RateLimit {
  /** Calls per second, in the long run. */
  readonly ratePerSecond: number;
  /** Calls at once, at least 1. */
  readonly burst: number;
}

export interface Bucket {
  /** Tokens at `atMs`. */
  readonly tokens: number;
  readonly atMs: number;
}

export interface Taken {
  readonly bucket: Bucket;
  /** 0 when a token was taken, otherwise the time until there is one. */
  readonly waitMs: number;
}

/** Takes one token. `bucket` null: a new, full bucket. A clock that went back adds nothing. */
export function takeToken(bucket: Bucket | null, limit: RateLimit, nowMs: number): Taken {
  const { ratePerSecond, burst } = limit;
  const before = bucket ?? { tokens: burst, atMs: nowMs };
  const elapsedMs = Math.max(0, nowMs - before.atMs);
  const tokens = Math.min(burst, before.tokens + (elapsedMs / 1000) * ratePerSecond);
  const atMs = Math.max(nowMs, before.atMs);
  if (tokens >= 1) return { bucket: { tokens: tokens - 1, atMs }, waitMs: 0 };
  return { bucket: { tokens, atMs }, waitMs: Math.ceil(((1 - tokens) / ratePerSecond) * 1000) };
}

/** A bucket for each name. */
export class RateLimiter {
  readonly #buckets = new Map<string, Bucket>();

  /**
   * Counts a call of `name`: 0 when it is allowed, otherwise the milliseconds until the next one is. Null: no limit.
   */
  take(name: string, limit: RateLimit | null, nowMs: number): number {
    if (limit === null) {
      this.#buckets.delete(name);
      return 0;
    }
    const { bucket, waitMs } = takeToken(this.#buckets.get(name) ?? null, limit, nowMs);
    this.#buckets.set(name, bucket);
    return waitMs;
  }
}
