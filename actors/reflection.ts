/**
 * gRPC server reflection (grpc.reflection.v1 and v1alpha), so that grpcurl and the like need no proto files. Nothing is
 * loaded until somebody asks: most actors never are.
 */

import type * as grpc from '@grpc/grpc-js';
import type protobuf from 'protobufjs';
import type { IFileDescriptorProto } from 'protobufjs/ext/descriptor/index.js';
import type { AnyService } from './protos.ts';
import { STATUS_CODES } from './status-codes.ts';

const PATHS = ['v1', 'v1alpha'].map(
  (version) => `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
);

type RawStream = grpc.ServerDuplexStream<Uint8Array, Uint8Array>;
type Answer = (stream: RawStream) => void;

const passThrough = (bytes: Uint8Array) => bytes as Buffer;

/** Adds reflection to a server; `exposed` are the services that it has when somebody asks. */
export function addReflection(server: grpc.Server, exposed: () => readonly AnyService[]): void {
  let known: { readonly count: number; readonly answers: Promise<ReadonlyMap<string, Answer>> } | null = null;
  const answersNow = () => {
    const services = exposed();
    if (known?.count !== services.length) known = { count: services.length, answers: load(services) };
    return known.answers;
  };
  for (const path of PATHS) {
    const definition = {
      path,
      requestStream: true,
      responseStream: true,
      requestSerialize: passThrough,
      requestDeserialize: passThrough,
      responseSerialize: passThrough,
      responseDeserialize: passThrough,
    };
    const info = (stream: RawStream) =>
      void answersNow().then(
        (answers) => answers.get(path)!(stream),
        (thrown: unknown) => stream.emit('error', thrown),
      );
    server.addService({ info: definition }, { info });
  }
}

/** The package's own handlers by gRPC path, as handlers of bytes. */
async function load(services: readonly AnyService[]): Promise<ReadonlyMap<string, Answer>> {
  const { ReflectionService } = await import('@grpc/reflection');
  const fileDescriptorProtos = await mergedFiles(services);
  const names = services.map(({ name }) => name);
  const described = { services: { fileDescriptorProtos } } as unknown as ConstructorParameters<
    typeof ReflectionService
  >[0];
  const answers = new Map<string, Answer>();
  const taker = {
    addService(definition: grpc.ServiceDefinition, handlers: grpc.UntypedServiceImplementation) {
      for (const [name, method] of Object.entries(definition)) {
        const handler = handlers[name] as (stream: unknown) => void;
        answers.set(method.path, (stream) => handler(decoded(method, stream)));
      }
    },
  };
  new ReflectionService(described, { services: names }).addToServer(taker);
  return answers;
}

/**
 * A stream of bytes as one of messages, as far as the handlers use it. What they throw ends the stream: nobody else
 * would catch it, and anybody may ask.
 */
function decoded(method: grpc.MethodDefinition<unknown, unknown>, stream: RawStream) {
  const answer = (bytes: Uint8Array, listener: (message?: unknown) => void) => {
    try {
      listener(method.requestDeserialize(bytes as Buffer));
    } catch {
      const code = STATUS_CODES.INVALID_ARGUMENT;
      stream.emit('error', { code, details: 'the request is no question that reflection can answer' });
    }
  };
  return {
    on(event: string, listener: (message?: unknown) => void) {
      if (event !== 'data') stream.on(event, listener);
      else stream.on(event, (bytes: Uint8Array) => answer(bytes, listener));
    },
    write: (message: unknown) => stream.write(method.responseSerialize(message)),
    end: () => stream.end(),
  };
}

const LISTS = ['messageType', 'enumType', 'service', 'extension'] as const;

/**
 * The services' files, encoded. protobufjs makes one file of each package, with what one root has seen of it; several
 * roots with a package give several files of one name, which reflection must show as one.
 */
async function mergedFiles(services: readonly AnyService[]): Promise<Uint8Array[]> {
  const { FileDescriptorProto } = (await import('protobufjs/ext/descriptor/index.js')).default;
  const files = new Map<string, IFileDescriptorProto>();
  for (const root of new Set(services.map((service) => service.root()))) {
    for (const file of describe(root)) {
      const merged = files.get(file.name ?? '');
      if (merged === undefined) files.set(file.name ?? '', file);
      else for (const list of LISTS) addMissing((merged[list] ??= []), file[list] ?? []);
    }
  }
  return [...files.values()].map((file) => FileDescriptorProto.encode(file).finish());
}

/** The method that `protobufjs/ext/descriptor` adds to roots. */
function describe(root: protobuf.Root): IFileDescriptorProto[] {
  root.resolveAll();
  return (root as unknown as Describable).toDescriptor('proto3').file;
}

interface Describable {
  toDescriptor(syntax: 'proto3'): { readonly file: IFileDescriptorProto[] };
}

function addMissing(into: { name?: string | null }[], from: readonly { name?: string | null }[]): void {
  const names = new Set(into.map(({ name }) => name));
  into.push(...from.filter(({ name }) => !names.has(name)));
}
