/** A class actor in its own process or thread: its instance, its calls, its kept state. */

import { ThrownValue } from '../base/call-errors.ts';
import { Mailbox, DEFAULT_MAILBOX } from '../base/mailbox.ts';
import type { CallContext } from '../calls/call.ts';
import type { ActorRuntime, StartedActor } from '../actor/hosted-actor.ts';
import { ClassRuntime } from './class-runtime.ts';
import type { RegisteredClass } from './class-registry.ts';
import { decodeText, encodeText } from './encoded-text.ts';
import type { Answered } from './class-service.ts';
import { actorScope } from './this-actor.ts';
import type { ThisActor } from './this-actor.ts';
import { encodeThrown } from './thrown-error.ts';

type Methods = Record<string, (...args: unknown[]) => unknown>;

/** Makes the instance, and what serves its methods. */
export async function startInstance(
  registered: RegisteredClass,
  runtime: ActorRuntime,
): Promise<StartedActor<unknown>> {
  const { args, system, ...parts } = runtime;
  const ballast = new ClassRuntime(system, runtime.objects);
  const scope: ThisActor = { ...parts, ballast, call: null };
  const within = <Result>(call: CallContext | null, run: () => Result): Result =>
    actorScope.run(call === null ? scope : { ...scope, call }, run);
  const instance = (await within(null, () => makeInstance(registered, decodeText(args)))) as Methods;
  const keep = snapshotKeeper(instance, registered.type.name, (state) => runtime.saveState(state));
  const handlers: Record<string, unknown> = {};
  for (const [name, method] of registered.type.service.methods) {
    handlers[name] = method.responseStream
      ? (sent: unknown[], call: CallContext) =>
          streamed(instance, name, sent, (run) => within(call, run), keep)
      : (sent: unknown[], call: CallContext) =>
          answered(instance, name, sent, (run) => within(call, run), keep);
  }
  return {
    handlers,
    mailboxes: mailboxesOf(registered),
    onRestart: async ({ state }) => {
      if (typeof state === 'string') await within(null, () => instance.restore?.(decodeText(state)));
    },
    onStop: async () => {
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

async function answered(
  instance: Methods,
  name: string,
  args: unknown[],
  within: Within,
  keep: () => Promise<void>,
): Promise<Answered> {
  try {
    const value = await within(() => instance[name]!(...args));
    await keep();
    return { value };
  } catch (thrown) {
    throw new ThrownValue(thrown, encodeThrown(thrown));
  }
}

async function* streamed(
  instance: Methods,
  name: string,
  args: unknown[],
  within: Within,
  keep: () => Promise<void>,
): AsyncGenerator<Answered> {
  let items: Iterator<unknown> | AsyncIterator<unknown> | null = null;
  const next = async () => {
    try {
      items ??= within(() => instance[name]!(...args)) as Iterator<unknown>;
      const { done, value } = (await within(() => items!.next())) as IteratorResult<unknown, unknown>;
      return done === true ? null : { value: await value };
    } catch (thrown) {
      throw new ThrownValue(thrown, encodeThrown(thrown));
    }
  };
  try {
    for (let item = await next(); item !== null; item = await next()) yield item;
  } finally {
    await within(() => items?.return?.());
    await keep();
  }
}

/** After each call: what `snapshot` returns is stored, if it is another than before, in the order of the calls. */
function snapshotKeeper(
  instance: Methods,
  typeName: string,
  save: (state: string) => Promise<void>,
): () => Promise<void> {
  if (typeof instance.snapshot !== 'function') return () => Promise.resolve();
  let last = '';
  let saving: Promise<void> = Promise.resolve();
  const store = async () => {
    const state = encodeText(await instance.snapshot!(), `The snapshot of ${typeName}`);
    if (state === last) return;
    await save(state);
    last = state;
  };
  return () => {
    const mine = saving.then(store);
    saving = mine.catch(() => undefined); // its own call says so
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
