/** Fits a list of actors into one message. */

import type { ActorStatus } from './status.ts';

/** Characters of log lines in one list; a message has 4 MiB. */
const MAX_LINES_LENGTH = 1024 * 1024;

/** The same statuses; log lines remain with the latest actors, as far as they fit. */
export function withLinesThatFit(statuses: readonly ActorStatus[]): ActorStatus[] {
  let left = MAX_LINES_LENGTH;
  const fit = [...statuses].reverse().map((status) => {
    left -= status.lastLogLines.reduce((sum, line) => sum + line.length, 0);
    return left >= 0 ? status : { ...status, lastLogLines: [] };
  });
  return fit.reverse();
}
