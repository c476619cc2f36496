/**
 * Proto files as descriptors, as protoc would write them, derived from the types that protobufjs has parsed. Its own
 * descriptors lack features that strict readers (Go's and C++'s, hence grpcurl and buf) require: the fields' original
 * names, full type names, imports, names of map entries, marks of optional fields, and synthetic oneofs placed last.
 *
 * Types are in the files from which they were parsed; types from text without a file share one file per package. Field
 * names are assumed to be in snake case, as Google's and buf's style rules require.
 */

import protobuf from 'protobufjs';
import type {
  IDescriptorProto,
  IFieldDescriptorProto,
  IFileDescriptorProto,
} from 'protobufjs/ext/descriptor/index.js';

const LISTS = ['messageType', 'enumType', 'service', 'extension'] as const;

/**
 * The files of several roots, each file once, merged from all roots. With `services` (full names), only the files of
 * these and their imports: nothing else that the process has loaded is exposed.
 */
export async function describeFiles(
  roots: Iterable<protobuf.Root>,
  services: readonly string[] | null = null,
): Promise<IFileDescriptorProto[]> {
  await import('protobufjs/ext/descriptor/index.js'); // adds `toDescriptor` to roots
  const files = new Map<string, IFileDescriptorProto>();
  for (const root of roots) {
    for (const file of describeRoot(root)) {
      const merged = files.get(file.name ?? '');
      if (merged === undefined) files.set(file.name ?? '', file);
      else for (const list of LISTS) addMissing((merged[list] ??= []), file[list] ?? []);
    }
  }
  addImports([...files.values()]);
  return services === null ? [...files.values()] : withImports(files, services);
}

/** The files that contain these services, and all their imports. */
function withImports(
  files: ReadonlyMap<string, IFileDescriptorProto>,
  services: readonly string[],
): IFileDescriptorProto[] {
  const wanted = new Set<IFileDescriptorProto>();
  const add = (file: IFileDescriptorProto | undefined) => {
    if (file === undefined || wanted.has(file)) return;
    wanted.add(file);
    for (const name of (file as { dependency?: string[] }).dependency ?? []) add(files.get(name));
  };
  for (const file of files.values())
    if (file.service?.some(({ name }) => services.includes(`${file.package}.${name}`))) add(file);
  return [...wanted];
}

function describeRoot(root: protobuf.Root): IFileDescriptorProto[] {
  root.resolveAll();
  const { file: files } = (root as unknown as Describable).toDescriptor('proto3');
  for (const file of files) {
    for (const message of file.messageType ?? [])
      repair(message, root.lookupType(`${file.package}.${message.name}`));
  }
  return files.flatMap((file) => splitBySource(file, root));
}

/** Splits a package's descriptor into those of the files from which its types were parsed. */
function splitBySource(whole: IFileDescriptorProto, root: protobuf.Root): IFileDescriptorProto[] {
  const parts = new Map<string, IFileDescriptorProto>();
  for (const list of LISTS) {
    for (const item of (whole[list] ?? []) as { name?: string | null }[]) {
      const name = sourceOf(root.lookup(`${whole.package}.${item.name}`), whole);
      const part = parts.get(name) ?? { name, package: whole.package!, syntax: whole.syntax! };
      parts.set(name, part);
      ((part[list] ??= []) as unknown[]).push(item);
    }
  }
  return [...parts.values()];
}

const STRUCT_TYPES = ['Struct', 'Value', 'ListValue', 'NullValue'];

/** The name under which a type's file is imported, as `ballast/v1/coordinator.proto`. */
function sourceOf(type: protobuf.ReflectionObject | null, whole: IFileDescriptorProto): string {
  if (whole.package === 'google.protobuf' && type !== null) {
    // protobufjs bundles these types, and they come from no file.
    const stem = STRUCT_TYPES.includes(type.name) ? 'struct' : snakeCase(type.name).slice(1);
    return `google/protobuf/${stem}.proto`;
  }
  const path = type?.filename?.replaceAll('\\', '/');
  if (!path) return whole.name ?? '';
  const base = path.slice(path.lastIndexOf('/') + 1);
  const inFolder = `${(whole.package ?? '').replaceAll('.', '/')}/${base}`;
  return `/${path}`.endsWith(`/${inFolder}`) ? inFolder : base;
}

/** The method that `protobufjs/ext/descriptor` adds to roots. */
interface Describable {
  toDescriptor(syntax: 'proto3'): { readonly file: IFileDescriptorProto[] };
}

function addMissing(into: { name?: string | null }[], from: readonly { name?: string | null }[]): void {
  const names = new Set(into.map(({ name }) => name));
  into.push(...from.filter(({ name }) => !names.has(name)));
}

/** Changes a message's descriptor into the one that protoc writes for `type`. */
function repair(message: IDescriptorProto, type: protobuf.Type): void {
  for (const [i, field] of type.fieldsArray.entries()) repairField(message.field![i]!, field, message);
  for (const oneof of message.oneofDecl ?? []) oneof.name = snakeCase(oneof.name ?? '');
  sortOneofs(message, type);
  for (const nested of message.nestedType ?? []) {
    const own = type.nested?.[nested.name ?? ''];
    if (own instanceof protobuf.Type) repair(nested, own);
  }
}

function repairField(
  descriptor: IFieldDescriptorProto,
  field: protobuf.Field,
  message: IDescriptorProto,
): void {
  descriptor.name = snakeCase(field.name);
  if (isOptional(field)) Object.assign(descriptor, { proto3Optional: true }); // missing from its types
  if (field instanceof protobuf.MapField) {
    const entry = message.nestedType!.find(({ name }) => name === descriptor.typeName)!;
    entry.name = `${descriptor.typeName}Entry`;
    descriptor.typeName = `${field.parent!.fullName}.${entry.name}`;
    if (field.resolvedType) entry.field![1]!.typeName = field.resolvedType.fullName;
  } else if (field.resolvedType) descriptor.typeName = field.resolvedType.fullName;
}

/** The synthetic oneofs of optional fields come last. */
function sortOneofs(message: IDescriptorProto, type: protobuf.Type): void {
  const stands = type.oneofsArray.map(({ fieldsArray }) => fieldsArray.every(isOptional));
  const before = [...stands.keys()];
  const after = [...before.filter((i) => !stands[i]), ...before.filter((i) => stands[i])];
  message.oneofDecl = after.map((i) => message.oneofDecl![i]!);
  for (const [i, { partOf }] of type.fieldsArray.entries()) {
    if (partOf) message.field![i]!.oneofIndex = after.indexOf(type.oneofsArray.indexOf(partOf));
  }
}

function isOptional({ options }: protobuf.Field): boolean {
  return options?.['proto3_optional'] === true;
}

/** `guidance_scale` of `guidanceScale`. */
function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** Each file imports the files of the types that it uses. */
function addImports(files: readonly IFileDescriptorProto[]): void {
  const homes = new Map(files.flatMap((file) => typesIn(file).map((type) => [type, file.name!])));
  for (const file of files) {
    const wanted = [
      ...(file.messageType ?? []).flatMap(namesIn),
      ...(file.service ?? [])
        .flatMap(({ method }) => method ?? [])
        .flatMap((m) => [m.inputType, m.outputType]),
    ].map((name) => homes.get(name ?? ''));
    const others = wanted.filter((name) => name !== undefined && name !== file.name) as string[];
    (file as { dependency?: string[] }).dependency = [...new Set(others)].sort();
  }
}

/** Full names of the messages and enums of a file, including nested ones. */
function typesIn({ package: name, messageType, enumType }: IFileDescriptorProto): string[] {
  const within = (scope: string, message: IDescriptorProto): string[] => {
    const own = `${scope}.${message.name}`;
    const inner = (message.nestedType ?? []).flatMap((nested) => within(own, nested));
    return [own, ...(message.enumType ?? []).map((nested) => `${own}.${nested.name}`), ...inner];
  };
  const scope = `.${name}`;
  return [
    ...(messageType ?? []).flatMap((message) => within(scope, message)),
    ...(enumType ?? []).map((nested) => `${scope}.${nested.name}`),
  ];
}

/** Full names of the types of all fields of a message, and of its nested messages. */
function namesIn({ field, nestedType }: IDescriptorProto): string[] {
  const own = (field ?? []).flatMap(({ typeName }) => typeName ?? []);
  return [...own, ...(nestedType ?? []).flatMap(namesIn)];
}
