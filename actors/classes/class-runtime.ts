/**
 * Operations on class actors for programs and actors: spawn, find, pool and end them; run tasks; keep values as
 * objects.
 */

import { availableParallelism } from 'node:os';
import { objectHolder } from '../objects/node-objects.ts';
import type { ObjectRef } from '../objects/object-ref.ts';
import type { ObjectStore, PutOptions } from '../objects/objects.ts';
import type { CallOptions } from '../proto/protos.ts';
import { ActorPool, type PoolOptions } from '../pools/pool.ts';
import type { ActorStatus, Resources } from '../status/status.ts';
import type { SpawnOptions } from '../system/actor-type.ts';
import type { PlacementGroup, PlacementGroupOptions } from '../system/placement-group.ts';
import type { ActorSystem } from '../system/system.ts';
import { keptDuring, type ListCalls, spreadMethods, withRetries } from './class-handle.ts';
import { registeredClass } from './class-registry.ts';
import type { ActorClass, ArgsOf, ClassHandle, InstanceOf, RemoteMethods } from './class-types.ts';
import { encodeText } from './encoded-text.ts';
import { type TaskFunction, taskOptions } from './task-options.ts';
import { SentRefs } from './sent-refs.ts';
import { decodeValue, encodeParts } from './value-codec.ts';
import { countReferences, ValueRef } from './value-ref.ts';

/** The constructor arguments of a class, if it takes any. */
type MadeWith<Class, Options> =
  ArgsOf<Class> extends [] ? [options?: Options] : [options: Options & { readonly args: ArgsOf<Class> }];

type SpawnClassOptions = Omit<SpawnOptions, 'args'>;
type PoolClassOptions = Omit<PoolOptions, 'args'>;
type ValuePutOptions = Pick<PutOptions, 'owner'>;

export interface ClassPool<Class> extends Pick<ActorPool<unknown>, 'size' | 'waiting' | 'close'> {
  /** The methods of the class; each call goes to one member. */
  readonly calls: RemoteMethods<InstanceOf<Class>>;
}

export class ClassRuntime {
  /** The same for actors with a `.proto`. */
  readonly system: ActorSystem;
  /** Bulk bytes by reference. */
  readonly objects: ObjectStore;
  /** By bundle; '' for none. */
  readonly #pools = new Map<TaskFunction, Map<string, ActorPool<unknown>>>();
  readonly #endCounting: () => void;

  constructor(system: ActorSystem, objects: ObjectStore) {
    this.system = system;
    this.objects = objects;
    this.#endCounting = countReferences(objects.references);
  }

  /**
   * Starts an actor. Resolves when it is accepted; calls wait until it serves. With `name` and `getIfExists`, returns
   * the living actor of that name. @throws UserError if it can never run, CallError when no node can be reached.
   */
  async spawn<Class extends ActorClass>(
    actorClass: Class,
    ...[options]: MadeWith<Class, SpawnClassOptions>
  ): Promise<ClassHandle<Class>> {
    const { type } = registeredClass(actorClass);
    const sent = new SentRefs(this.objects.references);
    const encoded = this.#encoded(actorClass, options, sent);
    await sent.hold();
    const { actorId } = await this.system.spawn(type, encoded);
    return this.handle(actorClass, actorId);
  }

  /** A handle of an existing actor by id; actors pass each other ids. */
  handle<Class extends ActorClass>(actorClass: Class, actorId: string): ClassHandle<Class> {
    const { type } = registeredClass(actorClass);
    const calls = this.system.handle(type, actorId) as unknown as ListCalls;
    return { ...spreadMethods(type.service, calls), actorId } as ClassHandle<Class>;
  }

  /** The living actor of a name; null when there is none. */
  async find<Class extends ActorClass>(
    actorClass: Class,
    name: string,
    namespace?: string,
  ): Promise<ClassHandle<Class> | null> {
    const found = await this.system.find(registeredClass(actorClass).type, name, namespace);
    return found === null ? null : this.handle(actorClass, found.actorId);
  }

  /** A pool of identical actors behind one set of methods. Close it after use. @throws UserError for invalid limits. */
  pool<Class extends ActorClass>(
    actorClass: Class,
    ...[options]: MadeWith<Class, PoolClassOptions>
  ): ClassPool<Class> {
    const { type } = registeredClass(actorClass);
    const pool = new ActorPool<unknown>(this.system, type, this.#encoded(actorClass, options));
    const calls = spreadMethods(type.service, pool.calls);
    return {
      calls: calls as RemoteMethods<InstanceOf<Class>>,
      get size() {
        return pool.size;
      },
      get waiting() {
        return pool.waiting;
      },
      close: () => keptDuring(options, () => pool.close()), // members that start later get the same references
    };
  }

  /**
   * Holds room for actors and tasks that come later, in bundles: for all of them or none, now or when there is room.
   * @throws UserError for what can never be placed.
   */
  placementGroup(
    bundles: readonly Resources[],
    options: PlacementGroupOptions = {},
  ): Promise<PlacementGroup> {
    return this.system.placementGroup(bundles, options);
  }

  /** Runs a task in one of its processes, as soon as one is free. @throws what the task throws. */
  run<Args extends unknown[], Result>(
    run: (...args: Args) => Result,
    ...args: Args
  ): Promise<Awaited<Result>> {
    return this.runIn('', run, ...args);
  }

  /** Runs a task in a bundle of a placement group, whose room its processes take. @throws as `run` */
  runIn<Args extends unknown[], Result>(
    bundle: string,
    run: (...args: Args) => Result,
    ...args: Args
  ): Promise<Awaited<Result>> {
    const { retries, retryOn, deadlineMs = Infinity } = taskOptions(run);
    const calls = this.#taskPool(run, bundle).calls as unknown as ListCalls;
    const options = { deadlineMs, ...(retries && { retries }), ...(retryOn && { retryOn }) };
    return keptDuring(args, () =>
      withRetries((left) => calls.run!(args, left) as Promise<Awaited<Result>>, options),
    );
  }

  /**
   * Stores a value, and returns a reference that can be sent anywhere. The value is freed when no process holds a
   * reference to it any more, or as `owner` says. Do not change its arrays meanwhile. @throws UserError, ObjectError
   */
  async put<Value>(value: Value, { owner = 'references' }: ValuePutOptions = {}): Promise<ValueRef<Value>> {
    const { references } = this.objects;
    const nested = new SentRefs(references);
    const parts = encodeParts(value, 'The value', nested);
    const facts = await this.objects.put(parts, { owner, isStored: nested.count > 0 });
    const ref = new ValueRef<Value>(facts);
    if (owner === 'references' && facts.holders.length > 0) references.adopt(ref, facts);
    await nested.holdFor(objectHolder(facts.id));
    return ref;
  }

  /**
   * The value behind a reference, fetched if it is on another machine. The caller owns the result: large arrays on this
   * machine are mapped, not copied, and writes to them stay in this process. @throws ObjectError
   */
  async get<Value>(ref: ValueRef<Value>, options: CallOptions = {}): Promise<Value> {
    return keptDuring(ref, async () => decodeValue(await this.objects.read(ref, options), true) as Value);
  }

  /** Frees a value on every node that holds it, even if references to it remain. */
  free(ref: ObjectRef, options: CallOptions = {}): Promise<void> {
    return this.objects.free([ref], options);
  }

  /** Resolves when an actor serves. @throws ActorError with its last log lines when it died permanently. */
  ready({ actorId }: { readonly actorId: string }, options: CallOptions = {}): Promise<ActorStatus> {
    return this.system.ready(actorId, options);
  }

  /** Ends an actor. */
  stop({ actorId }: { readonly actorId: string }, graceMs?: number): Promise<void> {
    return this.system.stop(actorId, graceMs);
  }

  /** Ends the processes of its tasks. */
  async close(): Promise<void> {
    this.#endCounting();
    const pools = [...this.#pools.values()].flatMap((ofTask) => [...ofTask.values()]);
    this.#pools.clear();
    await Promise.all(pools.map((pool) => pool.close()));
  }

  #taskPool(run: TaskFunction, bundle: string): ActorPool<unknown> {
    const ofTask = this.#pools.get(run) ?? new Map<string, ActorPool<unknown>>();
    this.#pools.set(run, ofTask);
    const existing = ofTask.get(bundle);
    if (existing !== undefined) return existing;
    const {
      max = availableParallelism(),
      retries: _r,
      retryOn: _o,
      deadlineMs: _d,
      errors: _e,
      ...spawn
    } = taskOptions(run);
    const limits = { min: 0, max, creditsPerMember: 1, stragglerFactor: 0, ...spawn };
    const where = bundle === '' ? {} : { bundle };
    const pool = new ActorPool<unknown>(this.system, registeredClass(run).type, { ...limits, ...where });
    ofTask.set(bundle, pool);
    return pool;
  }

  #encoded<Options extends object>(
    actorClass: ActorClass,
    options: Options | undefined,
    sent?: SentRefs,
  ): Options & { args: unknown } {
    const args = options !== undefined && 'args' in options ? options.args : [];
    return { ...(options as Options), args: encodeText(args, `An argument of ${actorClass.name}`, sent) };
  }
}
