/**
 * Cancels one call to an actor before its answer: by the caller's signal, or at the end of the called incarnation. It
 * resembles an AbortSignal with one listener, because creating an AbortController costs more than the rest of a call.
 */

import { onAbort } from '../../common/abort.ts';
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
  readonly #stop: () => void;
  #listener: (() => void) | null = null;
  readonly #stopListening: () => void;

  constructor(directory: ActorDirectory, called: AliveStatus, signal: AbortSignal | undefined) {
    this.#called = called;
    this.#stop = directory.listen((status) => this.#check(status), called.actorId);
    this.#stopListening = onAbort(signal, () => this.#abort(signal?.reason));
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
    this.#stopListening();
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
