/** Calls the garbage collector, for things outside of its memory that live as long as something in it does. */

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

let collect: (() => void) | null = null;

/** A full collection: some milliseconds, more with a large heap. Those who wait for a finaliser hear of it soon after. */
export function collectGarbage(): void {
  if (collect === null) {
    setFlagsFromString('--expose-gc'); // for contexts made from now on: the program's own is as it was
    collect = runInNewContext('gc') as () => void;
    setFlagsFromString('--no-expose-gc');
  }
  collect();
}
