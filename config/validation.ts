/**
 * Turns a failed zod check into one line that a user can act on: the field's path, its value, and the allowed values;
 * for an unknown field also the nearest known name. It is independent of any particular configuration.
 */
import { z } from 'zod';
import { UserError } from '../common/errors.ts';

/** A place in a configuration: `['synthesis', 'guidance', 'interval', 0]`. */
export type FieldPath = readonly (string | number)[];

/** Returns where a field was written, for example `run.yaml:12`; used as the start of the message. */
export type Locate = (path: FieldPath) => string;

const SHOWN_LENGTH = 60;

/**
 * Parses `input` by `schema`. Throws UserError for the first problem (with the number of further ones), beginning with
 * `locate(path)`, or with `configuration` without it.
 */
export function parseStrict<Schema extends z.ZodType>(
  schema: Schema,
  input: unknown,
  locate: Locate = () => 'configuration',
): z.output<Schema> {
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  const [first, ...more] = result.error.issues;
  if (!first) throw new UserError(`${locate([])}: not valid`);
  const rest = more.length > 0 ? ` (and ${more.length} more problem${more.length > 1 ? 's' : ''})` : '';
  throw new UserError(`${describeIssue(schema, input, first, locate)}${rest}`);
}

/** `['a', 'b', 0]` as `a.b[0]`; the whole configuration as `configuration`. */
export function formatPath(path: FieldPath): string {
  if (path.length === 0) return 'configuration';
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`;
    return text === '' ? part : `${text}.${part}`;
  }, '');
}

/** The known name closest to `name` (edit distance at most a third of its length, at least 2), or undefined. */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  const ranked = known
    .map((candidate) => ({ candidate, distance: editDistance(name.toLowerCase(), candidate.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance);
  const best = ranked[0];
  return best && best.distance <= Math.max(2, Math.floor(name.length / 3)) ? best.candidate : undefined;
}

function describeIssue(schema: z.ZodType, input: unknown, issue: z.core.$ZodIssue, locate: Locate): string {
  const path = issue.path.filter((part) => typeof part !== 'symbol');
  if (issue.code === 'unrecognized_keys') return describeUnknown(schema, path, issue.keys, locate);
  const value = valueAt(input, path);
  const found = value === undefined ? 'is missing' : `is ${showValue(value)}`;
  const isWorded = issue.code === 'custom' || issue.code === 'invalid_format';
  const allowed = isWorded ? issue.message : `it must be ${describeSchema(schemaAt(schema, path))}`;
  return `${locate(path)}: ${formatPath(path)} ${found}; ${allowed}`;
}

function describeUnknown(
  schema: z.ZodType,
  path: FieldPath,
  keys: readonly string[],
  locate: Locate,
): string {
  const key = keys[0] ?? '';
  const owner = unwrap(schemaAt(schema, path));
  const known = owner instanceof z.ZodObject ? Object.keys(owner.shape) : [];
  const nearest = nearestName(key, known);
  const advice = nearest ? `did you mean ${nearest}?` : `known fields: ${known.join(', ')}`;
  const field = formatPath([...path, key]);
  return `${locate([...path, key])}: unknown field ${field}; ${advice}`;
}

function valueAt(input: unknown, path: FieldPath): unknown {
  return path.reduce<unknown>((value, part) => {
    if (typeof value !== 'object' || value === null) return undefined;
    return (value as Record<string | number, unknown>)[part];
  }, input);
}

function showValue(value: unknown): string {
  const text = typeof value === 'string' ? `'${value}'` : (JSON.stringify(value) ?? String(value));
  return text.length > SHOWN_LENGTH ? `${text.slice(0, SHOWN_LENGTH)}…` : text;
}

/** The schema of the field at `path`; undefined if the path leaves the known fields. */
function schemaAt(schema: z.core.$ZodType | undefined, path: FieldPath): z.core.$ZodType | undefined {
  return path.reduce<z.core.$ZodType | undefined>((current, part) => {
    const inner = unwrap(current);
    if (inner instanceof z.ZodObject) return (inner.shape as Record<string, z.core.$ZodType>)[part];
    if (inner instanceof z.ZodArray) return inner.element;
    if (inner instanceof z.ZodTuple) return inner.def.items[Number(part)];
    if (inner instanceof z.ZodUnion)
      return inner.options.map((option) => schemaAt(option, [part])).find((found) => found !== undefined);
    return undefined;
  }, schema);
}

/** The schema without wrappers that change no rule: optional, nullable, default, prefault. */
function unwrap(schema: z.core.$ZodType | undefined): z.core.$ZodType | undefined {
  let current = schema;
  while (
    current instanceof z.ZodOptional ||
    current instanceof z.ZodNullable ||
    current instanceof z.ZodDefault ||
    current instanceof z.ZodPrefault
  )
    current = current.unwrap();
  return current;
}

/** The values that a schema allows, in words: `a whole number of at least 1`, `one of ddim, dpmpp-2m`. */
export function describeSchema(schema: z.core.$ZodType | undefined): string {
  if (schema instanceof z.ZodNullable) return `${describeSchema(schema.unwrap())}, or null`;
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault)
    return describeSchema(schema.unwrap());
  if (schema instanceof z.ZodNumber) return describeNumber(schema);
  if (schema instanceof z.ZodString) return 'a text (not empty)';
  if (schema instanceof z.ZodBoolean) return 'true or false';
  if (schema instanceof z.ZodEnum) return `one of ${schema.options.join(', ')}`;
  if (schema instanceof z.ZodLiteral) return [...schema.values].map(String).join(' or ');
  if (schema instanceof z.ZodArray) return `a list, each ${describeSchema(schema.element)}`;
  if (schema instanceof z.ZodTuple)
    return `a list of ${schema.def.items.length}, each ${describeSchema(schema.def.items[0])}`;
  if (schema instanceof z.ZodObject) return `a group of fields (${Object.keys(schema.shape).join(', ')})`;
  if (schema instanceof z.ZodUnion)
    return schema.options.map((option) => describeSchema(option)).join(', or ');
  return 'another value';
}

function describeNumber(schema: z.ZodNumber): string {
  const { minValue, maxValue } = schema;
  const allows = (value: number) => schema.safeParse(value).success;
  const low = isLimit(minValue) ? `${allows(minValue) ? 'of at least' : 'above'} ${minValue}` : '';
  const high = isLimit(maxValue) ? `${allows(maxValue) ? 'at most' : 'below'} ${maxValue}` : '';
  const range = [low, high].filter((part) => part !== '').join(' and ');
  return [schema.isInt ? 'a whole number' : 'a number', range].filter((part) => part !== '').join(' ');
}

function isLimit(limit: number | null): limit is number {
  return limit !== null && Math.abs(limit) < Number.MAX_SAFE_INTEGER;
}

/** Levenshtein distance. */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(previous[j]! + 1, row[j - 1]! + 1, substitution));
    }
    previous = row;
  }
  return previous[b.length]!;
}
