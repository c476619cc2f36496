/** google.protobuf.Struct and Timestamp as the values that JavaScript has for them. */
import type { Struct, Struct__Output } from '../../gen/google/protobuf/Struct.ts';
import type { Timestamp, Timestamp__Output } from '../../gen/google/protobuf/Timestamp.ts';
import type { Value, Value__Output } from '../../gen/google/protobuf/Value.ts';
import { invalidField } from './errors.ts';

/** Deeper ones are refused: no configuration is. */
const MAX_DEPTH = 16;

/** A plain object from a Struct. @throws ApiError for one that is nested too deeply. */
export function fromStruct(struct: Struct__Output | null, field: string): Record<string, unknown> {
  return objectOf(struct?.fields ?? {}, field, 0);
}

function objectOf(fields: Struct__Output['fields'], path: string, depth: number): Record<string, unknown> {
  if (depth > MAX_DEPTH) throw invalidField(path, '', `nested more than ${MAX_DEPTH} levels deep`);
  const object: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(fields)) {
    if (key === '__proto__') throw invalidField(`${path}.${key}`, key, 'no such field');
    object[key] = valueOf(value, `${path}.${key}`, depth + 1);
  }
  return object;
}

function valueOf(value: Value__Output, path: string, depth: number): unknown {
  switch (value.kind) {
    case 'stringValue':
      return value.stringValue;
    case 'numberValue':
      return value.numberValue;
    case 'boolValue':
      return value.boolValue;
    case 'listValue':
      if (depth > MAX_DEPTH) throw invalidField(path, '', `nested more than ${MAX_DEPTH} levels deep`);
      return (value.listValue?.values ?? []).map((item, i) => valueOf(item, `${path}[${i}]`, depth + 1));
    case 'structValue':
      return objectOf(value.structValue?.fields ?? {}, path, depth);
    default:
      return null;
  }
}

/** A Struct from a JSON object. */
export function toStruct(object: object): Struct {
  return { fields: Object.fromEntries(Object.entries(object).map(([key, value]) => [key, toValue(value)])) };
}

function toValue(value: unknown): Value {
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value === 'number') return { numberValue: value };
  if (typeof value === 'boolean') return { boolValue: value };
  if (Array.isArray(value)) return { listValue: { values: value.map(toValue) } };
  if (typeof value === 'object' && value !== null) return { structValue: toStruct(value) };
  return { nullValue: 'NULL_VALUE' };
}

/** ISO 8601 as a Timestamp; null stays null. */
export function toTimestamp(iso: string | null): Timestamp | null {
  if (iso === null) return null;
  const ms = Date.parse(iso);
  return { seconds: Math.floor(ms / 1000), nanos: (((ms % 1000) + 1000) % 1000) * 1e6 };
}

/** A Timestamp as ISO 8601; null stays null. */
export function fromTimestamp(timestamp: Timestamp__Output | null): string | null {
  if (timestamp === null) return null;
  return new Date(timestamp.seconds * 1000 + timestamp.nanos / 1e6).toISOString();
}

/** Seconds as a Duration. */
export function toDuration(seconds: number): { seconds: number; nanos: number } {
  return { seconds: Math.floor(seconds), nanos: Math.round((seconds % 1) * 1e9) % 1e9 };
}
