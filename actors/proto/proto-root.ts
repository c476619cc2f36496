/**
 * The types of proto files, each loaded once, at first use; a file shares its imports with all others. Those of the package
 * were parsed by scripts/parse-protos.mjs. Every actor loads this module, so it builds no descriptors (as
 * @grpc/proto-loader does), which would cost more than the types.
 */

import { isUtf8 } from 'node:buffer';
import { existsSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import protobuf from 'protobufjs';
import { packageRoot } from '../../common/package-root.ts';
import parsed from '../../gen/protos.json' with { type: 'json' };

/** Options for messages as plain objects; the same ones as in `npm run generate`. */
const OUTPUT: protobuf.IConversionOptions = { longs: Number, enums: String, defaults: true, oneofs: true };

interface ParsedFile {
  readonly package: string;
  readonly imports: readonly string[];
  readonly types: protobuf.INamespace['nested'];
}

const PARSED = new Map<string, ParsedFile>(Object.entries(parsed as object));

/** The types of the package's own files, as far as they are loaded. */
const own = new protobuf.Root();
const loaded = new Set<string>();

/** Adds the types of a file of the package, and of its imports. */
function addOwn(file: string): void {
  if (loaded.has(file)) return;
  loaded.add(file);
  const { package: inPackage, imports, types = {} } = PARSED.get(file)!;
  for (const imported of imports) addOwn(imported);
  const namespace = own.define(inPackage).addJSON(types);
  for (const name of Object.keys(types)) namespace.get(name)!.filename = file;
}

/** A root that looks for files in folders, in this order. */
function searching(folders: readonly string[]): protobuf.Root {
  const root = new protobuf.Root();
  root.resolvePath = (_origin, target) =>
    isAbsolute(target)
      ? target
      : (folders.map((folder) => join(folder, target)).find((path) => existsSync(path)) ?? target);
  return root;
}

/** The types of a proto file: one of the package, or one in `includeDirs`, which may import the package's. */
export function loadRoot(protoFile: string, includeDirs: readonly string[] = []): protobuf.Root {
  if (includeDirs.length === 0 && PARSED.has(protoFile)) {
    addOwn(protoFile);
    own.resolveAll();
    return own;
  }
  return searching([...includeDirs, join(packageRoot(), 'proto')]).loadSync(protoFile);
}

/** Encodes and decodes a message type. */
export interface Codec<Input, Output> {
  /** @throws Error for a value that is not such a message. */
  readonly serialize: (value: Input) => Buffer;
  /** @throws Error for bytes that are not such a message: truncated, or with a string that is not UTF-8. */
  readonly deserialize: (bytes: Uint8Array) => Output;
}

/**
 * Refuses bytes that protobufjs accepts against the protobuf specification: a string that ends before its length
 * (protobufjs truncates it), and one that is not UTF-8 (protobufjs changes it).
 */
class StrictReader extends protobuf.BufferReader {
  override string(): string {
    const length = this.uint32();
    const end = this.pos + length;
    if (end > this.len) throw new RangeError(`a string of ${length} bytes extends beyond the message`);
    const bytes = (this.buf as Buffer).subarray(this.pos, end);
    if (!isUtf8(bytes)) throw new RangeError('a string is not UTF-8');
    this.pos = end;
    return bytes.toString('utf8');
  }
}

function readerOf(bytes: Uint8Array): protobuf.Reader {
  return new StrictReader(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
}

export function codecOf<Input extends object, Output>(type: protobuf.Type): Codec<Input, Output> {
  return {
    serialize: (value) => type.encode(type.fromObject(value)).finish() as Buffer,
    deserialize: (bytes) => type.toObject(type.decode(readerOf(bytes)), OUTPUT) as Output,
  };
}

/** One method of a service, as gRPC describes it. */
export interface Method {
  /** gRPC path. */
  readonly path: string;
  /** TypeScript name. */
  readonly originalName: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  /** Whether the proto says `option idempotency_level = IDEMPOTENT` (or NO_SIDE_EFFECTS). */
  readonly isIdempotent: boolean;
  readonly requestSerialize: (message: object) => Buffer;
  readonly requestDeserialize: (bytes: Buffer) => object;
  readonly responseSerialize: (message: object) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => object;
  /** Encodes what the handler threw, for methods that send it whole; `where` names the actor. */
  readonly thrownDeserialize?: (bytes: Uint8Array, where: string) => unknown;
}

/** The methods of a service, by TypeScript name. @throws Error when the root has no such service. */
export function methodsOf(root: protobuf.Root, fullName: string): Map<string, Method> {
  const service = root.lookupService(fullName);
  return new Map(
    service.methodsArray.map((method) => {
      const name = method.name.charAt(0).toLowerCase() + method.name.slice(1);
      return [name, methodOf(method.resolve() as protobuf.Method, name, `/${fullName}/${method.name}`)];
    }),
  );
}

function methodOf(method: protobuf.Method, originalName: string, path: string): Method {
  const request = codecOf<object, object>(method.resolvedRequestType!);
  const response = codecOf<object, object>(method.resolvedResponseType!);
  const level: unknown = method.getOption('idempotency_level');
  return {
    path,
    originalName,
    requestStream: method.requestStream === true,
    responseStream: method.responseStream === true,
    isIdempotent: level === 'IDEMPOTENT' || level === 'NO_SIDE_EFFECTS',
    requestSerialize: request.serialize,
    requestDeserialize: request.deserialize,
    responseSerialize: response.serialize,
    responseDeserialize: response.deserialize,
  };
}
