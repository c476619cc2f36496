/**
 * The heartbeat thread of a process: it periodically writes a line of JSON (a `Beat`) to the pipe that carried the
 * node's environment. When nobody reads the pipe any more, the node is gone, and the thread ends the process, whatever
 * it is computing.
 */

import { writeSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { ActivityWatch } from '../base/activity.ts';
import { ENVIRONMENT_PIPE } from '../status/actor-environment.ts';
import { killFamily } from './node-link.ts';
import type { LivenessData } from './liveness.ts';

/** Time in which an actor that is not busy can clean up by itself. */
const ORPHAN_GRACE_MS = 2000;

const data = workerData as LivenessData;
const watch = new ActivityWatch(data.memory);
let { everyMs } = data;
let wake: () => void = () => undefined;
parentPort!.on('message', (told: number) => {
  everyMs = told;
  wake();
});

for (;;) {
  try {
    writeSync(ENVIRONMENT_PIPE, `${JSON.stringify(watch.look())}\n`);
  } catch {
    await delay(ORPHAN_GRACE_MS);
    killFamily();
  }
  await new Promise<void>((resolve) => {
    wake = resolve;
    setTimeout(resolve, everyMs);
  });
}
