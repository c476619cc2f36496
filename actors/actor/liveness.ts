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

/** Starts the thread, which ends with the process. */
export function startLiveness(activity: Activity, everyMs: number): void {
  activity.start();
  const data: LivenessData = { memory: activity.memory, everyMs };
  const program = join(bundleRoot(), 'actors', 'actor', 'liveness-thread.js');
  const limits = { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2 };
  new Worker(program, { workerData: data, resourceLimits: limits, execArgv: [] }).unref();
}
