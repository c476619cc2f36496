/**
 * gRPC server reflection (grpc.reflection.v1 and v1alpha), so that grpcurl and similar tools need no proto files.
 * Nothing is loaded until the first request: most actors never receive one.
 */

import type * as grpc from '@grpc/grpc-js';
import { describeFiles } from '../proto/file-descriptors.ts';
import type { AnyService } from '../proto/protos.ts';
import { STATUS_CODES } from '../base/status-codes.ts';

const PATHS = ['v1', 'v1alpha'].map(
  (version) => `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
);

type RawStream = grpc.ServerDuplexStream<Uint8Array, Uint8Array>;
type Answer = (stream: RawStream) => void;

const passThrough = (bytes: Uint8Array) => bytes as Buffer;

/** Adds reflection to a server; `exposed` returns its services at the time of a request. */
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
  const fileDescriptorProtos = await encodedFiles(services);
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
 * A stream of bytes as a stream of messages, as far as the handlers use it. An error that they throw ends the stream:
 * nobody else would catch it, and any client may send a request.
 */
function decoded(method: grpc.MethodDefinition<unknown, unknown>, stream: RawStream) {
  const answer = (bytes: Uint8Array, listener: (message?: unknown) => void) => {
    try {
      listener(method.requestDeserialize(bytes as Buffer));
    } catch {
      const code = STATUS_CODES.INVALID_ARGUMENT;
      stream.emit('error', { code, details: 'the request is not one that reflection can answer' });
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

async function encodedFiles(services: readonly AnyService[]): Promise<Uint8Array[]> {
  const { FileDescriptorProto } = (await import('protobufjs/ext/descriptor/index.js')).default;
  const names = services.map(({ name }) => name);
  const files = await describeFiles(new Set(services.map((service) => service.root())), names);
  return files.map((file) => FileDescriptorProto.encode(file).finish());
}
