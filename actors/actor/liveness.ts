/**
 * Sends the process's heartbeat to the node from a separate thread, so that the actor's computation does not delay it.
 */

import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { bundleRoot } from '../../common/package-root.ts';
import type { Activity } from '../base/activity.ts';

/** `workerData` of the thread. */
export interface LivenessData {
  readonly memory: SharedArrayBuffer;
  readonly everyMs: number;
}

/** Interval until the node has told its own: the thread soon notices that the node is gone. */
const FIRST_EVERY_MS = 2000;

/** Starts the thread, which ends with the process. The returned function sets the interval of its beats. */
export function startLiveness(activity: Activity): (everyMs: number) => void {
  activity.start();
  const data: LivenessData = { memory: activity.memory, everyMs: FIRST_EVERY_MS };
  const program = join(bundleRoot(), 'actors', 'actor', 'liveness-thread.js');
  const limits = { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2 };
  const thread = new Worker(program, { workerData: data, resourceLimits: limits, execArgv: [] });
  thread.unref();
  return (everyMs) => thread.postMessage(everyMs);
}
