/**
 * From the values that images were stored with to bytes, one rule for all images of a source, by the range of all of
 * them: 12 bits in 16, floats of 0 … 1 or −1 … 1, and zeros and ones come out as 0 … 255, not as black.
 */
import { UserError } from '../common/errors.ts';

export interface Range {
  readonly min: number;
  readonly max: number;
}

export interface Scale {
  /** byte = round(value · factor + offset), clipped to 0 … 255. */
  readonly factor: number;
  readonly offset: number;
  /** A note for the user; null when values are bytes already. */
  readonly note: string | null;
}

export const BYTES: Scale = { factor: 1, offset: 0, note: null };
/** Depths that scanners and cameras have; 9 and 11 do not occur. */
const DEPTHS = [10, 12, 14, 16];

export const NO_RANGE: Range = { min: Infinity, max: -Infinity };

export function joinRanges(a: Range, b: Range): Range {
  return { min: Math.min(a.min, b.min), max: Math.max(a.max, b.max) };
}

/** Throws UserError for values that are not finite. `where` begins the message. */
export function rangeOf(values: ArrayLike<number>, where: string): Range {
  let { min, max } = NO_RANGE;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (!Number.isFinite(value))
      throw new UserError(
        `${where}: value ${i} is ${value}; pixels must be finite: replace it (np.nan_to_num)`,
      );
    if (value < min) min = value;
    if (value > max) max = value;
  }
  return { min, max };
}

/** Bits of whole numbers, by their range. Null below 0, beyond 16 bits, and for a small range far from 0 (CT + 32768). */
export function bitsOf({ min, max }: Range): number | null {
  const bits = min >= 0 ? DEPTHS.find((depth) => max < 2 ** depth) : undefined;
  return bits === undefined || (bits === 16 && max - min < 2 ** 14) ? null : bits;
}

/** The scale for values within `range`. `isFloat`: their type is floating-point. */
export function chooseScale({ min, max }: Range, isFloat: boolean): Scale {
  if (min > max) return BYTES;
  if (min >= 0 && max <= 1 && max > 0)
    return {
      factor: 255,
      offset: 0,
      note: `values are ${isFloat ? 'floats of 0 to 1' : '0 and 1'}: read as 0 to 255`,
    };
  if (isFloat && min >= -1 && min < 0 && max <= 1)
    return { factor: 127.5, offset: 127.5, note: 'values are floats of −1 to 1: read as 0 to 255' };
  if (min >= 0 && max <= 255) return BYTES;
  const bits = isFloat ? null : bitsOf({ min, max });
  if (bits !== null)
    return {
      factor: 255 / (2 ** bits - 1),
      offset: 0,
      note: `values reach ${max}: read as ${bits} bits, 0 to ${2 ** bits - 1} becoming 0 to 255`,
    };
  const factor = 255 / (max - min || 1);
  return { factor, offset: -min * factor, note: `values go from ${min} to ${max}: stretched to 0 to 255` };
}

export function toScaledBytes(values: ArrayLike<number>, { factor, offset }: Scale): Uint8Array {
  const bytes = new Uint8Array(values.length);
  for (let i = 0; i < values.length; i++)
    bytes[i] = Math.min(255, Math.max(0, Math.round(values[i]! * factor + offset)));
  return bytes;
}
