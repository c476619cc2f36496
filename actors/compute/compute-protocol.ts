/** Messages between a process and its compute thread. */

export interface ToThread {
  readonly id: number;
  readonly name: string;
  readonly payload: unknown;
  /** One shared word: 1 = the caller has cancelled. Readable while the thread is busy, unlike a message. */
  readonly cancelled: Int32Array;
}

export interface ThreadError {
  readonly isUserError: boolean;
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
}

export type FromThread =
  | { readonly id: number; readonly kind: 'progress'; readonly value: unknown }
  | { readonly id: number; readonly kind: 'result'; readonly value: unknown }
  | { readonly id: number; readonly kind: 'error'; readonly error: ThreadError };
