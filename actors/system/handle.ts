/**
 * A handle: the methods of one actor, in whichever process it now lives. A call waits for an actor that is still
 * starting. While it restarts, and when its process dies under the call, methods declared idempotent are retried on the
 * next incarnation until the deadline; others fail at once with an `ActorError` that says how the process ended.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { UserError } from '../../common/errors.ts';
import { ActorError, WireError } from '../base/call-errors.ts';
import { callChain, DEFAULT_DEADLINE_MS, effectiveDeadlineMs } from '../base/call-scope.ts';
import type { ActorDirectory } from './directory.ts';
import { type AliveStatus, LossWatch } from './loss-watch.ts';
import { type CallOptions, type Calls, callsOf, type Method } from '../proto/protos.ts';
import { retryDelayMs } from '../base/retry.ts';
import { type ActorStatus, SERVING } from '../status/status.ts';
import { type ActorType, isDeclaredIdempotent } from './actor-type.ts';
import { callStream, callUnary, encodeRequests, type Transport } from '../calls/transport.ts';
import type { CallStart } from '../calls/transport/caller.ts';

export type ActorHandle<Client> = Calls<Client> & { readonly actorId: string };

export interface HandleContext {
  readonly directory: ActorDirectory;
  readonly transport: Transport;
  /** Deadline of calls that set none, milliseconds. */
  readonly deadlineMs?: number;
}

/** How long a failed call waits for the node to report how the process ended. */
const AUTOPSY_MS = 1000;

interface Target {
  readonly actorId: string;
  readonly method: Method;
  /** Whether a call may be repeated; never if it streams its requests, which can be read only once. */
  readonly isIdempotent: boolean;
}

/** A typed handle of an actor. Methods use their context when called, not before. */
export function actorHandle<Client, Handlers>(
  type: ActorType<Client, Handlers>,
  actorId: string,
  context: HandleContext,
): ActorHandle<Client> {
  const targetOf = (method: Method, name: string): Target => {
    const isIdempotent = isDeclaredIdempotent(type, name, method) && !method.requestStream;
    return { actorId, method, isIdempotent };
  };
  const calls = callsOf<Client>(type.service, {
    one(method, name) {
      const target = targetOf(method, name);
      return (input, options) => callActor(context, target, input, options);
    },
    many(method, name) {
      const target = targetOf(method, name);
      return (input, options) => streamActor(context, target, input, options);
    },
  });
  return Object.assign(calls, { actorId });
}

async function callActor(context: HandleContext, target: Target, input: object, options: CallOptions) {
  const limits = startLimits(context, options);
  for (let attempt = 1; ; attempt++) {
    const status = callableNow(context, target) ?? (await waitUntilCallable(context, target, limits));
    const loss = new LossWatch(context.directory, status, options.signal);
    try {
      const { request, requests } = encodeRequests(target.method, input);
      const start = startOf(target, status, request, limits);
      const answer = await callUnary(context.transport, status.address, start, loss, requests);
      return target.method.responseDeserialize(answer as Buffer);
    } catch (thrown) {
      options.signal?.throwIfAborted();
      if (!isLoss(thrown, loss)) throw asCallerError(thrown, latest(context, status), target);
      const waitMs = retryDelayMs(attempt, Math.random());
      if (!target.isIdempotent || waitMs >= limits.leftMs()) throw await lossError(context, status, thrown);
      await delay(waitMs, undefined, { ...(options.signal && { signal: options.signal }) }).catch(
        () => undefined,
      );
    } finally {
      loss.release();
    }
  }
}

/** Streams are never retried: the receiver has already seen a part. */
async function* streamActor(context: HandleContext, target: Target, input: object, options: CallOptions) {
  const limits = startLimits(context, options);
  const status = callableNow(context, target) ?? (await waitUntilCallable(context, target, limits));
  const loss = new LossWatch(context.directory, status, options.signal);
  try {
    const { request, requests } = encodeRequests(target.method, input);
    const start = startOf(target, status, request, limits);
    const messages = callStream(context.transport, status.address, start, loss, requests);
    for await (const bytes of messages) yield target.method.responseDeserialize(bytes as Buffer);
  } catch (thrown) {
    options.signal?.throwIfAborted();
    if (isLoss(thrown, loss)) throw await lossError(context, status, thrown);
    throw asCallerError(thrown, latest(context, status), target);
  } finally {
    loss.release();
  }
}

function startOf(target: Target, status: AliveStatus, request: Uint8Array, limits: CallLimits): CallStart {
  const { actorId, method } = target;
  const { incarnation } = status;
  return {
    actorId,
    incarnation,
    method: method.path,
    request,
    deadlineMs: limits.leftMs(),
    chain: callChain(),
  };
}

interface CallLimits {
  readonly signal: AbortSignal | undefined;
  leftMs(): number;
}

function startLimits(context: HandleContext, options: CallOptions): CallLimits {
  const deadlineMs = effectiveDeadlineMs(options.deadlineMs ?? context.deadlineMs ?? DEFAULT_DEADLINE_MS);
  const endMs = performance.now() + deadlineMs;
  return { signal: options.signal, leftMs: () => endMs - performance.now() };
}

/** The actor's status if it can be called at once, as nearly always: earlier calls must not wait any more. */
function callableNow({ directory }: HandleContext, { actorId }: Target): AliveStatus | null {
  const status = directory.get(actorId);
  const isCallable = status?.state === 'alive' && !directory.isLost && !directory.isAwaited(actorId);
  return isCallable ? (status as AliveStatus) : null;
}

/** Not an async function: the call that awaits its promise starts before a later one's turn comes. */
function waitUntilCallable(context: HandleContext, target: Target, limits: CallLimits): Promise<AliveStatus> {
  const choose = (status: ActorStatus): boolean => {
    if (status.state === 'dead') throw endedError(status);
    if (status.state === 'restarting' && !target.isIdempotent) throw endedError(status);
    return status.state === 'alive';
  };
  const waitLimits = {
    signal: limits.signal,
    get deadlineMs() {
      return limits.leftMs();
    },
  };
  return context.directory.waitInTurn(target.actorId, choose, waitLimits) as Promise<AliveStatus>;
}

/** Whether the process or the connection was lost, rather than the handler answering. */
function isLoss(thrown: unknown, watch: LossWatch): boolean {
  if (watch.isOver) return true;
  if (!(thrown instanceof WireError) || thrown.kind !== null) return false;
  return thrown.code !== 'DEADLINE_EXCEEDED' && thrown.code !== 'RESOURCE_EXHAUSTED';
}

/** The error of a call that an actor answered, or that exceeded its deadline. */
function asCallerError(thrown: unknown, status: ActorStatus, { method }: Target): unknown {
  if (!(thrown instanceof WireError)) return thrown;
  const { actorId, incarnation } = status;
  if (thrown.thrown !== null && method.thrownDeserialize !== undefined) {
    const where = `${method.originalName} (actor ${actorId}, incarnation ${incarnation})`;
    return method.thrownDeserialize(thrown.thrown, where);
  }
  const { code, message, kind } = thrown;
  const retryable = code === 'UNAVAILABLE' || code === 'RESOURCE_EXHAUSTED' || code === 'ABORTED';
  const reason =
    code === 'DEADLINE_EXCEEDED'
      ? `the call took longer than its deadline (${message})${busyText(status)}`
      : message;
  const error = new ActorError({ actorId, incarnation, code, retryable, reason, cause: thrown });
  return kind === 'user' ? new UserError(message, { cause: error }) : error;
}

/** The present status of the called actor, if it is still the same process. */
function latest({ directory }: HandleContext, called: AliveStatus): ActorStatus {
  const now = directory.get(called.actorId);
  return now?.incarnation === called.incarnation ? now : called;
}

function busyText({ state, reason }: ActorStatus): string {
  return state === 'alive' && reason !== SERVING ? `; it is ${reason}` : '';
}

/** The error for an actor that has no process to call. */
function endedError(status: ActorStatus): ActorError {
  const { actorId, incarnation, state, reason, lastLogLines } = status;
  const retryable = state !== 'dead';
  const text = `${state}, its process ${reason}`;
  return new ActorError({ actorId, incarnation, code: 'UNAVAILABLE', retryable, reason: text, lastLogLines });
}

/** The error for a process that was lost during a call: waits a moment for the node to report the cause. */
async function lossError(context: HandleContext, called: AliveStatus, cause: unknown): Promise<ActorError> {
  const { actorId, incarnation } = called;
  const isOver = (status: ActorStatus) => status.state !== 'alive' || status.incarnation !== incarnation;
  const facts = { actorId, incarnation, code: 'UNAVAILABLE', cause } as const;
  try {
    const status = await context.directory.waitFor(actorId, isOver, { deadlineMs: AUTOPSY_MS });
    const reason = `its process ended during the call: ${status.reason}`;
    const retryable = status.state !== 'dead';
    return new ActorError({ ...facts, retryable, reason, lastLogLines: status.lastLogLines });
  } catch {
    const reason = `the connection was lost (${cause instanceof Error ? cause.message : String(cause)})`;
    return new ActorError({ ...facts, retryable: true, reason });
  }
}
