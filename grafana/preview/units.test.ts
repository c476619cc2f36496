import { expect, it } from 'vitest';
import { formatValue } from './units.ts';

it.each([
  [0, 's', '0 s'],
  [0.0042, 's', '4.2 ms'],
  [7200, 's', '2 hours'],
  [1536, 'bytes', '1.5 KiB'],
  [2_500_000, 'Bps', '2.5 MB/s'],
  [0.382, 'percentunit', '38.2%'],
  [1234, 'short', '1.23 K'],
  [12, 'cps', '12 c/s'],
  [1.41e9, 'hertz', '1.41 GHz'],
  [Infinity, 'none', '∞'],
  [NaN, 'none', 'NaN'],
])('writes %d %s as %s', (value, unit, text) => {
  expect(formatValue(value, unit)).toBe(text);
});
