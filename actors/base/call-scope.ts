/** The call that a handler is answering: calls made on its behalf inherit its deadline. */

import { AsyncLocalStorage } from 'node:async_hooks';
import { UserError } from '../../common/errors.ts';
import { CallError } from './call-errors.ts';
import { shown } from './checks.ts';

export interface CallScope {
  /** When its caller gives up, on performance.now()'s clock; Infinity for never. */
  readonly endMs: number;
  /** The calls that it is made for, the first one first, and itself; made when somebody asks. */
  readonly chain: () => readonly string[];
}

export const currentCall = new AsyncLocalStorage<CallScope>();

/** Most calls that may be made for each other: more are a circle that turns without end. */
const MAX_CHAIN = 64;

/** The calls that a call is made for. @throws CallError FAILED_PRECONDITION when they are too many */
export function callChain(): readonly string[] {
  const chain = currentCall.getStore()?.chain() ?? [];
  if (chain.length < MAX_CHAIN) return chain;
  const last = chain.slice(-4).map(chainPlace).join(' → ');
  throw new CallError('FAILED_PRECONDITION', `${MAX_CHAIN} calls wait for each other: … → ${last}`);
}

/** A call of a chain for people: its actor and method. */
export function chainPlace(call: string): string {
  return call.slice(0, call.lastIndexOf(' #'));
}

/** Deadline of a call that names none, milliseconds. */
export const DEFAULT_DEADLINE_MS = 60_000;

/**
 * Milliseconds that a call may take: what it asks for, but never longer than the call that it is made for. Infinity is
 * for what outlives the call, and stays. Less than 0 is a deadline that has passed. @throws UserError for no number
 */
export function effectiveDeadlineMs(askedMs: number): number {
  if (typeof askedMs !== 'number' || Number.isNaN(askedMs))
    throw new UserError(`deadlineMs = ${shown(askedMs)}: it must be a number of milliseconds.`);
  if (askedMs === Infinity) return askedMs;
  const scope = currentCall.getStore();
  return scope === undefined ? askedMs : Math.min(askedMs, scope.endMs - performance.now());
}
