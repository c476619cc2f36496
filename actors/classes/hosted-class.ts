/** A class actor in its own process or thread: its instance, its calls, its kept state. */

import { ThrownValue } from '../base/call-errors.ts';
import { Mailbox, DEFAULT_MAILBOX } from '../base/mailbox.ts';
import type { CallContext } from '../calls/call.ts';
import type { HeldReferences } from '../objects/held-references.ts';
import type { ActorRuntime, StartedActor } from '../actor/hosted-actor.ts';
import { ClassRuntime } from './class-runtime.ts';
import type { RegisteredClass } from './class-registry.ts';
import { decodeText, encodeText } from './encoded-text.ts';
import type { Answered } from './class-service.ts';
import { actorScope, type ThisActor } from './this-actor.ts';
import { SentRefs } from './sent-refs.ts';
import { encodeThrown } from './thrown-error.ts';
import { encodeValue } from './value-codec.ts';
import { referencesSettled } from './value-ref.ts';

type Methods = Record<string, (...args: unknown[]) => unknown>;

/** Creates the instance, and the handlers of its methods. */
export async function startInstance(
  registered: RegisteredClass,
  runtime: ActorRuntime,
): Promise<StartedActor<unknown>> {
  const { args, system, ...parts } = runtime;
  const ballast = new ClassRuntime(system, runtime.objects);
  const scope: ThisActor = { ...parts, ballast, call: null };
  const within = <Result>(call: CallContext | null, run: () => Result): Result =>
    actorScope.run(call === null ? scope : { ...scope, call }, run);
  const made = decodeText(args);
  const instance = (await within(null, () => makeInstance(registered, made))) as Methods;
  const keep = snapshotKeeper(instance, registered.type.name, (state) => runtime.saveState(state));
  const handlers: Record<string, unknown> = {};
  for (const [name, method] of registered.type.service.methods) {
    const encode = answerEncoder(runtime.objects.references, `The result of ${registered.type.name}.${name}`);
    const hosted = { instance, name, keep, encode };
    handlers[name] = method.responseStream
      ? (sent: unknown[], call: CallContext) => streamed(hosted, sent, (run) => within(call, run))
      : (sent: unknown[], call: CallContext) => answered(hosted, sent, (run) => within(call, run));
  }
  return {
    handlers,
    mailboxes: mailboxesOf(registered),
    onRestart: async ({ state }) => {
      if (typeof state === 'string') await within(null, () => instance.restore?.(decodeText(state)));
    },
    onStop: async () => {
      void made; // hold the references of its arguments until here: another process may need them
      await within(null, () => instance.onStop?.());
      await ballast.close();
    },
  };
}

async function makeInstance({ actorClass }: RegisteredClass, args: unknown): Promise<unknown> {
  const list = Array.isArray(args) ? (args as never[]) : [];
  if ('create' in actorClass && typeof actorClass.create === 'function') {
    return await (actorClass as unknown as { create(...args: never[]): unknown }).create(...list);
  }
  return new (actorClass as new (...args: never[]) => unknown)(...list);
}

type Within = <Result>(run: () => Result) => Result;

interface HostedMethod {
  readonly instance: Methods;
  readonly name: string;
  /** Keeps the state. */
  readonly keep: () => Promise<void>;
  readonly encode: (value: unknown) => Promise<Answered>;
}

/** Encodes results, and makes sure that the objects of their references are held. */
function answerEncoder(references: HeldReferences, what: string): HostedMethod['encode'] {
  return async (value) => {
    const sent = new SentRefs(references);
    const encoded = encodeValue(value, what, sent);
    if (sent.count > 0) await sent.hold();
    return { encoded };
  };
}

async function answered(
  { instance, name, keep, encode }: HostedMethod,
  args: unknown[],
  within: Within,
): Promise<Answered> {
  let value: unknown;
  try {
    value = await kept(keep, () => within(() => instance[name]!(...args)));
  } catch (thrown) {
    throw new ThrownValue(thrown, encodeThrown(thrown));
  } finally {
    await referencesSettled(); // the caller may release its arguments as soon as it has the answer
  }
  return encode(value);
}

/** Keeps the state after a method, also one that throws; its error then counts, not that of keeping. */
async function kept<Value>(keep: () => Promise<void>, run: () => Promise<Value> | Value): Promise<Value> {
  let value: Value;
  try {
    value = await run();
  } catch (thrown) {
    await keep().catch(() => undefined);
    throw thrown;
  }
  await keep();
  return value;
}

async function* streamed(
  { instance, name, keep, encode }: HostedMethod,
  args: unknown[],
  within: Within,
): AsyncGenerator<Answered> {
  let items: Iterator<unknown> | AsyncIterator<unknown> | null = null;
  let hasFailed = false;
  const next = async () => {
    try {
      items ??= within(() => instance[name]!(...args)) as Iterator<unknown>;
      const { done, value } = (await within(() => items!.next())) as IteratorResult<unknown, unknown>;
      return done === true ? null : { value: await value };
    } catch (thrown) {
      hasFailed = true;
      throw new ThrownValue(thrown, encodeThrown(thrown));
    }
  };
  try {
    for (let item = await next(); item !== null; item = await next()) yield await encode(item.value);
  } finally {
    const keeping = kept(keep, () => within(() => items?.return?.()));
    await (hasFailed ? keeping.catch(() => undefined) : keeping);
    await referencesSettled();
  }
}

/** After each call, stores the result of `snapshot` if it has changed, in the order of the calls. */
function snapshotKeeper(
  instance: Methods,
  typeName: string,
  save: (state: string) => Promise<void>,
): () => Promise<void> {
  if (typeof instance.snapshot !== 'function') return () => Promise.resolve();
  const last: { state: string; value: unknown } = { state: '', value: null }; // the objects that it refers to stay for the next process
  let saving: Promise<void> = Promise.resolve();
  const store = async () => {
    const value = await instance.snapshot!();
    const state = encodeText(value, `The snapshot of ${typeName}`);
    if (state === last.state) return;
    await save(state);
    Object.assign(last, { state, value });
  };
  return () => {
    const mine = saving.then(store);
    saving = mine.catch(() => undefined); // the call that caused it reports the error
    return mine;
  };
}

function mailboxesOf({ options: { groups = {} } }: RegisteredClass): Map<string, Mailbox> {
  return new Map(
    Object.values(groups).flatMap(({ methods, maxConcurrency }) => {
      const mailbox = new Mailbox({ ...DEFAULT_MAILBOX, maxConcurrency });
      return methods.map((name) => [name, mailbox] as const);
    }),
  );
}
