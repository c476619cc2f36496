/**
 * Cancels one call to an actor before its answer: by the caller's signal, or at the end of the called incarnation. It
 * resembles an AbortSignal with one listener, because creating an AbortController costs more than the rest of a call.
 */

import type { ActorDirectory } from './directory.ts';
import type { ActorStatus } from '../status/status.ts';
import type { CallSignal } from '../calls/transport.ts';

export type AliveStatus = ActorStatus & { readonly address: string };

class IncarnationEnded extends Error {
  override readonly name = 'IncarnationEnded';
}

export class LossWatch implements CallSignal {
  aborted = false;
  reason: unknown = undefined;
  readonly #called: AliveStatus;
  readonly #signal: AbortSignal | undefined;
  readonly #stop: () => void;
  #listener: (() => void) | null = null;
  readonly #onAbort = () => this.#abort(this.#signal?.reason);

  constructor(directory: ActorDirectory, called: AliveStatus, signal: AbortSignal | undefined) {
    this.#called = called;
    this.#signal = signal;
    this.#stop = directory.listen((status) => this.#check(status), called.actorId);
    signal?.addEventListener('abort', this.#onAbort, { once: true });
    if (signal?.aborted === true) this.#onAbort();
    this.#check(directory.get(called.actorId));
  }

  /** Whether the node has reported the end of the incarnation. */
  get isOver(): boolean {
    return this.reason instanceof IncarnationEnded;
  }

  addEventListener(_type: 'abort', listener: () => void): void {
    this.#listener = listener;
  }

  removeEventListener(): void {
    this.#listener = null;
  }

  /** Stops watching. */
  release(): void {
    this.#stop();
    this.#signal?.removeEventListener('abort', this.#onAbort);
  }

  #check(status: ActorStatus | undefined): void {
    const { incarnation } = this.#called;
    if (status?.state === 'alive' && status.incarnation === incarnation) return;
    this.#abort(new IncarnationEnded(`incarnation ${incarnation} ended`));
  }

  #abort(reason: unknown): void {
    if (this.aborted) return;
    this.aborted = true;
    this.reason = reason;
    this.#listener?.();
  }
}
