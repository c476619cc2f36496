/** Handlers of a service as methods that take and give bytes. */

import { CallError } from './call-errors.ts';
import type { CallContext } from './dispatcher.ts';
import type { Implementation, Method, Service } from './protos.ts';

export type RawUnary = (request: Uint8Array, context: CallContext) => Promise<Uint8Array>;
export type RawStream = (request: Uint8Array, context: CallContext) => AsyncIterable<Uint8Array>;

/** A method as bytes in, bytes out. */
export type RawMethod =
  { readonly isStream: false; readonly run: RawUnary } | { readonly isStream: true; readonly run: RawStream };

/** Handlers of a service as raw methods. @throws Error when a method has no handler. */
export function rawMethods<Client, Handlers>(
  service: Service<Client, Handlers>,
  handlers: Implementation<Handlers, CallContext>,
): Map<string, RawMethod> {
  const byName: Readonly<Record<string, unknown>> = handlers;
  const methods = new Map<string, RawMethod>();
  for (const [name, method] of service.methods) {
    const handler = byName[name];
    if (typeof handler !== 'function') throw new Error(`${service.name} has no handler for ${name}`);
    if (method.requestStream) throw new Error(`${service.name}.${name}: client streaming is not supported`);
    methods.set(method.path, rawMethod(method, handler.bind(handlers) as Handler));
  }
  return methods;
}

type Handler = (request: object, context: CallContext) => Promise<object> | object | AsyncIterable<object>;

function rawMethod(method: Method, handler: Handler): RawMethod {
  const decode = (request: Uint8Array) => {
    try {
      return method.requestDeserialize(request as Buffer);
    } catch (cause) {
      throw new CallError('INVALID_ARGUMENT', `the request is no message of ${method.path}`, { cause });
    }
  };
  if (!method.responseStream) {
    const run: RawUnary = async (request, context) =>
      method.responseSerialize(((await handler(decode(request), context)) as object | undefined) ?? {});
    return { isStream: false, run };
  }
  const run: RawStream = async function* (request, context) {
    for await (const message of handler(decode(request), context) as AsyncIterable<object>) {
      yield method.responseSerialize(message);
    }
  };
  return { isStream: true, run };
}
