/**
 * The program of a thread host's threads: waits for its actor's identity, then loads that actor's program. A spare
 * thread first loads the modules that such programs import, and reports that it has.
 */

import { parentPort, workerData } from 'node:worker_threads';
import { pathToFileURL } from 'node:url';
import { eventService, nodeService, objectService } from '../proto/runtime-services.ts';
import { beginThread } from './thread-guest.ts';
import type { ThreadData, ThreadKind } from './thread-protocol.ts';

/** Resolves once the thread waits for its identity. */
export const main = waitForIdentity();

async function waitForIdentity(): Promise<void> {
  const { isSpare } = workerData as ThreadKind;
  if (isSpare) await loadAhead();
  parentPort!.once('message', (data: ThreadData) => {
    void beginThread(data, () => import(pathToFileURL(data.entry).href));
  });
  if (isSpare) parentPort!.postMessage('ready');
}

async function loadAhead(): Promise<void> {
  await import('../index.ts');
  for (const service of [nodeService, objectService, eventService]) void service.methods; // read at first use
}
