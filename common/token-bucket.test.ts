import { expect, it } from 'vitest';
import { RateLimiter, takeToken } from './token-bucket.ts';

const LIMIT = { ratePerSecond: 2, burst: 3 };

it('gives the burst at once, then one token each half second', () => {
  const limiter = new RateLimiter();
  const at = (nowMs: number) => limiter.take('a', LIMIT, nowMs);
  expect([at(0), at(0), at(0), at(0)]).toEqual([0, 0, 0, 500]);
  expect([at(400), at(500), at(500)]).toEqual([100, 0, 500]);
  expect([at(60_000), at(60_000), at(60_000), at(60_000)]).toEqual([0, 0, 0, 500]);
});

it('counts each name by itself, and a token without a limit not at all', () => {
  const limiter = new RateLimiter();
  for (let i = 0; i < 3; i++) expect(limiter.take('a', LIMIT, 0)).toBe(0);
  expect(limiter.take('a', LIMIT, 0)).toBe(500);
  expect(limiter.take('b', LIMIT, 0)).toBe(0);
  for (let i = 0; i < 100; i++) expect(limiter.take('c', null, 0)).toBe(0);
});

it('gives nothing for a clock that goes back, and nothing twice when it returns', () => {
  const empty = { tokens: 0, atMs: 1000 };
  const back = takeToken(empty, LIMIT, 0);
  expect(back).toEqual({ bucket: empty, waitMs: 500 });
  expect(takeToken(back.bucket, LIMIT, 1000)).toEqual({ bucket: empty, waitMs: 500 });
});

it('allows less than one call a second', () => {
  const slow = { ratePerSecond: 0.1, burst: 1 };
  const { bucket } = takeToken(null, slow, 0);
  expect(takeToken(bucket, slow, 0).waitMs).toBe(10_000);
  expect(takeToken(bucket, slow, 10_000).waitMs).toBe(0);
});

it('never lets more through than rate and burst allow, whatever the moments', () => {
  const limiter = new RateLimiter();
  let passed = 0;
  for (let nowMs = 0; nowMs <= 10_000; nowMs += 37) if (limiter.take('a', LIMIT, nowMs) === 0) passed++;
  expect(passed).toBe(22); // 3 at once, then 2 a second: 19 by the last moment, 9990 ms
});
