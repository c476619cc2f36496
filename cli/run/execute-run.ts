/**
 * Executes one run: a node in this process, a coordinator on it, its events as they arrive. Leaves no process behind.
 */
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { ActorError } from '../../actors/base/call-errors.ts';
import { ChannelPool } from '../../actors/calls/channels.ts';
import { createRegistry } from '../../actors/calls/metrics.ts';
import { type Node, startNode } from '../../actors/node/node.ts';
import { ActorSystem } from '../../actors/system/system.ts';
import type { SpawnOptions } from '../../actors/system/actor-type.ts';
import { toError, UserError } from '../../common/errors.ts';
import { ensureDirectory } from '../../common/files.ts';
import { createLog, type Log } from '../../common/log.ts';
import type { RunConfig } from '../../config/run-config.ts';
import { coordinatorType } from '../../coordinator/crew/actor-types.ts';
import type { CrewPlace } from '../../coordinator/crew/crew-node.ts';
import { lastMessage } from '../../coordinator/crew/actor-link.ts';
import { RunFolder } from '../../coordinator/records/run-folder.ts';
import type { RunEvent, RunReport } from '../../report/records.ts';
import { type ControlPlane, openControlPlane } from '../cluster/control-plane.ts';
import { RunFailed } from '../base/failure.ts';
import type { JoinTarget } from '../cluster/node-settings.ts';
import { removeNodeFile, writeNodeFile } from '../cluster/node-file.ts';
import { describeNatsEvents, openRunBus, runId } from './events-bus.ts';
import { lockRunFolder } from './lock.ts';

export interface ExecuteOptions {
  /** Its `out` is the run folder. */
  readonly config: RunConfig;
  /** Continue what the folder holds. */
  readonly resume: boolean;
  readonly natsUrl: string | null;
  /** The cluster whose nodes also make images; null for none. */
  readonly cluster?: ClusterChoice | null;
  /** Stops the run cleanly. */
  readonly signal: AbortSignal;
  readonly onEvent: (event: RunEvent) => void;
  /** Called with the node while it runs (for /metrics), then with null. */
  readonly onNode?: (node: Node | null) => void;
  /** Called with the place of the events on NATS, once it exists. */
  readonly onNats?: (line: string) => void;
}

/** The cluster that a run's node joins, and where others reach it. */
export interface ClusterChoice {
  readonly join: JoinTarget;
  readonly host: string;
}

export type RunEnd =
  | { readonly status: 'finished'; readonly report: RunReport }
  | { readonly status: 'cancelled'; readonly epoch: number };

const COORDINATOR_ID = 'coordinator';
/** Times that a dead coordinator's run is taken up again. */
const MAX_RESUMES = 3;
const READY_DEADLINE_MS = 60_000;
/** Milliseconds between an actor's signs of life, for tests that do not want to wait long for a silent one's end. */
const HEARTBEAT_KEY = 'BALLAST_HEARTBEAT_MS';

/**
 * Resolves when the run is finished, or cancelled by the signal. Throws UserError for causes that the user can fix, and
 * RunFailed with the place of the logs for all others.
 */
export async function executeRun(options: ExecuteOptions): Promise<RunEnd> {
  const runDir = options.config.out;
  const logDir = join(runDir, 'logs');
  await ensureDirectory(logDir);
  const unlock = await lockRunFolder(runDir);
  try {
    return await executeLocked(options, logDir);
  } finally {
    await unlock();
  }
}

async function executeLocked(options: ExecuteOptions, logDir: string): Promise<RunEnd> {
  const runDir = options.config.out;
  const log = createLog({ write: fileWriter(join(logDir, 'node.log')), fields: { process: 'node' } });
  const metrics = createRegistry({ process: 'node' });
  const { natsUrl, resume } = options;
  const bus = await openRunBus({ runDir, natsUrl, metrics, resume });
  if (natsUrl !== null) options.onNats?.(describeNatsEvents(runDir));
  const pool = new ChannelPool();
  let node: Node | null = null;
  let controlPlane: ControlPlane | null = null;
  try {
    const heartbeatMs = Number(process.env[HEARTBEAT_KEY]) || undefined;
    if (options.cluster)
      controlPlane = await openControlPlane({ join: options.cluster.join, cluster: 'default', metrics });
    const membership = membershipOf(options, controlPlane);
    node = await startNode({ runDir, log, events: bus, metrics, heartbeatMs, ...membership });
    await writeNodeFile(runDir, node.address);
    options.onNode?.(node);
    const system = new ActorSystem({ node, transport: pool, log });
    try {
      return await drive(options, system, log);
    } finally {
      await system.close();
    }
  } catch (thrown) {
    if (options.signal.aborted) return await cancelled(options);
    if (thrown instanceof UserError) throw thrown;
    log.error('the run failed', { error: thrown });
    throw new RunFailed(toError(thrown).message, logDir, { cause: thrown });
  } finally {
    options.onNode?.(null);
    await removeNodeFile(runDir);
    await node?.close();
    pool.close();
    await controlPlane?.close();
    await bus.close();
  }
}

/** Options of a node that joins the cluster, if there is one. */
function membershipOf({ cluster, config }: ExecuteOptions, controlPlane: ControlPlane | null) {
  if (!controlPlane || !cluster) return {};
  return { cluster: controlPlane.registry, host: cluster.host, labels: { run: runId(config.out) } };
}

/** Calls Run, and again with `resume` when the coordinator's process dies under it. */
async function drive(options: ExecuteOptions, system: ActorSystem, log: Log): Promise<RunEnd> {
  const { config, signal, onEvent } = options;
  const folder = new RunFolder(config.out);
  const { actorId, spawning } = coordinatorSpawn(options);
  const coordinator = await system.spawn(coordinatorType, { actorId, ...spawning });
  for (let attempt = 0, resume = options.resume; ; attempt++) {
    try {
      await system.ready(actorId, { signal, deadlineMs: READY_DEADLINE_MS });
      const request = { configJson: JSON.stringify(config), runDir: config.out, resume };
      let report: RunReport | null = null;
      for await (const { eventJson } of coordinator.drive(request, { signal, deadlineMs: Infinity })) {
        const event = JSON.parse(eventJson) as RunEvent;
        if (event.type === 'finished') report = event.report;
        onEvent(event);
      }
      if (report) return { status: 'finished', report };
      throw new Error('the coordinator ended the run without a report');
    } catch (thrown) {
      if (signal.aborted || !isLost(thrown) || attempt >= MAX_RESUMES) throw mistakeOf(thrown) ?? thrown;
      log.warn('the coordinator was lost; resuming the run', { error: thrown });
      onEvent({ type: 'actor', actor: actorId, state: 'restarting', reason: thrown.message });
      resume ||= await folder.holdsRun();
    }
  }
}

/** Alone, its actors have plain names; in a cluster, names of the run's own, and the run's node. */
function coordinatorSpawn({ cluster, config }: ExecuteOptions): { actorId: string; spawning: SpawnOptions } {
  if (!cluster) return { actorId: COORDINATOR_ID, spawning: {} };
  const run = runId(config.out);
  const args: CrewPlace = { prefix: `${run}-`, labels: { run } };
  return { actorId: `${run}-${COORDINATOR_ID}`, spawning: { args, labels: args.labels } };
}

async function cancelled({ config, onEvent }: ExecuteOptions): Promise<RunEnd> {
  const folder = new RunFolder(config.out);
  if (!(await folder.holdsRun())) return { status: 'cancelled', epoch: 0 };
  const epoch = await folder.lastEpoch();
  onEvent({ type: 'cancelled', epoch: Math.min(epoch + 1, config.training.epochs) }); // the one in progress
  return { status: 'cancelled', epoch };
}

/**
 * Whether the run can be taken up again. Driving it has no deadline, so a deadline that passed is one of the
 * coordinator's own calls: to a machine that is cut off.
 */
function isLost(thrown: unknown): thrown is ActorError {
  return thrown instanceof ActorError && (thrown.retryable || thrown.code === 'DEADLINE_EXCEEDED');
}

/** The user's mistake that a dead process logged last, if it did. */
function mistakeOf(thrown: unknown): UserError | null {
  if (!(thrown instanceof ActorError) || thrown.retryable) return null;
  const message = /cannot work with its settings/.test(thrown.message)
    ? lastMessage(thrown.lastLogLines)
    : null;
  return message === null ? null : new UserError(message, { cause: thrown });
}

function fileWriter(path: string): (line: string) => void {
  return (line) => {
    try {
      appendFileSync(path, line);
    } catch {
      // A log that cannot be written must not end the run.
    }
  };
}
