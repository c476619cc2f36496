/** What TypeScript infers of a class that is an actor. */

import type { CallOptions } from '../proto/protos.ts';
import type { ErrorClass } from './thrown-error.ts';

/** A class whose instances can be actors. */
export type ActorClass = abstract new (...args: never[]) => object;

/** What its actors are made with: what `static create` takes, if there is one, else the constructor. */
export type ArgsOf<Class> = Class extends { create(...args: infer Args): unknown }
  ? Args
  : Class extends abstract new (...args: infer Args) => unknown
    ? Args
    : never;

/** An instance; that of `static create` where it makes another. */
export type InstanceOf<Class> = Class extends abstract new (...args: never[]) => infer Instance
  ? Instance
  : never;

/** How a call is made, where the defaults do not do. */
export interface ClassCallOptions extends CallOptions {
  /** How often the call is made again after an error of `retryOn`; 0 by default. */
  readonly retries?: number;
  /** Errors after which it is made again: classes, or a question; any error by default. */
  readonly retryOn?: readonly ErrorClass[] | ((error: unknown) => boolean);
}

type Stream<Args extends unknown[], Item> = (...args: Args) => AsyncIterable<Item>;
type Answer<Args extends unknown[], Result> = (...args: Args) => Promise<Awaited<Result>>;
type Adjustable<Call> = Call & {
  /** The same method with a deadline, a signal, retries. */
  with(options: ClassCallOptions): Call;
};

/** A method as callers see it: a generator gives an async iterable, anything else a promise. */
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

/** A handle: its methods, and which actor they reach. */
export type ClassHandle<Class> = RemoteMethods<InstanceOf<Class>> & { readonly actorId: string };
