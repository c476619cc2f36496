// A small grpcurl: lists, describes and calls a server's services without a proto file. It learns everything about them
// from the server itself, by gRPC reflection.
//
//   node dist/examples/api/by-reflection.js 127.0.0.1:4800
//   node dist/examples/api/by-reflection.js 127.0.0.1:4800 ballast.v1.CoordinatorService
//   node dist/examples/api/by-reflection.js 127.0.0.1:4800 ballast.v1.CoordinatorService/ListRuns '{"page_size": 5}'
import { readFileSync } from 'node:fs';
import * as grpc from '@grpc/grpc-js';
import protobuf from 'protobufjs';
import descriptor from 'protobufjs/ext/descriptor/index.js';

// The part of grpc.reflection.v1 that is needed here.
const reflection = protobuf.parse(`
  syntax = "proto3";
  message Request { oneof request { string file_containing_symbol = 4; string list_services = 7; } }
  message Response {
    Files files = 4;
    Services services = 6;
    Failure failure = 7;
  }
  message Files { repeated bytes files = 1; }
  message Services { repeated Service services = 1; }
  message Service { string name = 1; }
  message Failure { int32 code = 1; string message = 2; }
`).root;

const STRUCT = '.google.protobuf.Struct';

interface ReflectionResponse {
  readonly services?: { readonly services: readonly { readonly name: string }[] };
  readonly files?: { readonly files: readonly Uint8Array[] };
  readonly failure?: { readonly message: string };
}

const [address = '', target = '', json = '{}'] = process.argv.slice(2);
const metadata = new grpc.Metadata();
const tokenFile = process.env['BALLAST_API_TOKEN_FILE'];
if (tokenFile) metadata.set('authorization', `Bearer ${readFileSync(tokenFile, 'utf8').trim()}`);
const client = new grpc.Client(address, grpc.credentials.createInsecure());
const [service = '', method] = target.split('/');
try {
  if (service === '') for (const name of await listServices()) console.log(name);
  else if (method === undefined)
    for (const line of describe(await learn(service), service)) console.log(line);
  else
    for await (const answer of call(await learn(service), service, method))
      console.log(JSON.stringify(answer));
} catch (error) {
  const { code, details } = error as grpc.ServiceError;
  console.error(code === undefined ? String(error) : `${grpc.status[code]}: ${details}`);
  process.exitCode = 1;
} finally {
  client.close();
}

/** One request to the server's reflection. */
async function ask(question: object): Promise<ReflectionResponse> {
  const [Request, Response] = [reflection.lookupType('Request'), reflection.lookupType('Response')];
  const stream = client.makeBidiStreamRequest(
    '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
    (request: object) => Buffer.from(Request.encode(Request.fromObject(request)).finish()),
    (bytes) => Response.toObject(Response.decode(bytes)) as ReflectionResponse,
    metadata,
  );
  stream.write(question);
  stream.end();
  for await (const answer of stream) {
    const response = answer as ReflectionResponse;
    if (response.failure) throw new Error(response.failure.message);
    return response;
  }
  throw new Error('the server did not answer');
}

async function listServices(): Promise<string[]> {
  const { services } = await ask({ listServices: '*' });
  return (services?.services ?? []).map(({ name }) => name);
}

/** The types of a service, from the descriptors that the server sends. */
async function learn(symbol: string): Promise<protobuf.Root> {
  const { files } = await ask({ fileContainingSymbol: symbol });
  const file = (files?.files ?? []).map((bytes) => descriptor.FileDescriptorProto.decode(bytes));
  const roots = protobuf.Root as unknown as { fromDescriptor(set: object): protobuf.Root };
  const root = roots.fromDescriptor(descriptor.FileDescriptorSet.create({ file }));
  root.resolveAll();
  return root;
}

function describe(root: protobuf.Root, name: string): string[] {
  return root.lookupService(name).methodsArray.map((rpc) => {
    const [takes, gives] = [rpc.resolvedRequestType, rpc.resolvedResponseType].map((type) =>
      type!.fullName.slice(1),
    );
    return `${rpc.name}(${takes}) returns (${rpc.responseStream ? 'stream ' : ''}${gives})`;
  });
}

/** The responses of a method, as plain objects with the proto's own field names. */
async function* call(root: protobuf.Root, serviceName: string, methodName: string): AsyncGenerator<unknown> {
  const rpc = root.lookupService(serviceName).methods[methodName];
  if (!rpc) throw new Error(`${serviceName} has no method ${methodName}`);
  rpc.resolve();
  const [takes, gives] = [rpc.resolvedRequestType!, rpc.resolvedResponseType!];
  const request = takes.fromObject(fromJson(takes, JSON.parse(json)) as object);
  const path = `/${serviceName}/${methodName}`;
  const encode = (message: protobuf.Message) => Buffer.from(takes.encode(message).finish());
  const decode = (bytes: Buffer) => toJson(gives, gives.decode(bytes)) as object;
  // On the wire, a call with one response is a stream of one.
  yield* client.makeServerStreamRequest(path, encode, decode, request, metadata);
}

// Protobuf's JSON form has a plain object for a map and for a google.protobuf.Struct. In descriptors a map is a list of
// entries with key and value, and a Struct is a message with a map.

/** Converts a JSON value into the form that `type.fromObject` accepts. */
function fromJson(type: protobuf.Type, value: unknown): unknown {
  const object =
    type.fullName === STRUCT ? { fields: mapValues(value as object, toStructValue) } : (value as object);
  return mapFields(type, object, (of, inner) => {
    if (Array.isArray(inner)) return inner.map((item) => fromJson(of, item));
    if (!isEntry(of)) return fromJson(of, inner);
    return Object.entries(inner as object).map(([key, item]) =>
      fromJson(of, { key, value: item as unknown }),
    );
  });
}

/** Converts a decoded message into a JSON value. */
function toJson(type: protobuf.Type, message: protobuf.Message): unknown {
  return plain(type, type.toObject(message, { longs: Number, enums: String, bytes: String }));
}

function plain(type: protobuf.Type, value: object): unknown {
  const object = mapFields(type, value, (of, inner) => {
    if (!Array.isArray(inner)) return plain(of, inner as object);
    const items = inner.map((item: object) => plain(of, item));
    return isEntry(of)
      ? Object.fromEntries((items as Entry[]).map((entry) => [entry.key, entry.value]))
      : items;
  });
  return type.fullName === STRUCT ? mapValues(object['fields'] ?? {}, fromStructValue) : object;
}

interface Entry {
  readonly key: string;
  readonly value: unknown;
}

function isEntry({ name, options }: protobuf.Type): boolean {
  return name.endsWith('Entry') && options?.['map_entry'] === true;
}

/** `value` with its message fields converted. */
function mapFields(
  type: protobuf.Type,
  value: object,
  convert: (of: protobuf.Type, inner: unknown) => unknown,
): Record<string, unknown> {
  const fields = Object.entries(value).map(([name, inner]) => {
    const field = type.fields[name];
    if (!field)
      throw new Error(`${type.name} has no field ${name}; it has ${Object.keys(type.fields).join(', ')}`);
    const of = field.resolve().resolvedType;
    return [name, of instanceof protobuf.Type ? convert(of, inner) : (inner as unknown)];
  });
  return Object.fromEntries(fields) as Record<string, unknown>;
}

function mapValues(object: object, convert: (value: unknown) => unknown): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).map(([name, value]) => [name, convert(value)]));
}

/** A google.protobuf.Value that holds a JSON value. */
function toStructValue(value: unknown): object {
  if (value === null) return { null_value: 0 };
  if (Array.isArray(value)) return { list_value: { values: value.map(toStructValue) } };
  if (typeof value === 'string') return { string_value: value };
  if (typeof value === 'number') return { number_value: value };
  return typeof value === 'boolean' ? { bool_value: value } : { struct_value: value };
}

function fromStructValue(value: unknown): unknown {
  const [[kind, inner] = []] = Object.entries(value as object) as [string, unknown][];
  if (kind === 'list_value') return ((inner as { values?: unknown[] }).values ?? []).map(fromStructValue);
  return kind === 'null_value' ? null : inner;
}
