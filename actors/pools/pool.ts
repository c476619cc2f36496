/**
 * A pool of identical actors behind one set of methods. Each call goes to the member with the fewest calls, and waits
 * while all are busy (backpressure by credits); the pool grows up to its limit. A call that may run twice is tried on a
 * second member when it takes far longer than other calls of its method. Streams hold a credit until they end and are
 * never tried twice.
 */

import { onAbort } from '../../common/abort.ts';
import { toError, UserError } from '../../common/errors.ts';
import { ActorError, CallError } from '../base/call-errors.ts';
import { checkLimit, checkMilliseconds, checkWhole, shown } from '../base/checks.ts';
import { DEFAULT_DEADLINE_MS, effectiveDeadlineMs } from '../base/call-scope.ts';
import { MAX_TIMER_MS } from '../base/limits.ts';
import type { ActorHandle } from '../system/handle.ts';
import { type ActorType, isDeclaredIdempotent, type SpawnOptions } from '../system/actor-type.ts';
import { leastLoaded, membersToAdd, membersToEnd, REMEMBERED_CALLS, stragglerMs } from './pool-policy.ts';
import type { MemberLoad, PoolLimits } from './pool-policy.ts';
import { type CallOptions, type Calls, callsOf } from '../proto/protos.ts';
import { retryDelayMs } from '../base/retry.ts';
import type { ActorState, ActorStatus } from '../status/status.ts';
import { firstAnswer } from './straggler.ts';
import type { ActorSystem } from '../system/system.ts';

export interface PoolOptions extends Omit<SpawnOptions, 'actorId' | 'name' | 'getIfExists'> {
  readonly min: number;
  readonly max: number;
  /** Calls that one member may hold; 2 by default: one running and one waiting. */
  readonly creditsPerMember?: number;
  /** Calls that may wait for a credit; one more is refused with RESOURCE_EXHAUSTED. 10,000 by default. */
  readonly maxWaitingCalls?: number;
  /** How long a member above `min` may be idle; 30 s by default. */
  readonly idleMs?: number;
  /**
   * A call that may run twice is tried on another member when it takes this many medians; 4 by default, 0 for never.
   */
  readonly stragglerFactor?: number;
}

interface Member<Client> extends MemberLoad {
  readonly handle: ActorHandle<Client>;
  state: ActorState;
  isRestarting: boolean;
  hasServed: boolean;
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
/** Members that may die under one repeatable call. */
const MAX_ATTEMPTS = 4;

type UnaryMethod = (request: object, options: CallOptions) => Promise<object>;
type StreamMethod = (request: object, options: CallOptions) => AsyncIterable<object>;

/** A unary call of the pool. */
interface UnaryCall {
  readonly name: string;
  readonly request: object;
  readonly endMs: number;
  readonly signal: AbortSignal | undefined;
}

export class ActorPool<Client, Handlers = unknown> {
  /** The methods of the type; each call goes to one member. */
  readonly calls: Calls<Client>;
  readonly #system: ActorSystem;
  readonly #type: ActorType<Client, Handlers>;
  readonly #options: PoolOptions;
  readonly #limits: PoolLimits;
  readonly #members = new Map<string, Member<Client>>();
  readonly #waiting = new Set<Waiting<Client>>();
  readonly #latestMs = new Map<string, number[]>();
  /** Errors about the loss of a member. One about another actor, which a member called, is an answer. */
  readonly #losses = new WeakSet<Error>();
  /** Spawns in progress. */
  readonly #adding = new Set<Promise<void>>();
  readonly #check: NodeJS.Timeout;
  readonly #stopListening: () => void;
  /** Members that ended before they served, since one last served. */
  #failedStarts = 0;
  #growAfterMs = 0;
  /** Why it no longer takes calls. */
  #ended: Error | null = null;

  /** Starts `min` members. @throws UserError for invalid limits. */
  constructor(system: ActorSystem, type: ActorType<Client, Handlers>, options: PoolOptions) {
    const { min, max, creditsPerMember = 2, idleMs = 30_000 } = options;
    checkPoolOptions(type.name, { ...options, creditsPerMember, idleMs });
    this.#system = system;
    this.#type = type;
    this.#options = options;
    this.#limits = { min, max, creditsPerMember, idleMs };
    this.calls = this.#methods();
    this.#check = setInterval(() => this.#tend(), CHECK_MS).unref();
    this.#stopListening = system.onStatus((status) => {
      const member = this.#members.get(status.actorId);
      if (member !== undefined) this.#onStatus(member, status);
    });
    this.#grow();
  }

  /** Members that serve. */
  get size(): number {
    return this.#ready().length;
  }

  /** Calls that wait for a credit. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Refuses waiting calls and ends every member. */
  async close(): Promise<void> {
    this.#end(new CallError('UNAVAILABLE', 'the pool is closed'));
    await Promise.all(this.#adding);
    await Promise.all([...this.#members.keys()].map((actorId) => this.#stop(actorId)));
  }

  async #stop(actorId: string): Promise<void> {
    await this.#system.stop(actorId).catch((thrown: unknown) => {
      if (!(thrown instanceof CallError && thrown.code === 'NOT_FOUND')) throw thrown;
    });
  }

  #end(reason: Error): void {
    this.#ended ??= reason;
    clearInterval(this.#check);
    this.#stopListening();
    this.#refuseAll(reason);
  }

  #refuseAll(reason: Error): void {
    for (const waiting of [...this.#waiting]) waiting.refuse(reason);
  }

  #methods(): Calls<Client> {
    return callsOf<Client>(this.#type.service, {
      one: (method, name) => {
        const mayRunTwice = isDeclaredIdempotent(this.#type, name, method);
        return (input, options) => this.#unary(name, mayRunTwice, input, options);
      },
      many: (_method, name) => (input, options) => this.#stream(name, input, options),
    });
  }

  async #unary(name: string, mayRunTwice: boolean, request: object, options: CallOptions): Promise<object> {
    const endMs = performance.now() + effectiveDeadlineMs(options.deadlineMs ?? DEFAULT_DEADLINE_MS);
    const call: UnaryCall = { name, request, endMs, signal: options.signal };
    const tried = new Set<string>();
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#race(call, mayRunTwice, tried);
      } catch (thrown) {
        const isLost = this.#losses.has(toError(thrown));
        if (!isLost || !mayRunTwice || attempt >= MAX_ATTEMPTS || this.#ended !== null) throw thrown;
      }
    }
  }

  /** Makes a call, and a second try if the first is a straggler; the first answer wins. */
  async #race(call: UnaryCall, mayRunTwice: boolean, tried: Set<string>): Promise<object> {
    const over = new AbortController();
    const signal = call.signal === undefined ? over.signal : AbortSignal.any([call.signal, over.signal]);
    const run = (except: ReadonlySet<string>) => this.#attempt({ ...call, signal }, except, tried);
    const { stragglerFactor = 4 } = this.#options;
    const lateMs =
      mayRunTwice && stragglerFactor > 0
        ? stragglerMs(this.#latestMs.get(call.name) ?? [], stragglerFactor)
        : Infinity;
    const second = () => {
      // Only on a member that is free now: a straggler must not delay others.
      const isFree = this.#waiting.size === 0 && leastLoaded(this.#ready(), this.#limits, tried) !== null;
      return isFree ? run(tried) : null;
    };
    try {
      return await firstAnswer(run(new Set()), second, lateMs, (thrown) => this.#losses.has(thrown));
    } finally {
      over.abort(new CallError('CANCELLED', 'another member answered'));
    }
  }

  /** Makes a call to one member that is not in `except`, and adds it to `tried`. */
  async #attempt(call: UnaryCall, except: ReadonlySet<string>, tried: Set<string>): Promise<object> {
    const { name, request, endMs, signal } = call;
    const member = await this.#acquire(except, endMs, signal);
    tried.add(member.actorId);
    const startMs = performance.now();
    try {
      const method = (member.handle as unknown as Record<string, UnaryMethod>)[name]!;
      const limits = { deadlineMs: endMs - performance.now(), ...(signal === undefined ? {} : { signal }) };
      const answer = await method(request, limits);
      this.#remember(name, performance.now() - startMs);
      return answer;
    } catch (thrown) {
      if (isLossOf(member, thrown)) this.#onLoss(member, thrown);
      throw thrown;
    } finally {
      this.#release(member);
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

  /** A credit of some member, now or when one becomes free. */
  #acquire(
    except: ReadonlySet<string>,
    endMs: number,
    signal: AbortSignal | undefined,
  ): Promise<Member<Client>> {
    const { maxWaitingCalls = 10_000 } = this.#options;
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      if (this.#ended !== null) throw this.#ended;
      if (this.#waiting.size >= maxWaitingCalls) {
        throw new CallError('RESOURCE_EXHAUSTED', `the pool is full (${maxWaitingCalls} calls wait)`);
      }
      const leftMs = endMs - performance.now();
      const late = () =>
        waiting.refuse(new CallError('DEADLINE_EXCEEDED', 'no member of the pool had room in time'));
      const timer = leftMs <= MAX_TIMER_MS ? setTimeout(late, Math.max(0, leftMs)) : undefined;
      const stop = onAbort(signal, () => waiting.refuse(signal?.reason as Error));
      const settle = () => {
        clearTimeout(timer);
        stop();
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
      this.#waiting.add(waiting);
      this.#assign();
      this.#grow();
    });
  }

  #release(member: Member<Client>): void {
    member.inFlight--;
    member.lastUsedMs = performance.now();
    if (!member.isUsable && member.inFlight === 0) this.#drop(member);
    this.#assign();
  }

  /** Forgets a member, and ends it if it is there after all. */
  #drop({ actorId, state }: Member<Client>): void {
    this.#members.delete(actorId);
    if (state !== 'dead') this.#system.stop(actorId).catch(() => undefined); // it is gone, or its node is
  }

  #onLoss(member: Member<Client>, error: ActorError): void {
    this.#losses.add(error);
    if (!error.retryable) member.isUsable = false; // its end has not been reported yet
  }

  #assign(): void {
    for (const waiting of this.#waiting) {
      const actorId = leastLoaded(this.#ready(), this.#limits, waiting.except);
      if (actorId === null) continue;
      const member = this.#members.get(actorId)!;
      member.inFlight++;
      waiting.take(member);
    }
  }

  #grow(): void {
    if (this.#ended !== null || performance.now() < this.#growAfterMs) return;
    const count = membersToAdd(this.#loads(), this.#waiting.size, this.#limits);
    for (let i = 0; i < count; i++) {
      const adding = this.#add().finally(() => this.#adding.delete(adding));
      this.#adding.add(adding);
    }
  }

  async #add(): Promise<void> {
    const actorId = `${this.#type.name}-${crypto.randomUUID().slice(0, 8)}`;
    const member: Member<Client> = {
      ...{ actorId, handle: this.#system.handle(this.#type, actorId) },
      ...{ state: 'pending', hasServed: false, isUsable: true, isRestarting: false },
      ...{ inFlight: 0, lastUsedMs: performance.now() },
    };
    this.#members.set(actorId, member);
    try {
      await this.#system.spawn(this.#type, { ...this.#options, actorId });
    } catch (thrown) {
      this.#onFailedStart(member, toError(thrown));
    }
  }

  #onStatus(member: Member<Client>, status: ActorStatus): void {
    member.state = status.state;
    member.isRestarting = status.state === 'restarting';
    if (status.state === 'alive') {
      if (!member.hasServed) member.lastUsedMs = performance.now();
      member.hasServed = true;
      this.#failedStarts = 0;
    }
    if (status.state === 'dead') {
      const { actorId, incarnation, reason, lastLogLines } = status;
      const facts = { actorId, incarnation, code: 'UNAVAILABLE', retryable: false, lastLogLines } as const;
      if (!member.hasServed) {
        this.#onFailedStart(member, new ActorError({ ...facts, reason: `dead, its process ${reason}` }));
      }
      member.isUsable = false;
      if (member.inFlight === 0) this.#members.delete(actorId);
      this.#grow();
    }
    this.#assign();
  }

  /** When a member never served, its error goes to the waiting calls, unless another member can serve them. */
  #onFailedStart(member: Member<Client>, reason: Error): void {
    this.#drop(member);
    if (isLossOf(member, reason)) this.#losses.add(reason);
    this.#growAfterMs = performance.now() + retryDelayMs(++this.#failedStarts, Math.random());
    if (![...this.#members.values()].some(({ hasServed }) => hasServed)) this.#refuseAll(reason);
  }

  /** Ends idle members, starts missing ones. */
  #tend(): void {
    const isBusy = this.#waiting.size > 0; // otherwise a starting member would count as idle
    const idle = isBusy ? [] : membersToEnd(this.#loads(), performance.now(), this.#limits);
    for (const actorId of idle) this.#drop(this.#members.get(actorId)!);
    this.#grow();
    this.#assign();
  }

  /** Members that can take calls now. */
  #ready(): readonly Member<Client>[] {
    return this.#loads().filter(({ state, isUsable }) => state === 'alive' && isUsable);
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

/** Whether an error says that this member is gone. */
function isLossOf({ actorId }: MemberLoad, thrown: unknown): thrown is ActorError {
  return thrown instanceof ActorError && thrown.code === 'UNAVAILABLE' && thrown.actorId === actorId;
}

/** @throws UserError for invalid limits. */
function checkPoolOptions(typeName: string, options: PoolOptions): void {
  const { min, max, creditsPerMember, maxWaitingCalls = Infinity, idleMs, stragglerFactor = 0 } = options;
  const where = `Pool of ${typeName}`;
  checkWhole(`${where}, min`, min, 0);
  checkWhole(`${where}, max`, max, Math.max(1, min));
  checkLimit(`${where}, creditsPerMember`, creditsPerMember, 1);
  checkLimit(`${where}, maxWaitingCalls`, maxWaitingCalls, 0);
  checkMilliseconds(`${where}, idleMs`, idleMs);
  if (typeof stragglerFactor !== 'number' || !(stragglerFactor >= 0))
    throw new UserError(`${where}, stragglerFactor = ${shown(stragglerFactor)}: it must be 0 or more.`);
}
