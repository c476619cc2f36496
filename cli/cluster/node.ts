/** `ballast node`: this machine's part of a cluster, until SIGTERM or Ctrl-C. */
import { appendFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import type { Registry as MetricsRegistry } from 'prom-client';
import { whenAborted } from '../../common/abort.ts';
import { CallError } from '../../actors/base/call-errors.ts';
import { serveHealth } from '../../actors/serving/health-port.ts';
import { createRegistry, serveMetrics } from '../../actors/calls/metrics.ts';
import { type Node, startNode } from '../../actors/node/node.ts';
import { errorCode, toError, UserError } from '../../common/errors.ts';
import { ensureDirectory } from '../../common/files.ts';
import { refuseForeignFolder } from '../../common/private-file.ts';
import { createLog, type Log } from '../../common/log.ts';
import type { CommandContext } from '../base/context.ts';
import { type ControlPlane, openControlPlane } from './control-plane.ts';
import { EXIT } from '../base/failure.ts';
import { listenForInterrupts } from '../base/interrupts.ts';
import { MergedRegistry } from '../base/merged-metrics.ts';
import { removeNodeFile, writeNodeFile } from './node-file.ts';
import { type JoinTarget, type NodeFlags, type NodeSettings, parseNodeSettings } from './node-settings.ts';
import { formatLabels, formatResources } from '../base/table.ts';

const EXAMPLES = `
Examples:
  ballast node --port 4700                                      the first node: others join it
  ballast node --join grpc://10.0.0.1:4700 --labels gpu=a100 --host 0.0.0.0
  ballast node --join nats://nats:4222 --resources cpu=8,licence=1
`;

export function addNodeCommand(program: Command, context: CommandContext): void {
  const command = program
    .command('node')
    .summary('run a node of a cluster')
    .description(
      'Runs a node, which starts actors as its resources allow, until SIGTERM or Ctrl-C. The node then takes no new actors, ' +
        'ends its own within the grace period, and leaves the cluster. Without --join it begins a cluster that others join.',
    )
    .addHelpText('after', EXAMPLES);
  addNodeFlags(command);
  command.action(() => nodeCommand(command.opts<NodeFlags>(), context));
}

/** Adds the flags that every process with a node takes. */
export function addNodeFlags(command: Command): void {
  command
    .option('--join <url>', 'nats://HOST:PORT, or grpc://HOST:PORT of a cluster’s first node')
    .option('--node-id <id>', 'id, unique in the cluster (default: a random one)')
    .option('--cluster <name>', 'name of the cluster, where several share a NATS server', 'default')
    .option('--labels <list>', 'name=value,… labels that actors may ask for')
    .option('--resources <list>', 'cpu=4,gpu=1,custom=2: added to, or in place of, the resources it detects')
    .option('--host <host>', 'address where it listens; 0.0.0.0 for all interfaces', '127.0.0.1')
    .option('--port <port>', 'port where it listens (default: a free one)')
    .option('--advertise <host>', 'address where other nodes reach it, if not --host')
    .option('--metrics-port <port>', 'serve Prometheus metrics of the node and its actors')
    .option('--health-port <port>', 'serve gRPC health for probes, and nothing else, without TLS or token')
    .option('--dir <dir>', 'folder of its logs (default: one in the temporary folder)')
    .option('--entry-root <dir>', 'folder whose modules actors may run; repeatable', collect, [])
    .option('--grace <seconds>', 'time for its actors to end', '30')
    .option('--lease <seconds>', 'silence after which the cluster considers it lost', '10');
}

/** A further task of a node's process. */
export interface Guest {
  /** Lines for the user who started it. */
  readonly lines: readonly string[];
  /** Ends it; the node drains afterwards. */
  close(): Promise<void>;
}

/** The arguments of a guest's start. */
export interface Host {
  readonly node: Node;
  readonly settings: NodeSettings;
  readonly metrics: MetricsRegistry;
  readonly log: Log;
}

/** Runs a node until it is stopped, with a guest, whose start may fail the command. */
export async function nodeCommand(
  flags: NodeFlags,
  context: CommandContext,
  startGuest: ((host: Host) => Promise<Guest>) | null = null,
  watchedFolders: Readonly<Record<string, string>> = {},
): Promise<void> {
  const settings = parseNodeSettings(flags, context.cwd, networkInterfaces());
  await refuseTakenPort('--port', settings.host, settings.port);
  if (settings.metricsPort !== null)
    await refuseTakenPort('--metrics-port', settings.host, settings.metricsPort);
  if (settings.healthPort !== null)
    await refuseTakenPort('--health-port', settings.host, settings.healthPort);
  refuseForeignFolder(settings.dir);
  await ensureDirectory(join(settings.dir, 'logs'));
  let node: Node | null = null;
  const interrupts = listenForInterrupts((line) => context.stderr.write(`${line}\n`), process, {
    notice: `Draining; actors get ${settings.graceMs / 1000} s. Another signal ends it at once.`,
    onSecond(name) {
      node?.abandon();
      process.exit(name === 'SIGINT' ? EXIT.interrupted : EXIT.terminated);
    },
  });
  const metrics = createRegistry({ process: 'node' });
  const controlPlane = await openControlPlane({ ...settings, metrics });
  try {
    const log = openLog(settings);
    node = await enter(settings, controlPlane, metrics, log, watchedFolders);
    const guest = (await startGuest?.({ node, settings, metrics, log })) ?? null;
    try {
      await serveUntilTold(node, settings, interrupts.signal, context, guest);
    } finally {
      await guest?.close();
    }
  } finally {
    await removeNodeFile(settings.dir);
    await node?.close(settings.graceMs);
    await controlPlane.close();
    interrupts.release();
  }
}

function openLog({ dir }: NodeSettings): Log {
  const path = join(dir, 'logs', 'node.log');
  return createLog({ write: (line) => appendFileSync(path, line), fields: { process: 'node' } });
}

async function enter(
  settings: NodeSettings,
  { registry, store, events }: ControlPlane,
  metrics: MetricsRegistry,
  log: Log,
  watchedFolders: Readonly<Record<string, string>>,
): Promise<Node> {
  const { nodeId, dir, host, port, labels, resources, advertisedHost, entryRoots, leaseMs } = settings;
  try {
    return await startNode({
      ...{ nodeId, log, host, port, labels, resources, advertisedHost, entryRoots },
      runDir: dir,
      cluster: registry,
      ...{ metrics, watchedFolders },
      nodeTtlMs: leaseMs,
      ...(store === null ? {} : { registryStore: store }),
      ...(events === null ? {} : { events }),
    });
  } catch (thrown) {
    if (!(thrown instanceof CallError)) throw thrown;
    throw new UserError(`Cannot join the cluster: ${thrown.message}`, { cause: thrown });
  }
}

async function serveUntilTold(
  node: Node,
  settings: NodeSettings,
  stopped: AbortSignal,
  { stdout }: CommandContext,
  guest: Guest | null,
): Promise<void> {
  const { metricsPort, healthPort, host, dir, graceMs } = settings;
  const metrics =
    metricsPort === null
      ? null
      : await serveMetrics(new MergedRegistry(() => node), { port: metricsPort, host });
  const health = healthPort === null ? null : await serveHealth({ host, port: healthPort });
  try {
    await writeNodeFile(dir, node.address);
    stdout.write(await welcome(node, settings));
    if (metrics !== null) stdout.write(`metrics: http://${metrics.address}/metrics\n`);
    if (health !== null) stdout.write(`health: ${health.address}\n`);
    for (const line of guest?.lines ?? []) stdout.write(`${line}\n`);
    await whenAborted(stopped, node.drained);
    health?.setServing(false);
    await guest?.close();
    await node.drain(graceMs);
  } finally {
    health?.close();
    await metrics?.close();
  }
}

async function welcome(node: Node, { join: target, dir }: NodeSettings): Promise<string> {
  const own = (await node.listNodes()).find(({ nodeId }) => nodeId === node.nodeId);
  const labels = formatLabels(own?.labels ?? {});
  const has = formatResources(own?.total ?? {});
  return [
    `node ${node.nodeId} serves at ${node.address}: ${has}${labels === '' ? '' : `; labels ${labels}`}`,
    `join:   ballast node --join ${joinUrl(target, node.address)}`,
    `look:   ballast status --node ${node.address}`,
    `logs:   ${join(dir, 'logs')}`,
    '',
  ].join('\n');
}

/** How other nodes enter the same cluster; a password in the address is left out. */
function joinUrl(target: JoinTarget, ownAddress: string): string {
  switch (target.kind) {
    case 'none':
      return `grpc://${ownAddress}`;
    case 'grpc':
      return `grpc://${target.address}`;
    case 'nats':
      return target.url.replace(/\/\/[^/]*@/, '//…@');
    default:
      return target satisfies never;
  }
}

/** gRPC says little about a port that it cannot have. @throws UserError */
export async function refuseTakenPort(flag: string, host: string, port: number): Promise<void> {
  const probe = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      probe.once('error', reject);
      probe.listen(port, host, resolve);
    });
  } catch (thrown) {
    const code = errorCode(thrown);
    if (code === 'EADDRINUSE')
      throw new UserError(`${flag} ${port}: another process listens there, on ${host}`);
    if (code === 'EACCES') throw new UserError(`${flag} ${port}: not allowed; choose one above 1023`);
    throw new UserError(`--host ${host}: it is not an address of this machine (${toError(thrown).message})`);
  }
  await new Promise((resolve) => probe.close(resolve));
}

function collect(value: string, previous: readonly string[]): string[] {
  return [...previous, value];
}
