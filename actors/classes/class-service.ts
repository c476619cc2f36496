/** The public methods of a class as a service: like one from a `.proto`, with values instead of messages. */

import protobuf from 'protobufjs';
import { UserError } from '../../common/errors.ts';
import { CallError } from '../base/call-errors.ts';
import type { Method } from '../proto/proto-root.ts';
import type { AnyService } from '../proto/protos.ts';
import type { ActorClass } from './class-types.ts';
import { decodeThrown, type ErrorClass } from './thrown-error.ts';
import { decodeValue, encodeValue } from './value-codec.ts';

/** Methods that only the runtime calls. */
export const HOOKS: ReadonlySet<string> = new Set(['snapshot', 'restore', 'onStop']);
/** Names that a handle defines itself, or that would make it look like a promise. */
const RESERVED = ['actorId', 'then', 'with', 'toJSON'];
const NAMESPACE = 'ballast.classes';

/** A response encoded by `encodeValue`. */
export interface Answered {
  readonly encoded: Buffer;
}

/** Names of the public methods, inherited ones included, without hooks and names that begin with `_`. */
export function methodNames(actorClass: ActorClass): string[] {
  const names = new Set<string>();
  let prototype = actorClass.prototype as object | null;
  for (
    ;
    prototype !== null && prototype !== Object.prototype;
    prototype = Object.getPrototypeOf(prototype) as object | null
  ) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
      const isPublic = name !== 'constructor' && !name.startsWith('_') && !HOOKS.has(name);
      if (isPublic && typeof value === 'function') names.add(name);
    }
  }
  return [...names];
}

/** @throws UserError for a method name that no handle can have. */
export function classService(
  actorClass: ActorClass,
  typeName: string,
  idempotent: readonly string[],
  errors: readonly ErrorClass[],
): AnyService {
  const names = methodNames(actorClass);
  const reserved = names.find((name) => RESERVED.includes(name));
  if (reserved !== undefined) {
    throw new UserError(
      `Actor class ${typeName}: the method name '${reserved}' is reserved; choose another one.`,
    );
  }
  const missing = idempotent.find((name) => !names.includes(name));
  if (missing !== undefined) {
    throw new UserError(`Actor class ${typeName}, idempotent: it has no public method '${missing}'.`);
  }
  const methods = names.map((name) => {
    const isStream = isGenerator((actorClass.prototype as Record<string, unknown>)[name]);
    return [name, methodOf(typeName, name, isStream, idempotent.includes(name), errors)] as const;
  });
  return {
    name: `${NAMESPACE}.${typeName}`,
    methods: new Map(methods),
    root: () => descriptionOf(typeName, new Map(methods)),
  };
}

function isGenerator(method: unknown): boolean {
  return Object.prototype.toString.call(method).endsWith('GeneratorFunction]');
}

function methodOf(
  typeName: string,
  name: string,
  isStream: boolean,
  isIdempotent: boolean,
  errors: readonly ErrorClass[],
): Method {
  const where = `${typeName}.${name}`;
  return {
    path: `/${NAMESPACE}.${typeName}/${name}`,
    originalName: where,
    requestStream: false,
    responseStream: isStream,
    isIdempotent,
    requestSerialize: (args) => encodeValue(args, `An argument of ${where}`),
    requestDeserialize(bytes) {
      const args = decodeValue(bytes);
      if (!Array.isArray(args))
        throw new CallError('INVALID_ARGUMENT', `the arguments of ${where} are not a list`);
      return args as unknown[];
    },
    responseSerialize: (answer) => (answer as Answered).encoded,
    responseDeserialize: (bytes) => decodeValue(bytes) as object,
    thrownDeserialize: (bytes, place) => decodeThrown(bytes, errors, place),
  };
}

/** The service as reflection describes it: methods whose messages are bytes of `encodeValue`. */
function descriptionOf(typeName: string, methods: ReadonlyMap<string, Method>): protobuf.Root {
  const service = new protobuf.Service(typeName);
  for (const [name, { responseStream }] of methods) {
    service.add(new protobuf.Method(name, 'rpc', 'Value', 'Value', false, responseStream));
  }
  const value = new protobuf.Type('Value').add(new protobuf.Field('encoded', 1, 'bytes'));
  const root = new protobuf.Root();
  root.define(NAMESPACE).add(value).add(service);
  return root.resolveAll() as protobuf.Root;
}
