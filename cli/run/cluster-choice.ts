/** The cluster that a command's runs join, by its flags. */
import { LOOPBACK } from '../../actors/serving/server.ts';
import type { ClusterChoice } from './execute-run.ts';
import { parseJoin } from '../cluster/node-settings.ts';

/** null without --join. Throws UserError for a URL that is none. */
export function chosenCluster({
  join,
  host,
}: {
  readonly join?: string;
  readonly host?: string;
}): ClusterChoice | null {
  return join === undefined ? null : { join: parseJoin(join), host: host ?? LOOPBACK };
}
