/** Nodes of a test cluster, each a `ballast node` of its own. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { FIXTURES } from '../fixtures/actors/echo.ts';
import { ballast, Cli, type CliOptions } from './cli.ts';
import { actorsOf } from './processes.ts';

/** Short, so that a lost node is soon noticed; long enough for a busy machine. */
const LEASE_SECONDS = '5';
const GRACE_SECONDS = '5';

export interface TestNode {
  readonly cli: Cli;
  readonly nodeId: string;
  readonly address: string;
  readonly dir: string;
}

/** Starts a node; resolves when it serves. */
export async function startTestNode(
  folder: string,
  nodeId: string,
  flags: readonly string[],
  options: Pick<CliOptions, 'env' | 'enter'> = {},
): Promise<TestNode> {
  const dir = join(folder, nodeId);
  const own = ['--node-id', nodeId, '--dir', dir, '--entry-root', FIXTURES];
  const limits = ['--lease', LEASE_SECONDS, '--grace', GRACE_SECONDS];
  const cli = Cli.start(['node', ...own, ...limits, ...flags], options);
  const [, address = ''] = await cli.waitFor(/serves at (\S+:\d+)/);
  return { cli, nodeId, address, dir };
}

/** Ends a node as an orchestrator does; gives its exit code. */
export async function endNode({ cli }: TestNode): Promise<number | null> {
  cli.signal('SIGTERM');
  return (await cli.ended).code;
}

/** The objects that a command prints with `--json`. */
export async function jsonOf<Item>(args: readonly string[], { address }: TestNode): Promise<Item[]> {
  const { stdout, stderr, code } = await ballast([...args, '--node', address, '--json']);
  if (code !== 0) throw new Error(`ballast ${args.join(' ')} failed: ${stderr}`);
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Item);
}

/** Folders in shared memory of nodes whose id begins with `prefix`. */
export function sharedFolders(prefix: string): string[] {
  return readdirSync('/dev/shm').filter((name) => name.startsWith(`ballast-${prefix}`));
}

/** Ids of the living actor processes of nodes. */
export function livingActors(nodes: readonly TestNode[]): string[] {
  return nodes.flatMap(({ dir }) => actorsOf(dir).map(({ actorId }) => actorId));
}
