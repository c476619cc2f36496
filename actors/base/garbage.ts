/** Calls the garbage collector, for resources outside its memory whose lifetime follows an object inside it. */

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

let collect: (() => void) | null = null;

/** Runs a full collection: a few milliseconds, more with a large heap. Finalisers run soon afterwards. */
export function collectGarbage(): void {
  if (collect === null) {
    setFlagsFromString('--expose-gc'); // applies only to contexts created from now on; the program's own context stays unchanged
    collect = runInNewContext('gc') as () => void;
    setFlagsFromString('--no-expose-gc');
  }
  collect();
}
