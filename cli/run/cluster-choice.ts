/** The flags of commands whose runs may join a cluster, and the cluster that they choose. */
import { Option } from 'commander';
import { LOOPBACK } from '../../actors/serving/server.ts';
import type { ClusterChoice } from './execute-run.ts';
import { UserError } from '../../common/errors.ts';
import { parseJoin } from '../cluster/node-settings.ts';

export const JOIN = new Option(
  '--join <url>',
  'also make images on the nodes of a cluster: nats://HOST:PORT, or grpc://HOST:PORT',
);
export const HOST = new Option(
  '--host <host>',
  'with --join: address at which those nodes reach this one (default: 127.0.0.1)',
);

export interface ClusterFlags {
  readonly join?: string;
  readonly host?: string;
}

/** null without --join. Throws UserError for an invalid URL, and for --host alone. */
export function chosenCluster({ join, host }: ClusterFlags): ClusterChoice | null {
  if (join === undefined && host !== undefined)
    throw new UserError('--host: is for nodes of a cluster; give --join too');
  return join === undefined ? null : { join: parseJoin(join), host: host ?? LOOPBACK };
}
