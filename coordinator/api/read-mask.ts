/**
 * Read masks (google.aip.dev/157): the fields of a message that a request asks for. A path is a field's name, with dots
 * for fields of messages and maps, as in `test.accuracy` or `labels.team`; `*` stands for all.
 */
import protobuf from 'protobufjs';
import { loadRoot } from '../../actors/proto/proto-root.ts';
import type { FieldMask__Output } from '../../gen/google/protobuf/FieldMask.ts';
import { invalidField } from './errors.ts';
import { checkLength, MAX_CHARACTERS } from './text-limits.ts';

const MAX_PATHS = 100;
/** As deep as the API's messages are. */
const MAX_PARTS = 8;

/** The wanted part of one field: all of it, or parts by name. */
type Wanted = true | Map<string, Wanted>;

/** A filter of messages of a type of the API, as `Run`. @throws ApiError for a path that leads to no field. */
export function readMask<Message extends object>(
  mask: FieldMask__Output | null,
  typeName: string,
): (message: Message) => Message {
  const paths = mask?.paths ?? [];
  if (paths.length > MAX_PATHS) throw invalidField('read_mask', paths.length, `at most ${MAX_PATHS} paths`);
  if (paths.length === 0 || paths.includes('*')) return (message) => message;
  const type = loadRoot('ballast/v1/coordinator.proto').lookupType(`ballast.v1.${typeName}`);
  const wanted = new Map<string, Wanted>();
  for (const path of paths) {
    checkLength(path, 'read_mask', MAX_CHARACTERS.maskPath);
    const parts = path.split('.');
    if (parts.length > MAX_PARTS) throw unknownPath(path);
    add(wanted, keysOf(type, parts, path));
  }
  return (message) => picked(message, wanted) as Message;
}

/** The keys that lead to a path's field in a decoded message. */
function keysOf(type: protobuf.Type, parts: readonly string[], path: string): string[] {
  const [part = '', ...rest] = parts;
  const field = type.fieldsArray.find(({ name }) => snakeCase(name) === part || name === part);
  if (field === undefined) throw unknownPath(path);
  if (rest.length === 0) return [field.name];
  if (field.resolve() instanceof protobuf.MapField) return [field.name, rest.join('.')];
  if (!(field.resolvedType instanceof protobuf.Type) || field.repeated) throw unknownPath(path);
  // A Struct contains arbitrary names, which no type describes.
  if (field.resolvedType.fullName.startsWith('.google.protobuf.')) throw unknownPath(path);
  return [field.name, ...keysOf(field.resolvedType, rest, path)];
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function unknownPath(path: string) {
  return invalidField('read_mask', path, 'no such field');
}

function add(wanted: Map<string, Wanted>, [key = '', ...rest]: readonly string[]): void {
  const known = wanted.get(key);
  if (known === true) return;
  if (rest.length === 0) return void wanted.set(key, true);
  const inner = known ?? new Map<string, Wanted>();
  wanted.set(key, inner);
  add(inner, rest);
}

function picked(value: unknown, wanted: Map<string, Wanted>): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).flatMap(([key, inner]: [string, unknown]) => {
    const part = wanted.get(key);
    if (part === undefined) return [];
    return [[key, part === true ? inner : picked(inner, part)] as const];
  });
  return Object.fromEntries(entries);
}
