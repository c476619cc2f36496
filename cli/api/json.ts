/** Messages of the public API as JSON, written as protobuf's own JSON form writes times, durations and structs. */
import { fromStruct, fromTimestamp } from '../../coordinator/api/struct.ts';
import type { Duration__Output } from '../../gen/google/protobuf/Duration.ts';
import type { Struct__Output } from '../../gen/google/protobuf/Struct.ts';
import type { Timestamp__Output } from '../../gen/google/protobuf/Timestamp.ts';

/** Fields that are not set are left out. */
export function toJson(message: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(message)
      .filter(([, value]) => value !== null && value !== undefined)
      .map(([name, value]) => [name, fieldToJson(name, value)]),
  );
}

function fieldToJson(name: string, value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => fieldToJson('', item));
  if (typeof value !== 'object' || value === null) return value;
  if (/^time$|Time$/.test(name)) return fromTimestamp(value as Timestamp__Output);
  if (name.endsWith('Duration')) return durationText(value as Duration__Output);
  if (name === 'config') return fromStruct(value as Struct__Output, name);
  return toJson(value);
}

function durationText({ seconds, nanos }: Duration__Output): string {
  return `${Number((seconds + nanos / 1e9).toFixed(9))}s`;
}
