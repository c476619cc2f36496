/** `ballast status`, `nodes`, `actors`, `objects`, `events`, `logs`, `kill`, `stop`, `drain`: a running cluster, for people. */
import type { Command } from 'commander';
import type { ActorStatus } from '../../actors/status/status.ts';
import { UserError } from '../../common/errors.ts';
import { type ClusterClient, type ClusterObjects, withCluster } from './client.ts';
import { actorTable, nodeTable, objectTable, statusText } from './tables.ts';
import { CommandOutput as Output } from '../base/command-output.ts';
import type { CommandContext } from '../base/context.ts';
import { findNodeAddress } from './node-address.ts';
import { parseSeconds } from './node-settings.ts';
import { formatAge } from '../base/table.ts';

interface ClusterFlags {
  readonly node?: string;
  readonly json?: boolean;
}

interface EventFlags extends ClusterFlags {
  readonly follow?: boolean;
  readonly from: string;
}

interface LogFlags extends ClusterFlags {
  readonly follow?: boolean;
  readonly lines: string;
}

interface GraceFlags extends ClusterFlags {
  readonly grace: string;
}

/** The work of a command on the cluster; `print` writes a line, or in JSON an object. */
type Work<Flags> = (cluster: ClusterClient, flags: Flags, output: Output, argument: string) => Promise<void>;

const LONGEST_GRACE_SECONDS = 86_400;

export function addClusterCommands(program: Command, context: CommandContext): void {
  const add = <Flags extends ClusterFlags>(usage: string, help: string, work: Work<Flags>): Command => {
    const command = program.command(usage).summary(help).description(sentence(help));
    command.option(
      '--node <address>',
      'HOST:PORT of any node, or the folder of a run (default: BALLAST_NODE)',
    );
    command.option('--json', 'print JSON: one object, or one per line');
    return command.action(async (...given: unknown[]) => {
      const argument = typeof given[0] === 'string' ? given[0] : '';
      const flags = command.opts<Flags>();
      const address = await findNodeAddress(flags.node, process.env, context.cwd);
      const output = new Output(context, flags.json === true);
      await withCluster(address, (cluster) => work(cluster, flags, output, argument));
    });
  };
  add('status', 'how a cluster is, in short', status);
  add('nodes', 'list the nodes of a cluster', nodes);
  add('actors', 'list the actors of a cluster', actors);
  add('objects', 'list the objects that the nodes of a cluster hold', objects);
  add<EventFlags>('events', 'print the events of a cluster or run', events)
    .option('--follow', 'keep printing new events')
    .option('--from <sequence>', 'first event to print', '1');
  add<LogFlags>('logs <actor>', 'print the end of an actor’s log', logs)
    .option('--follow', 'keep printing new lines')
    .option('--lines <n>', 'lines from the end', '100');
  add('kill <actor>', 'kill an actor’s process; its restart policy decides what follows', kill);
  add<GraceFlags>('stop <actor>', 'end an actor', stop).option(
    '--grace <seconds>',
    'time to end cleanly',
    '5',
  );
  add<GraceFlags>('drain <node>', 'empty a node, which then leaves', drain).option(
    '--grace <seconds>',
    'time for its actors to end',
    '30',
  );
}

async function status(cluster: ClusterClient, _flags: ClusterFlags, output: Output): Promise<void> {
  const [allNodes, allActors, held] = [
    await cluster.nodes(),
    await cluster.actors(),
    await cluster.objects(),
  ];
  warnOfSilent(held, output);
  const view = { nodes: allNodes, actors: allActors, objects: held.objects };
  if (output.isJson) output.json(view);
  else output.text(statusText(view, Date.now()));
}

async function nodes(cluster: ClusterClient, _flags: ClusterFlags, output: Output): Promise<void> {
  output.list(await cluster.nodes(), nodeTable);
}

async function actors(cluster: ClusterClient, _flags: ClusterFlags, output: Output): Promise<void> {
  output.list(await cluster.actors(), (items) => actorTable(items, Date.now()));
}

async function objects(cluster: ClusterClient, _flags: ClusterFlags, output: Output): Promise<void> {
  const held = await cluster.objects();
  warnOfSilent(held, output);
  output.list(held.objects, objectTable);
}

async function events(cluster: ClusterClient, flags: EventFlags, output: Output): Promise<void> {
  const from = parseCount('--from', flags.from, 1);
  const last = flags.follow === true ? Infinity : await cluster.events.lastSequence();
  if (from > last) return;
  const { signal } = new AbortController();
  for await (const event of cluster.events.subscribe('>', { fromSequence: from }, signal)) {
    const { sequence, time, topic, payload } = event;
    output.say(`${sequence}  ${time}  ${topic}  ${JSON.stringify(payload)}`, event);
    if (sequence >= last) return;
  }
}

async function logs(cluster: ClusterClient, flags: LogFlags, output: Output, actorId: string): Promise<void> {
  const lastLines = parseCount('--lines', flags.lines, 0);
  await cluster.actor(actorId);
  const { signal } = new AbortController();
  const parts = cluster.node.readLog(actorId, { lastLines, follow: flags.follow === true }, signal);
  for await (const lines of parts) for (const line of lines) output.say(line, { actorId, line });
}

async function kill(
  cluster: ClusterClient,
  _flags: ClusterFlags,
  output: Output,
  actorId: string,
): Promise<void> {
  const { incarnation } = await living(cluster, actorId);
  await cluster.node.kill(actorId);
  output.say(`${actorId}: incarnation ${incarnation} is killed`, { actorId, incarnation, killed: true });
}

async function stop(
  cluster: ClusterClient,
  flags: GraceFlags,
  output: Output,
  actorId: string,
): Promise<void> {
  const graceMs = parseSeconds('--grace', flags.grace, 0, LONGEST_GRACE_SECONDS);
  const { incarnation } = await living(cluster, actorId);
  await cluster.node.stop(actorId, graceMs);
  output.say(`${actorId}: stopped`, { actorId, incarnation, stopped: true });
}

async function drain(cluster: ClusterClient, flags: GraceFlags, output: Output, name: string): Promise<void> {
  const graceMs = parseSeconds('--grace', flags.grace, 0, LONGEST_GRACE_SECONDS);
  const { nodeId, address } = await cluster.drain(name, graceMs);
  output.say(`${nodeId}: drained; it leaves the cluster`, { nodeId, address, drained: true });
}

/** @throws UserError when the actor is unknown or dead. */
async function living(cluster: ClusterClient, actorId: string): Promise<ActorStatus> {
  const actor = await cluster.actor(actorId);
  if (actor.state !== 'dead') return actor;
  const age = formatAge(actor.createdAt, Date.now());
  throw new UserError(`Actor '${actorId}', started ${age} ago, is already dead: ${actor.reason}`);
}

function warnOfSilent({ silent }: ClusterObjects, output: Output): void {
  for (const { nodeId, address } of silent) {
    output.warn(`node ${nodeId} at ${address} does not answer; its objects are not listed`);
  }
}

/** @throws UserError when the flag has no whole number. */
export function parseCount(flag: string, text: string, least: number): number {
  const count = text === '' ? NaN : Number(text);
  if (Number.isSafeInteger(count) && count >= least) return count;
  throw new UserError(`${flag} ${text}: it must be a whole number from ${least}`);
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}
