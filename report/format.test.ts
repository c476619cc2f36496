import { expect, test } from 'vitest';
import { count, decimal, duration, percent, percentMark, perSecond, plural, points } from './format.ts';

test('rates, differences and counts read as people write them', () => {
  expect(percent(0.7874)).toBe('78.7%');
  expect(percent(1, 0)).toBe('100%');
  expect([percentMark(0.6), percentMark(0.625), percentMark(0.07)]).toEqual(['60%', '62.5%', '7%']);
  expect([points(0.045), points(-0.0312), points(0.0001)]).toEqual(['+4.5', '−3.1', '±0.0']);
  expect(count(4964)).toBe('4,964');
  expect([plural(1, 'class'), plural(10, 'class'), plural(2, 'seed')]).toEqual([
    '1 class',
    '10 classes',
    '2 seeds',
  ]);
});

test('rates a second have decimals where they are few', () => {
  expect([412.3, 9.996, 9.3, 0.03, null].map(perSecond)).toEqual(['412', '10', '9.30', '0.03', '–']);
});

test('durations choose their unit and never say 60 s', () => {
  expect([0, 4.24, 9.97, 59.6, 185, 3599.7, 3720].map(duration)).toEqual([
    '0.0 s',
    '4.2 s',
    '10 s',
    '1 min 00 s',
    '3 min 05 s',
    '1 h 00 min',
    '1 h 02 min',
  ]);
});

test('a missing measure is a dash, never NaN', () => {
  for (const show of [percent, points, decimal, count, duration]) {
    expect([show(null), show(undefined), show(NaN), show(Infinity)]).toEqual(['–', '–', '–', '–']);
  }
});
