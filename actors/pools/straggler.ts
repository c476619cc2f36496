/** A call that is tried twice: the second try starts when the first is late, and the first answer counts. */

import { ActorError } from '../base/call-errors.ts';

/** Whether the actor disappeared during the call. */
export function isLost(thrown: unknown): thrown is ActorError {
  return thrown instanceof ActorError && thrown.code === 'UNAVAILABLE';
}

/**
 * The answer of `first`, or of the try that `second` starts after `lateMs` (null if it starts none; Infinity for
 * never). A lost try leaves the answer to the other one; any other error ends the call.
 */
export async function firstAnswer<T>(
  first: Promise<T>,
  second: () => Promise<T> | null,
  lateMs: number,
): Promise<T> {
  if (lateMs === Infinity) return first;
  let timer: NodeJS.Timeout | undefined;
  try {
    return await new Promise<T>((resolve, reject) => {
      let running = 1;
      const onError = (error: Error) => {
        if (--running === 0 || !isLost(error)) reject(error);
      };
      first.then(resolve, onError);
      timer = setTimeout(() => {
        const other = second();
        if (other === null) return;
        running++;
        other.then(resolve, onError);
      }, lateMs);
    });
  } finally {
    clearTimeout(timer);
  }
}
