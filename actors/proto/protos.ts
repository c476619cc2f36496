/**
 * Services from `proto/`, read at run time with the options that `npm run generate` used for their types, so that types
 * and messages agree: int64 as number, enums as names, defaults filled in, oneofs named.
 *
 * TypeScript names are the proto's with a lower-case first letter: `SynthesizeShard` becomes `synthesizeShard`.
 */

import type * as grpc from '@grpc/grpc-js';
import protobuf from 'protobufjs';
import { toError, UserError } from '../../common/errors.ts';
import { clippedText } from '../../common/plain-text.ts';
import { shown } from '../base/checks.ts';
import { codecOf, loadRoot, methodsOf } from './proto-root.ts';
import type { Codec, Method } from './proto-root.ts';

export type { Method };

/** A proto service with the types of its generated client and handlers. */
export interface Service<Client, Handlers> {
  /** Full name, as `ballast.v1.DiffusionWorkerService`. */
  readonly name: string;
  /** The proto file's types, for descriptions of the service. */
  root(): protobuf.Root;
  /** By TypeScript name. */
  readonly methods: ReadonlyMap<string, Method>;
  /** For types only; never set. */
  readonly types?: { readonly client: Client; readonly handlers: Handlers };
}

/** Any service, for code that does not call its methods by name. */
export type AnyService = Service<unknown, unknown>;

/** Keys that the generated interface itself declares, without those of `grpc.Client` and index signatures. */
type DeclaredKey<T> = keyof {
  [K in keyof T as string extends K ? never : K extends keyof grpc.Client ? never : K]: true;
};

/** Method names of a generated client, as `synthesizeShard`. */
export type MethodName<Client> = Extract<DeclaredKey<Client>, string> & Uncapitalize<string>;

/** Options of one call. */
export interface CallOptions {
  /** Time that the call may take, milliseconds from now; a minute by default, Infinity for no limit. */
  readonly deadlineMs?: number;
  /** Cancels the call; it then throws the signal's reason. */
  readonly signal?: AbortSignal;
}

/** The requests of a call that streams them. */
export type RequestsOf<Request> = AsyncIterable<Request> | Iterable<Request>;

/**
 * One method as callers see it: one answer → Promise, a stream of answers → AsyncIterable (sent when iteration begins);
 * one request, or an iterable of requests.
 */
type Callable<M> = M extends (...args: never[]) => grpc.ClientDuplexStream<infer Request, infer Output>
  ? (requests: RequestsOf<Request>, options?: CallOptions) => AsyncIterable<Output>
  : M extends (callback: grpc.requestCallback<infer Output>) => grpc.ClientWritableStream<infer Request>
    ? (requests: RequestsOf<Request>, options?: CallOptions) => Promise<Output>
    : M extends (request: infer Request, callback: grpc.requestCallback<infer Output>) => unknown
      ? (request: Request, options?: CallOptions) => Promise<Output>
      : M extends (
            request: infer Request,
            options?: grpc.CallOptions,
          ) => grpc.ClientReadableStream<infer Output>
        ? (request: Request, options?: CallOptions) => AsyncIterable<Output>
        : never;

/** The methods of a service as callers see them. */
export type Calls<Client> = { readonly [K in MethodName<Client>]: Callable<Client[K]> };

/** Implements the calls: called once for each method, when its proxy is created. */
export interface CallMaker {
  /** Implements a method with one answer. */
  one(method: Method, name: string): (input: object, options: CallOptions) => Promise<object>;
  /** Implements a method with a stream of answers. */
  many(method: Method, name: string): (input: object, options: CallOptions) => AsyncIterable<object>;
}

/** The methods of a service as its callers see them: every typed proxy is created here. */
export function callsOf<Client>(service: Service<Client, unknown>, maker: CallMaker): Calls<Client> {
  const calls: Record<string, unknown> = {};
  for (const [name, method] of service.methods) {
    const call = method.responseStream ? maker.many(method, name) : maker.one(method, name);
    calls[name] = (input: object, options: CallOptions = {}) => call(input, options);
  }
  return calls as Calls<Client>;
}

/** A handler's result; it may return nothing where the message has no fields. */
type Answer<Response> = Response | (keyof Response extends never ? void : never);

type ImplementationOf<Handler, Context> =
  Handler extends grpc.handleUnaryCall<infer Request, infer Response>
    ? (request: Request, context: Context) => Promise<Answer<Response>> | Answer<Response>
    : Handler extends grpc.handleServerStreamingCall<infer Request, infer Response>
      ? (request: Request, context: Context) => AsyncIterable<Response>
      : Handler extends grpc.handleClientStreamingCall<infer Request, infer Response>
        ? (requests: AsyncIterable<Request>, context: Context) => Promise<Answer<Response>> | Answer<Response>
        : Handler extends grpc.handleBidiStreamingCall<infer Request, infer Response>
          ? (requests: AsyncIterable<Request>, context: Context) => AsyncIterable<Response>
          : never;

/** The methods of a service as its implementer writes them. */
export type Implementation<Handlers, Context> = {
  readonly [K in DeclaredKey<Handlers> as K extends string ? Uncapitalize<K> : never]: ImplementationOf<
    Handlers[K],
    Context
  >;
};

export interface LoadOptions {
  /** Folders searched before the package's own `proto/`. */
  readonly includeDirs?: readonly string[];
}

/**
 * A service: `loadService<XServiceClient, XServiceHandlers>('ballast/v1/x.proto', 'ballast.v1.XService')`, the type
 * arguments from `gen/`. Its file is read when its methods are first used; that throws when the file has no such
 * service.
 */
export function loadService<Client, Handlers>(
  protoFile: string,
  fullName: string,
  { includeDirs }: LoadOptions = {},
): Service<Client, Handlers> {
  let types: protobuf.Root | null = null;
  let methods: ReadonlyMap<string, Method> | null = null;
  const root = () => (types ??= loadRoot(protoFile, includeDirs));
  return {
    name: fullName,
    root,
    get methods() {
      methods ??= methodsIn(root, protoFile, fullName);
      return methods;
    },
  };
}

/** @throws UserError when the file cannot be read, or has no such service. */
function methodsIn(
  root: () => protobuf.Root,
  protoFile: string,
  fullName: string,
): ReadonlyMap<string, Method> {
  try {
    return methodsOf(root(), fullName);
  } catch (thrown) {
    const reason = clippedText(toError(thrown).message, 200);
    throw new UserError(`Service ${shown(fullName)} of ${shown(protoFile)}: ${reason}`, { cause: thrown });
  }
}

/** The description of a service, as JSON, with which another thread can offer it to plain gRPC clients. */
export function describeService(service: AnyService): string {
  return JSON.stringify(service.root().toJSON());
}

/** The service that `describeService` described. */
export function describedService(name: string, json: string): AnyService {
  const root = protobuf.Root.fromJSON(JSON.parse(json) as protobuf.INamespace).resolveAll() as protobuf.Root;
  return { name, root: () => root, methods: methodsOf(root, name) };
}

/** One message type, to encode and decode it separately. @throws Error when the file has no such message. */
export function loadMessage<Input extends object, Output>(
  protoFile: string,
  fullName: string,
): Codec<Input, Output> {
  return codecOf(loadRoot(protoFile).lookupType(fullName));
}
