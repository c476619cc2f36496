/** The parts of docs/api.md that proto/ballast/v1/coordinator.proto says: methods, messages and fields with their comments. */
import { readFileSync } from 'node:fs';
import protobuf from 'protobufjs';
import { markdownTable } from './generated-docs.ts';

export interface ApiMethod {
  readonly name: string;
  /** Scope that its token needs, as its comment says. */
  readonly scope: string;
  readonly request: string;
  readonly response: string;
  readonly isStream: boolean;
  /** The comment without the scope. */
  readonly meaning: string;
}

export interface ApiReference {
  /** Comment of the service. */
  readonly about: string;
  readonly methods: readonly ApiMethod[];
  /** Messages and enums in the file's order, those within others after them. */
  readonly types: readonly (protobuf.Type | protobuf.Enum)[];
}

/** @throws Error for anything without a comment, and for a method whose comment names no scope. */
export function readApi(file: string): ApiReference {
  const options = { keepCase: true, alternateCommentMode: true };
  const { root, package: name = '' } = protobuf.parse(
    readFileSync(file, 'utf8'),
    new protobuf.Root(),
    options,
  );
  const own = (root.lookup(name) as protobuf.Namespace).nestedArray;
  const service = own.find((item) => item instanceof protobuf.Service);
  if (service === undefined) throw new Error(`${file}: no service`);
  return {
    about: commentOf(service),
    methods: service.methodsArray.map(toMethod),
    types: own.flatMap(typesOf),
  };
}

/** A row for each method. */
export function methodTable({ methods }: ApiReference): string {
  const rows = methods.map(({ name, scope, request, response, isStream, meaning }) => [
    `\`${name}\``,
    `${linkTo(request)} → ${isStream ? 'stream of ' : ''}${linkTo(response)}`,
    `\`${scope}\``,
    meaning,
  ]);
  return markdownTable(['method', 'takes → gives', 'scope', 'what it does'], rows);
}

/** A heading, the comment and a table of fields or values for each type. */
export function typeSections({ types }: ApiReference): string {
  return types
    .map((type) => {
      const table = type instanceof protobuf.Enum ? valueTable(type) : fieldTable(type);
      return `### ${shortName(type)}\n\n${commentOf(type)}\n\n${table}`;
    })
    .join('\n\n');
}

function fieldTable(type: protobuf.Type): string {
  const rows = type.fieldsArray.map((field) => {
    const oneof =
      field.partOf !== null && !field.options?.['proto3_optional']
        ? ` (one of \`${field.partOf.name}\`)`
        : '';
    return [`\`${field.name}\``, String(field.id), typeOf(field), commentOf(field) + oneof];
  });
  return markdownTable(['field', 'number', 'type', 'meaning'], rows);
}

function valueTable(type: protobuf.Enum): string {
  const rows = Object.entries(type.values).map(([name, number]) => [
    `\`${name}\``,
    String(number),
    required(type.comments[name], `${type.fullName}.${name}`),
  ]);
  return markdownTable(['value', 'number', 'meaning'], rows);
}

function toMethod(method: protobuf.Method): ApiMethod {
  const comment = commentOf(method);
  const [, meaning, scope] = /^([\s\S]*?)\s*Scope: (\w+)\.$/.exec(comment) ?? [];
  if (meaning === undefined || scope === undefined)
    throw new Error(`${method.fullName}: its comment names no scope`);
  const { name, requestType: request, responseType: response, responseStream: isStream = false } = method;
  return { name, scope, request, response, isStream, meaning };
}

function typesOf(item: protobuf.ReflectionObject): (protobuf.Type | protobuf.Enum)[] {
  if (item instanceof protobuf.Enum) return [item];
  return item instanceof protobuf.Type ? [item, ...item.nestedArray.flatMap(typesOf)] : [];
}

function typeOf(field: protobuf.Field): string {
  if (field instanceof protobuf.MapField) return `map of ${linkTo(field.keyType)} to ${linkTo(field.type)}`;
  if (field.repeated) return `list of ${linkTo(field.type)}`;
  return field.options?.['proto3_optional']
    ? `optional ${linkTo(field.type)}`
    : linkTo(field.type, field.parent);
}

/** A link to the section of a type of the API; the plain name of any other type. */
function linkTo(type: string, scope: protobuf.NamespaceBase | null = null): string {
  const isOwn = /^[A-Z]/.test(type);
  if (!isOwn) return `\`${type.replace(/^google\.protobuf\./, '')}\``;
  const inner = scope instanceof protobuf.Type && scope.nested?.[type] ? `${scope.name}.${type}` : type;
  return `[${inner}](#${inner.toLowerCase().replaceAll('.', '')})`;
}

/** `Run`, `Run.State`. */
function shortName({ name, parent }: protobuf.Type | protobuf.Enum): string {
  return parent instanceof protobuf.Type ? `${parent.name}.${name}` : name;
}

function commentOf(item: protobuf.ReflectionObject): string {
  return required(item.comment, item.fullName);
}

/** Lines of a paragraph joined; paragraphs kept apart. */
function required(comment: string | null | undefined, what: string): string {
  if (!comment) throw new Error(`${what}: no comment`);
  return comment
    .split(/\n\s*\n/)
    .map((paragraph) => paragraph.replace(/\s*\n\s*/g, ' ').trim())
    .join('\n\n');
}
