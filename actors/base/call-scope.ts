/** The call that a handler is answering: calls made on its behalf inherit its deadline. */

import { AsyncLocalStorage } from 'node:async_hooks';
import { UserError } from '../../common/errors.ts';
import { CallError } from './call-errors.ts';
import { shown } from './checks.ts';

export interface CallScope {
  /** Time at which its caller gives up, on performance.now()'s clock; Infinity for never. */
  readonly endMs: number;
  /** The chain of calls that led to this one, the first one first, ending with itself; computed on demand. */
  readonly chain: () => readonly string[];
  /** Whether it has been answered; false after an abort. Work that goes on afterwards is nobody's call. */
  readonly isOver: () => boolean;
}

export const currentCall = new AsyncLocalStorage<CallScope>();

function scopeInForce(): CallScope | undefined {
  const scope = currentCall.getStore();
  return scope?.isOver() === true ? undefined : scope;
}

/** Maximum length of a chain of calls; a longer one is an endless loop. */
const MAX_CHAIN = 64;

/** The chain of calls that led to a call. @throws CallError FAILED_PRECONDITION when the chain is too long */
export function callChain(): readonly string[] {
  const chain = scopeInForce()?.chain() ?? [];
  if (chain.length < MAX_CHAIN) return chain;
  const last = chain.slice(-4).map(chainPlace).join(' → ');
  throw new CallError('FAILED_PRECONDITION', `${MAX_CHAIN} calls wait for each other: … → ${last}`);
}

/** Describes a call of a chain for people: its actor and method. */
export function chainPlace(call: string): string {
  return call.slice(0, call.lastIndexOf(' #'));
}

/** Deadline of a call that sets none, milliseconds. */
export const DEFAULT_DEADLINE_MS = 60_000;

/**
 * Milliseconds that a call may take: the requested time, limited by the deadline of the call that it is made for.
 * Infinity marks work that outlives the call, and is kept. A negative value is a deadline that has passed. @throws
 * UserError if it is not a number
 */
export function effectiveDeadlineMs(askedMs: number): number {
  if (typeof askedMs !== 'number' || Number.isNaN(askedMs))
    throw new UserError(`deadlineMs = ${shown(askedMs)}: it must be a number of milliseconds.`);
  if (askedMs === Infinity) return askedMs;
  const scope = scopeInForce();
  return scope === undefined ? askedMs : Math.min(askedMs, scope.endMs - performance.now());
}
