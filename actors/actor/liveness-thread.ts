/**
 * The thread that says that its process lives: a line of JSON now and then (a `Beat`), into the pipe that the node's words
 * came from. When nobody is left to read them, the node is gone: the process ends, whatever it computes.
 */

import { writeSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { workerData } from 'node:worker_threads';
import { ActivityWatch } from '../base/activity.ts';
import { ENVIRONMENT_PIPE } from '../status/actor-environment.ts';
import { killFamily } from './node-link.ts';
import type { LivenessData } from './liveness.ts';

/** Time for the actor to clean up by itself, which it does if it is not busy. */
const ORPHAN_GRACE_MS = 2000;

const { memory, everyMs } = workerData as LivenessData;
const watch = new ActivityWatch(memory);

for (;;) {
  try {
    writeSync(ENVIRONMENT_PIPE, `${JSON.stringify(watch.look())}\n`);
  } catch {
    await delay(ORPHAN_GRACE_MS);
    killFamily();
  }
  await delay(everyMs);
}
