/**
 * A lease as its holder sees it. The holder counts from the moment at which it *asked* for the last renewal that was
 * granted, on its own monotonic clock, and stops a margin before the registry can expire it:
 *
 *     held until  =  sent + ttl − margin,    margin = ttl / 5
 *
 * The registry counts a whole ttl from the moment at which it *received* that request, later than `sent`. So the holder
 * always stops first, unless its clock runs slower than the registry's by a fifth.
 */

import { toError } from '../../common/errors.ts';
import { CallError } from '../base/call-errors.ts';
import type { Clock } from '../base/clock.ts';
import type { Lease, LeaseOptions } from './registry.ts';
import { type Grant, leaseLost } from './registry-store.ts';

/** Time, in ms on the holder's clock, until which a lease requested at `sentMs` may be used. */
export function heldUntilMs(sentMs: number, ttlMs: number): number {
  return sentMs + ttlMs - ttlMs / 5;
}

/** Milliseconds between renewals: three may fail before the lease is lost. */
export function renewEveryMs(ttlMs: number): number {
  return ttlMs / 4;
}

/** Whether a lease has expired at the registry; the last moment still belongs to the holder. */
export function isExpired(expiresAtMs: number, nowMs: number): boolean {
  return nowMs > expiresAtMs;
}

/** The operations of the registry that a held lease needs. */
export interface LeaseKeeper {
  readonly clock: Clock;
  /** Renews the lease; false if it has expired there. @throws CallError UNAVAILABLE within `deadlineMs` */
  renew(leaseId: string, deadlineMs: number): Promise<boolean>;
  release(leaseId: string): Promise<void>;
  /** Called once, however the lease ends. */
  onEnd(lease: HeldLease, wasReleased: boolean): void;
}

export class HeldLease implements Lease {
  readonly id: string;
  readonly name: string;
  readonly ttlMs: number;
  readonly fencingToken: number;
  readonly #keeper: LeaseKeeper;
  readonly #lost = new AbortController();
  #heldUntilMs: number;
  #cancelLoss: () => void;
  #cancelRenewal: () => void = () => undefined;
  #releasing: Promise<void> | null = null;
  #lastFailure = '';

  /** `sentMs`: when the grant was requested, on the keeper's clock. */
  constructor(keeper: LeaseKeeper, { name, ttlMs }: LeaseOptions, grant: Grant, sentMs: number) {
    this.#keeper = keeper;
    this.id = grant.leaseId;
    this.fencingToken = grant.fencingToken;
    this.name = name;
    this.ttlMs = ttlMs;
    this.#heldUntilMs = heldUntilMs(sentMs, ttlMs);
    this.#cancelLoss = this.#armLoss();
    this.#scheduleRenewal(renewEveryMs(ttlMs));
  }

  get lost(): AbortSignal {
    this.#check();
    return this.#lost.signal;
  }

  release(): Promise<void> {
    if (this.#releasing === null) {
      const wasHeld = !this.lost.aborted;
      this.#end(new CallError('FAILED_PRECONDITION', `Lease ${this.id} (${this.name}) was released`), true);
      this.#releasing = wasHeld ? this.#keeper.release(this.id) : Promise.resolve();
    }
    return this.#releasing;
  }

  /** The registry reported that it is over. */
  refuse(): void {
    this.#end(leaseLost(this.id, `the registry no longer knows it (${this.name})`), false);
  }

  #check(): void {
    if (this.#keeper.clock.monotonicMs() < this.#heldUntilMs) return;
    const why = this.#lastFailure === '' ? 'not renewed in time' : `not renewed: ${this.#lastFailure}`;
    this.#end(leaseLost(this.id, `${why} (${this.name})`), false);
  }

  #end(reason: Error, wasReleased: boolean): void {
    if (this.#lost.signal.aborted) return;
    this.#cancelLoss();
    this.#cancelRenewal();
    this.#lost.abort(reason);
    this.#keeper.onEnd(this, wasReleased);
  }

  #armLoss(): () => void {
    const { clock } = this.#keeper;
    return clock.after(this.#heldUntilMs - clock.monotonicMs(), () => this.#check());
  }

  #scheduleRenewal(delayMs: number): void {
    this.#cancelRenewal = this.#keeper.clock.after(delayMs, () => void this.#renew());
  }

  async #renew(): Promise<void> {
    if (this.lost.aborted) return;
    const sentMs = this.#keeper.clock.monotonicMs();
    const intervalMs = renewEveryMs(this.ttlMs);
    try {
      const isAlive = await this.#keeper.renew(this.id, intervalMs);
      if (this.lost.aborted) return;
      if (!isAlive) return this.refuse();
      this.#lastFailure = '';
      this.#heldUntilMs = heldUntilMs(sentMs, this.ttlMs);
      this.#cancelLoss();
      this.#cancelLoss = this.#armLoss();
      this.#scheduleRenewal(intervalMs - (this.#keeper.clock.monotonicMs() - sentMs));
    } catch (thrown) {
      if (this.lost.aborted) return;
      this.#lastFailure = toError(thrown).message;
      this.#scheduleRenewal(intervalMs / 4);
    }
  }
}
