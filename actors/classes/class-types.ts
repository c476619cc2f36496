/** The types that TypeScript infers from an actor class. */

import type { CallOptions } from '../proto/protos.ts';
import type { ErrorClass } from './thrown-error.ts';

/** A class whose instances can be actors. */
export type ActorClass = abstract new (...args: never[]) => object;

/**
 * The parameters that create an actor: those of `static create` if there is one, otherwise those of the constructor.
 */
export type ArgsOf<Class> = Class extends { create(...args: infer Args): unknown }
  ? Args
  : Class extends abstract new (...args: infer Args) => unknown
    ? Args
    : never;

/** An instance; the one that `static create` returns, if it returns another type. */
export type InstanceOf<Class> = Class extends abstract new (...args: never[]) => infer Instance
  ? Instance
  : never;

/** Options of one call, where the defaults do not fit. */
export interface ClassCallOptions extends CallOptions {
  /** How often the call is repeated after an error matched by `retryOn`; 0 by default. */
  readonly retries?: number;
  /** Errors after which the call is repeated: classes, or a predicate; any error by default. */
  readonly retryOn?: readonly ErrorClass[] | ((error: unknown) => boolean);
}

type Stream<Args extends unknown[], Item> = (...args: Args) => AsyncIterable<Item>;
type Answer<Args extends unknown[], Result> = (...args: Args) => Promise<Awaited<Result>>;
type Adjustable<Call> = Call & {
  /** The same method with a deadline, a signal, or retries. */
  with(options: ClassCallOptions): Call;
};

/** A method as callers see it: a generator becomes an async iterable, anything else a promise. */
export type RemoteMethod<Method> = Method extends (...args: infer Args) => infer Result
  ? Result extends AsyncGenerator<infer Item> | Generator<infer Item>
    ? Adjustable<Stream<Args, Item>>
    : Adjustable<Answer<Args, Result>>
  : never;

type Hook = 'snapshot' | 'restore' | 'onStop';

type MethodKey<Instance> = {
  [Key in keyof Instance]: Instance[Key] extends (...args: never[]) => unknown
    ? Key extends Hook | `_${string}`
      ? never
      : Key
    : never;
}[keyof Instance];

/** The public methods of an actor, wherever it runs. */
export type RemoteMethods<Instance> = {
  readonly [Key in MethodKey<Instance> & string]: RemoteMethod<Instance[Key]>;
};

/** A handle: its methods, and the id of its actor. */
export type ClassHandle<Class> = RemoteMethods<InstanceOf<Class>> & { readonly actorId: string };
