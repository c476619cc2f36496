/** Listening for an abort, with one rule: an abort that has already happened counts. */

/** The part of an AbortSignal that is listened to. */
export interface Abortable {
  readonly aborted: boolean;
  addEventListener(type: 'abort', listener: () => void, options?: { readonly once: true }): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

/** Calls `run` once the signal is aborted; at once if it already is. Returns a function that stops listening. */
export function onAbort(signal: Abortable | undefined, run: () => void): () => void {
  signal?.addEventListener('abort', run, { once: true });
  if (signal?.aborted === true) run();
  return () => signal?.removeEventListener('abort', run);
}

/** Resolves as soon as one of the signals is aborted, and then listens to none. */
export async function whenAborted(...signals: readonly AbortSignal[]): Promise<void> {
  const stops: (() => void)[] = [];
  await new Promise<void>((resolve) => {
    for (const signal of signals) stops.push(onAbort(signal, resolve));
  });
  for (const stop of stops) stop();
}
