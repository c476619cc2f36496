/**
 * A pool of like actors behind one set of methods: each call goes to the member with the fewest, waits while all are
 * busy (backpressure by credits), grows the pool up to its limit, and is tried on a second member when it takes far
 * longer than its kind and may run twice. Streams hold a credit until they end and are never tried twice.
 */

import { UserError } from '../common/errors.ts';
import { ActorError, CallError } from './call-errors.ts';
import { DEFAULT_DEADLINE_MS, effectiveDeadlineMs } from './call-scope.ts';
import type { ActorHandle, ActorType } from './handle.ts';
import { leastLoaded, membersToAdd, membersToEnd, REMEMBERED_CALLS, stragglerMs } from './pool-policy.ts';
import type { MemberLoad, PoolLimits } from './pool-policy.ts';
import type { CallOptions, Calls } from './protos.ts';
import type { ActorSystem, SpawnOptions } from './system.ts';

export interface PoolOptions extends Omit<SpawnOptions, 'actorId' | 'name' | 'getIfExists'> {
  readonly min: number;
  readonly max: number;
  /** Calls that one member may hold; 2 by default: one that runs and one that waits. */
  readonly creditsPerMember?: number;
  /** Calls that may wait for a credit; one more is refused with RESOURCE_EXHAUSTED. 10,000 by default. */
  readonly maxWaitingCalls?: number;
  /** How long a member above `min` may be idle; 30 s by default. */
  readonly idleMs?: number;
  /** A call that may run twice is tried on another member when it takes this many medians; 4 by default, 0 for never. */
  readonly stragglerFactor?: number;
}

interface Member<Client> extends MemberLoad {
  readonly handle: ActorHandle<Client>;
  inFlight: number;
  isUsable: boolean;
  lastUsedMs: number;
}

interface Waiting<Client> {
  readonly except: ReadonlySet<string>;
  readonly take: (member: Member<Client>) => void;
  readonly refuse: (error: Error) => void;
}

const CHECK_MS = 200;
/** Members that may die under one call that may run twice. */
const MAX_ATTEMPTS = 4;

type UnaryMethod = (request: object, options: CallOptions) => Promise<object>;
type StreamMethod = (request: object, options: CallOptions) => AsyncIterable<object>;

export class ActorPool<Client, Handlers = unknown> {
  /** The methods of the type; a call goes to some member. */
  readonly calls: Calls<Client>;
  readonly #system: ActorSystem;
  readonly #type: ActorType<Client, Handlers>;
  readonly #options: PoolOptions;
  readonly #limits: PoolLimits;
  readonly #members = new Map<string, Member<Client>>();
  readonly #waiting = new Set<Waiting<Client>>();
  readonly #latestMs = new Map<string, number[]>();
  readonly #check: NodeJS.Timeout;
  #starting = 0;
  #closed = false;

  /** Starts `min` members. @throws UserError for limits that cannot be. */
  constructor(system: ActorSystem, type: ActorType<Client, Handlers>, options: PoolOptions) {
    const { min, max, creditsPerMember = 2, idleMs = 30_000 } = options;
    if (!(min >= 0 && max >= 1 && min <= max && creditsPerMember >= 1)) {
      throw new UserError(
        `Pool of ${type.name}: min ${min}, max ${max}, creditsPerMember ${creditsPerMember}; they must be whole, ` +
          '0 ≤ min ≤ max, max and creditsPerMember at least 1.',
      );
    }
    this.#system = system;
    this.#type = type;
    this.#options = options;
    this.#limits = { min, max, creditsPerMember, idleMs };
    this.calls = this.#methods();
    this.#check = setInterval(() => void this.#tend(), CHECK_MS).unref();
    this.#grow();
  }

  /** Members that can be given calls. */
  get size(): number {
    return [...this.#members.values()].filter(({ isUsable }) => isUsable).length;
  }

  /** Calls that wait for a credit. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Refuses what waits and ends every member. */
  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#check);
    for (const waiting of this.#waiting) waiting.refuse(new CallError('UNAVAILABLE', 'the pool was closed'));
    this.#waiting.clear();
    await Promise.all([...this.#members.keys()].map((actorId) => this.#system.stop(actorId)));
  }

  #methods(): Calls<Client> {
    const calls: Record<string, unknown> = {};
    const declared = new Set<string>(this.#type.idempotent ?? []);
    for (const [name, method] of this.#type.service.methods) {
      const mayRunTwice = declared.has(name) || method.isIdempotent;
      calls[name] = method.responseStream
        ? (request: object, options: CallOptions = {}) => this.#stream(name, request, options)
        : (request: object, options: CallOptions = {}) => this.#unary(name, mayRunTwice, request, options);
    }
    return calls as Calls<Client>;
  }

  async #unary(name: string, mayRunTwice: boolean, request: object, options: CallOptions): Promise<object> {
    const endMs = performance.now() + effectiveDeadlineMs(options.deadlineMs ?? DEFAULT_DEADLINE_MS);
    const tried = new Set<string>();
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#race(name, mayRunTwice, request, options, endMs, tried);
      } catch (thrown) {
        const isLost = thrown instanceof ActorError && thrown.code === 'UNAVAILABLE';
        if (!isLost || !mayRunTwice || attempt >= MAX_ATTEMPTS || this.#closed) throw thrown;
      }
    }
  }

  /** One try, and a second one beside it if the first is a straggler; the first answer wins. */
  async #race(
    name: string,
    mayRunTwice: boolean,
    request: object,
    options: CallOptions,
    endMs: number,
    tried: Set<string>,
  ): Promise<object> {
    const over = new AbortController();
    const signal =
      options.signal === undefined ? over.signal : AbortSignal.any([options.signal, over.signal]);
    const run = async (except: ReadonlySet<string>) => {
      const member = await this.#acquire(except, endMs, signal);
      tried.add(member.actorId);
      const startMs = performance.now();
      try {
        const method = (member.handle as unknown as Record<string, UnaryMethod>)[name]!;
        const answer = await method(request, { deadlineMs: endMs - performance.now(), signal });
        this.#remember(name, performance.now() - startMs);
        return answer;
      } finally {
        this.#release(member);
      }
    };
    const { stragglerFactor = 4 } = this.#options;
    const lateMs =
      mayRunTwice && stragglerFactor > 0
        ? stragglerMs(this.#latestMs.get(name) ?? [], stragglerFactor)
        : Infinity;
    let timer: NodeJS.Timeout | undefined;
    try {
      const first = run(new Set());
      if (lateMs === Infinity) return await first;
      const second = new Promise<object>((resolve, reject) => {
        timer = setTimeout(() => {
          // Only onto a member that is free now: a straggler must not delay others.
          if (this.#waiting.size > 0 || leastLoaded(this.#loads(), this.#limits, tried) === null) return;
          run(tried).then(resolve, reject);
        }, lateMs);
      });
      second.catch(() => undefined);
      return await Promise.race([first, second]);
    } finally {
      clearTimeout(timer);
      over.abort(new CallError('CANCELLED', 'another member answered'));
    }
  }

  async *#stream(
    name: string,
    request: object,
    options: CallOptions,
  ): AsyncGenerator<object, void, undefined> {
    const endMs = performance.now() + effectiveDeadlineMs(options.deadlineMs ?? DEFAULT_DEADLINE_MS);
    const member = await this.#acquire(new Set(), endMs, options.signal);
    try {
      const method = (member.handle as unknown as Record<string, StreamMethod>)[name]!;
      yield* method(request, { ...options, deadlineMs: endMs - performance.now() });
    } finally {
      this.#release(member);
    }
  }

  /** A credit of some member, now or when one is free. */
  #acquire(
    except: ReadonlySet<string>,
    endMs: number,
    signal: AbortSignal | undefined,
  ): Promise<Member<Client>> {
    const { maxWaitingCalls = 10_000 } = this.#options;
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      if (this.#closed) throw new CallError('UNAVAILABLE', 'the pool is closed');
      if (this.#waiting.size >= maxWaitingCalls) {
        throw new CallError('RESOURCE_EXHAUSTED', `the pool is full (${maxWaitingCalls} calls wait)`);
      }
      const leftMs = endMs - performance.now();
      const late = () =>
        waiting.refuse(new CallError('DEADLINE_EXCEEDED', 'no member of the pool had room in time'));
      const timer = leftMs < 2 ** 31 ? setTimeout(late, Math.max(0, leftMs)) : undefined;
      const onAbort = () => waiting.refuse(signal?.reason as Error);
      const settle = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        this.#waiting.delete(waiting);
      };
      const waiting: Waiting<Client> = {
        except,
        take: (member) => {
          settle();
          resolve(member);
        },
        refuse: (error) => {
          settle();
          reject(error);
        },
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#waiting.add(waiting);
      this.#assign();
      this.#grow();
    });
  }

  #release(member: Member<Client>): void {
    member.inFlight--;
    member.lastUsedMs = performance.now();
    this.#assign();
  }

  #assign(): void {
    for (const waiting of this.#waiting) {
      const actorId = leastLoaded(this.#loads(), this.#limits, waiting.except);
      if (actorId === null) continue;
      const member = this.#members.get(actorId)!;
      member.inFlight++;
      waiting.take(member);
    }
  }

  #grow(): void {
    if (this.#closed) return;
    const promised = Array.from({ length: this.#starting }, (_, i) => startingMember(i));
    const count = membersToAdd([...this.#loads(), ...promised], this.#waiting.size, this.#limits);
    for (let i = 0; i < count; i++) void this.#add();
  }

  async #add(): Promise<void> {
    const { min: _min, max: _max, ...options } = this.#options;
    this.#starting++;
    try {
      const handle = await this.#system.spawn(this.#type, options);
      const { actorId } = handle;
      const member = { actorId, handle, inFlight: 0, isUsable: true, lastUsedMs: performance.now() };
      this.#members.set(actorId, member);
      if (this.#closed) await this.#system.stop(actorId);
    } catch (thrown) {
      if (this.#members.size === 0) {
        for (const waiting of [...this.#waiting]) waiting.refuse(thrown as Error);
      }
    } finally {
      this.#starting--;
    }
    this.#assign();
  }

  /** Replaces the dead, ends the idle. */
  async #tend(): Promise<void> {
    const statuses = new Map((await this.#system.node.list()).map((status) => [status.actorId, status]));
    for (const [actorId, member] of this.#members) {
      if (statuses.get(actorId)?.state !== 'dead') continue;
      member.isUsable = false;
      if (member.inFlight === 0) this.#members.delete(actorId);
    }
    for (const actorId of membersToEnd(this.#loads(), performance.now(), this.#limits)) {
      this.#members.delete(actorId);
      await this.#system.stop(actorId);
    }
    this.#grow();
    this.#assign();
  }

  #loads(): readonly Member<Client>[] {
    return [...this.#members.values()];
  }

  #remember(name: string, ms: number): void {
    const latest = this.#latestMs.get(name) ?? [];
    latest.push(ms);
    if (latest.length > REMEMBERED_CALLS) latest.shift();
    this.#latestMs.set(name, latest);
  }
}

/** A member that is on its way counts as one that is there. */
function startingMember(index: number): MemberLoad {
  return { actorId: `starting-${index}`, inFlight: 0, isUsable: true, lastUsedMs: Infinity };
}
