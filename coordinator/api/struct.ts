/** google.protobuf.Struct and Timestamp as the values that JavaScript has for them. */
import type { Duration__Output } from '../../gen/google/protobuf/Duration.ts';
import type { Struct, Struct__Output } from '../../gen/google/protobuf/Struct.ts';
import type { Timestamp, Timestamp__Output } from '../../gen/google/protobuf/Timestamp.ts';
import type { Value, Value__Output } from '../../gen/google/protobuf/Value.ts';
import { invalidField } from './errors.ts';
import { checkLength, MAX_CHARACTERS } from './text-limits.ts';

/** Deeper ones are refused, and larger ones: no configuration is. */
const MAX_DEPTH = 16;
const MAX_VALUES = 10_000;

/** A plain object from a Struct. @throws ApiError for one that is too deep or large, or has a text that is too long. */
export function fromStruct(struct: Struct__Output | null, field: string): Record<string, unknown> {
  return objectOf(struct?.fields ?? {}, field, { depth: 0, budget: { values: MAX_VALUES } });
}

/** Where the reading is: how deep, and how many values may still come. */
interface Place {
  readonly depth: number;
  readonly budget: { values: number };
}

function objectOf(fields: Struct__Output['fields'], path: string, place: Place): Record<string, unknown> {
  checkDepth(path, place);
  const object: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(fields)) {
    checkLength(key, `a name in ${path}`, MAX_CHARACTERS.configKey);
    if (key === '__proto__') throw invalidField(`${path}.${key}`, key, 'no such field');
    object[key] = valueOf(value, `${path}.${key}`, place);
  }
  return object;
}

function valueOf(value: Value__Output, path: string, { depth, budget }: Place): unknown {
  if (--budget.values < 0) throw invalidField(path, '', `is one of more than ${MAX_VALUES} values; refused`);
  const inner = { depth: depth + 1, budget };
  switch (value.kind) {
    case 'stringValue':
      checkLength(value.stringValue!, path, MAX_CHARACTERS.configText);
      return value.stringValue;
    case 'numberValue':
      return value.numberValue;
    case 'boolValue':
      return value.boolValue;
    case 'listValue':
      checkDepth(path, inner);
      return (value.listValue?.values ?? []).map((item, i) => valueOf(item, `${path}[${i}]`, inner));
    case 'structValue':
      return objectOf(value.structValue?.fields ?? {}, path, inner);
    default:
      return null;
  }
}

function checkDepth(path: string, { depth }: Place): void {
  if (depth > MAX_DEPTH) throw invalidField(path, '', `nested more than ${MAX_DEPTH} levels deep`);
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

/** A Duration as seconds; null as 0. */
export function fromDuration(duration: Duration__Output | null): number {
  return duration === null ? 0 : duration.seconds + duration.nanos / 1e9;
}
