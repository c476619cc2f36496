/** A call that is tried twice: the second try starts when the first is late, and the first answer counts. */

/**
 * The answer of `first`, or of the try that `second` starts after `lateMs` (null if it starts none; Infinity for
 * never). A lost try, by `isLost`, leaves the answer to the other one; any other error ends the call.
 */
export async function firstAnswer<T>(
  first: Promise<T>,
  second: () => Promise<T> | null,
  lateMs: number,
  isLost: (thrown: Error) => boolean,
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
