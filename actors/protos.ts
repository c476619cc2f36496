/**
 * Services from `proto/`, loaded at run time with the options that `npm run generate` used for their types, so that
 * types and messages agree: int64 as number, enums as names, defaults filled in, oneofs named.
 *
 * TypeScript names are the proto's with a small first letter: `SynthesizeShard` becomes `synthesizeShard`.
 */

import { join } from 'node:path';
import type * as grpc from '@grpc/grpc-js';
import protoLoader from '@grpc/proto-loader';
import type { MessageTypeDefinition, MethodDefinition, PackageDefinition } from '@grpc/proto-loader';
import { packageRoot } from '../common/package-root.ts';

export type Method = MethodDefinition<object, object>;

/** A proto service with the types of its generated client and handlers. */
export interface Service<Client, Handlers> {
  /** Full name, as `ballast.v1.DiffusionWorkerService`. */
  readonly name: string;
  /** By TypeScript name. */
  readonly methods: ReadonlyMap<string, Method>;
  /** Types only; never set. */
  readonly types?: { readonly client: Client; readonly handlers: Handlers };
}

/** Any service, for code that does not call its methods by name. */
export type AnyService = Service<unknown, unknown>;

/** Keys that the generated interface declares itself, without those of `grpc.Client` and index signatures. */
type DeclaredKey<T> = keyof {
  [K in keyof T as string extends K ? never : K extends keyof grpc.Client ? never : K]: true;
};

/** Method names of a generated client, as `synthesizeShard`. */
export type MethodName<Client> = Extract<DeclaredKey<Client>, string> & Uncapitalize<string>;

/** What a caller may say about one call. */
export interface CallOptions {
  /** Time that the call may take, milliseconds from now; a minute by default, Infinity for no limit. */
  readonly deadlineMs?: number;
  /** Cancels the call; it then throws the signal's reason. */
  readonly signal?: AbortSignal;
}

/** One method as callers see it: unary → Promise, server streaming → AsyncIterable (sent when iteration begins). */
type Callable<M> = M extends (request: infer Request, callback: grpc.requestCallback<infer Output>) => unknown
  ? (request: Request, options?: CallOptions) => Promise<Output>
  : M extends (request: infer Request, options?: grpc.CallOptions) => grpc.ClientReadableStream<infer Output>
    ? (request: Request, options?: CallOptions) => AsyncIterable<Output>
    : never;

/** The methods of a service as callers see them. */
export type Calls<Client> = { readonly [K in MethodName<Client>]: Callable<Client[K]> };

type ImplementationOf<Handler, Context> =
  Handler extends grpc.handleUnaryCall<infer Request, infer Response>
    ? (request: Request, context: Context) => Promise<Response> | Response
    : Handler extends grpc.handleServerStreamingCall<infer Request, infer Response>
      ? (request: Request, context: Context) => AsyncIterable<Response>
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

const LOADER_OPTIONS = { longs: Number, enums: String, defaults: true, oneofs: true } as const;

function load(protoFile: string, options: LoadOptions): PackageDefinition {
  const includeDirs = [...(options.includeDirs ?? []), join(packageRoot(), 'proto')];
  return protoLoader.loadSync(protoFile, { ...LOADER_OPTIONS, includeDirs });
}

/** `SynthesizeShard` → `synthesizeShard`. */
function methodName(protoName: string): string {
  return protoName.charAt(0).toLowerCase() + protoName.slice(1);
}

/**
 * Loads a service: `loadService<XServiceClient, XServiceHandlers>('ballast/v1/x.proto', 'ballast.v1.XService')`, the
 * type arguments from `gen/`. @throws Error when the file has no such service.
 */
export function loadService<Client, Handlers>(
  protoFile: string,
  fullName: string,
  options: LoadOptions = {},
): Service<Client, Handlers> {
  const definition = load(protoFile, options)[fullName];
  if (definition === undefined || 'format' in definition) {
    throw new Error(`${protoFile} has no service ${fullName}`);
  }
  const methods = Object.entries(definition).map(([name, method]) => [methodName(name), method] as const);
  return { name: fullName, methods: new Map(methods) };
}

/** Loads one message type, to encode and decode it by itself. @throws Error when the file has no such message. */
export function loadMessage<Input, Output>(
  protoFile: string,
  fullName: string,
): MessageTypeDefinition<Input, Output> {
  const definition = load(protoFile, {})[fullName];
  if (
    definition === undefined ||
    !('serialize' in definition) ||
    typeof definition.serialize !== 'function'
  ) {
    throw new Error(`${protoFile} has no message ${fullName}`);
  }
  return definition as unknown as MessageTypeDefinition<Input, Output>;
}

/** Whether the proto says `option idempotency_level = IDEMPOTENT` (or NO_SIDE_EFFECTS). */
export function isDeclaredIdempotent(method: Method): boolean {
  const level: string = method.options.idempotency_level;
  return level === 'IDEMPOTENT' || level === 'NO_SIDE_EFFECTS';
}
