/**
 * Classes and functions that this program has declared as actors and tasks. The declaring file is also the program of
 * the actor's process: there, the same line serves the class instead.
 */

import { realpathSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';
import { fileURLToPath } from 'node:url';
import { UserError } from '../../common/errors.ts';
import { checkLimit, shown } from '../base/checks.ts';
import { isActorProcess, readActorEnvironment } from '../status/actor-environment.ts';
import type { SpawnOptions, ActorType } from '../system/actor-type.ts';
import { threadEntry } from '../threads/thread-guest.ts';
import { classService, methodNames } from './class-service.ts';
import type { ActorClass } from './class-types.ts';
import type { ErrorClass } from './thrown-error.ts';

/** Methods whose calls wait only for each other, not for other methods. */
export interface ConcurrencyGroup {
  readonly methods: readonly string[];
  /** Calls of the group that run at the same time. */
  readonly maxConcurrency: number;
}

export interface ActorOptions {
  /** The actors' type; the class name by default. */
  readonly name?: string;
  /** Methods that may run twice, and so are repeated when their actor dies. */
  readonly idempotent?: readonly string[];
  /** The program's own error classes, which callers receive as such. */
  readonly errors?: readonly ErrorClass[];
  readonly groups?: Readonly<Record<string, ConcurrencyGroup>>;
  /** Default spawn options of its actors. */
  readonly defaults?: Omit<SpawnOptions, 'args'>;
}

export interface RegisteredClass {
  readonly actorClass: ActorClass;
  readonly type: ActorType<unknown, unknown>;
  readonly options: ActorOptions;
}

/** `import.meta` of the file that defines the class. */
export interface ModuleMeta {
  readonly url: string;
}

const TYPE_NAME = /^[A-Za-z][A-Za-z0-9_-]{0,39}$/;
const classes = new WeakMap<object, RegisteredClass>();
const names = new Set<string>();

/**
 * Registers a class under `key`, the value by which programs refer to it. @throws UserError if it cannot be an actor.
 */
export function registerClass(
  key: object,
  module: ModuleMeta,
  actorClass: ActorClass,
  options: ActorOptions,
): RegisteredClass {
  if (typeof actorClass !== 'function' || typeof actorClass.prototype !== 'object')
    throw new UserError(`actor(…, ${shown(actorClass)}): it is not a class.`);
  const name: unknown = options.name ?? actorClass.name;
  if (typeof name !== 'string' || !TYPE_NAME.test(name)) {
    throw new UserError(
      `Actor class '${shown(name)}': give it a name of 1 to 40 letters, digits, '-' and '_'.`,
    );
  }
  if (typeof module?.url !== 'string' || !module.url.startsWith('file:'))
    throw new UserError(`Actor class ${name}: its first argument is import.meta.`);
  const entry = fileURLToPath(module.url);
  const id = `${entry}#${name}`;
  if (names.has(id))
    throw new UserError(`Actor class ${name}: ${entry} declares two with this name; rename one.`);
  names.add(id);
  checkGroups(name, methodNames(actorClass), options.groups ?? {});
  const { idempotent = [], errors = [], defaults } = options;
  const service = classService(actorClass, name, idempotent, errors);
  const type: ActorType<unknown, unknown> = {
    ...{ name, entry, service },
    ...(defaults === undefined ? {} : { defaults }),
  };
  const registered = { actorClass, type, options };
  classes.set(key, registered);
  return registered;
}

function checkGroups(
  name: string,
  methods: readonly string[],
  groups: Readonly<Record<string, ConcurrencyGroup>>,
): void {
  const seen = new Set<string>();
  for (const [group, { methods: members, maxConcurrency }] of Object.entries(groups)) {
    const where = `Actor class ${name}, group ${group}`;
    checkLimit(`${where}, maxConcurrency`, maxConcurrency, 1);
    for (const method of members) {
      if (!methods.includes(method)) throw new UserError(`${where}: there is no public method '${method}'.`);
      if (seen.has(method)) throw new UserError(`${where}: '${method}' is in two groups; leave it in one.`);
      seen.add(method);
    }
  }
}

/** @throws UserError when it was not declared as an actor or a task. */
export function registeredClass(key: object): RegisteredClass {
  const registered = classes.get(key);
  if (registered !== undefined) return registered;
  const name = typeof key === 'function' ? key.name : 'this';
  throw new UserError(
    `${name || 'This'} is not an actor: write actor(import.meta, class ${name} { … }), or task(…).`,
  );
}

/** The actor that this process or thread is to be: its type, and the file of its class; null in any other program. */
export function hostedType(): { readonly name: string; readonly entry: string } | null {
  if (!isMainThread) return threadEntry();
  if (!isActorProcess()) return null;
  return { name: readActorEnvironment().type, entry: process.argv[1] ?? '' };
}

/** Whether the actor of this process or thread is of this class. */
export function isHosted({ type }: RegisteredClass): boolean {
  const hosted = hostedType();
  return (
    hosted !== null && hosted.name === type.name && realpathSync(hosted.entry) === realpathSync(type.entry)
  );
}
