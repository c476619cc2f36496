import { expect, it } from 'vitest';
import { canMark } from './registry-nats-buckets.ts';

it.each([
  ['2.9.10', false],
  ['2.10.29', false],
  ['2.11.0', true],
  ['2.12.0-RC.1', true],
  ['3.0.0', true],
  ['', false],
])('canMark knows that server %s can mark expired records: %s', (version, expected) => {
  expect(canMark(version)).toBe(expected);
});
