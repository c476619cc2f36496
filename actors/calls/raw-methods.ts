/** Wraps the handlers of a service as methods that take and return bytes. */

import { CallError } from '../base/call-errors.ts';
import type { CallContext, IncomingCall } from './call.ts';
import type { Implementation, Method, Service } from '../proto/protos.ts';
import { untilAborted } from '../proto/request-stream.ts';

/** The input of a call: one request message, or a stream of them. */
export type RawInput = Pick<IncomingCall, 'request' | 'requests'>;
export type RawUnary = (input: RawInput, context: CallContext) => Promise<Uint8Array>;
export type RawStream = (input: RawInput, context: CallContext) => AsyncIterable<Uint8Array>;

/** A method from bytes to bytes. */
export type RawMethod =
  { readonly isStream: false; readonly run: RawUnary } | { readonly isStream: true; readonly run: RawStream };

/** The handlers of a service as raw methods. @throws Error when a method has no handler. */
export function rawMethods<Client, Handlers>(
  service: Service<Client, Handlers>,
  handlers: Implementation<Handlers, CallContext>,
): Map<string, RawMethod> {
  const byName: Readonly<Record<string, unknown>> = handlers;
  const methods = new Map<string, RawMethod>();
  for (const [name, method] of service.methods) {
    const handler = byName[name];
    if (typeof handler !== 'function') throw new Error(`${service.name} has no handler for ${name}`);
    methods.set(method.path, rawMethod(method, handler.bind(handlers) as Handler));
  }
  return methods;
}

type Handler = (
  input: object | AsyncIterable<object>,
  context: CallContext,
) => Promise<object> | object | AsyncIterable<object>;

function rawMethod(method: Method, handler: Handler): RawMethod {
  if (!method.responseStream) {
    const run: RawUnary = async (input, context) => {
      const answer = await handler(decoded(method, input, context), context);
      return method.responseSerialize((answer as object | undefined) ?? {});
    };
    return { isStream: false, run };
  }
  const run: RawStream = async function* (input, context) {
    const messages = handler(decoded(method, input, context), context) as AsyncIterable<object>;
    for await (const message of messages) yield method.responseSerialize(message);
  };
  return { isStream: true, run };
}

/**
 * Decodes a handler's input: its request, or its requests as they arrive. Reads `context.signal` only for the latter: a call
 * creates it on demand. @throws CallError INVALID_ARGUMENT
 */
function decoded(
  method: Method,
  { request, requests }: RawInput,
  context: CallContext,
): object | AsyncIterable<object> {
  const decode = (bytes: Uint8Array) => {
    try {
      return method.requestDeserialize(bytes as Buffer);
    } catch (cause) {
      throw new CallError('INVALID_ARGUMENT', `the request is not a valid message of ${method.path}`, {
        cause,
      });
    }
  };
  if (!method.requestStream) {
    if (requests === null) return decode(request);
    throw new CallError('INVALID_ARGUMENT', `${method.path} takes one request, not a stream of them`);
  }
  if (requests === null) throw new CallError('INVALID_ARGUMENT', `${method.path} takes a stream of requests`);
  return (async function* () {
    for await (const bytes of untilAborted(requests, context.signal)) yield decode(bytes);
  })();
}
