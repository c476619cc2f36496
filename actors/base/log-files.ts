/** Names of the actors' logs within a run folder. */

import { join } from 'node:path';

export const LOG_ENDING = '.log';

export function logFolder(runDir: string): string {
  return join(runDir, 'logs');
}

/** Where an actor's process or thread writes its log and whatever it prints; each incarnation appends to it. */
export function logPathOf(runDir: string, actorId: string): string {
  return join(logFolder(runDir), `${actorId}${LOG_ENDING}`);
}
