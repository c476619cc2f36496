/** Executes one run of the coordinator: with its own trainer, a share of the workers, its folder, its events. */
import { setTimeout as sleep } from 'node:timers/promises';
import { lackingLabels } from '../../actors/cluster/placement.ts';
import type { EventBus } from '../../actors/control/event-bus.ts';
import type { Labels } from '../../actors/status/status.ts';
import { toError, UserError } from '../../common/errors.ts';
import type { Log } from '../../common/log.ts';
import { type CrewRuntime, spawnCrew } from '../crew/crew-node.ts';
import { describeProcess } from '../records/environment.ts';
import { renderReport } from '../records/render-report.ts';
import { createRunEvents } from '../records/run-events.ts';
import { RunFolder } from '../records/run-folder.ts';
import { runLoop, type RunOutcome } from '../epoch/run-loop.ts';
import { type CoordinatorMetrics, RunMetrics } from '../epoch/run-metrics.ts';
import type { SharedWorkers } from '../crew/shared-workers.ts';
import type { Journals } from './journals.ts';
import type { RunRecord } from './run-record.ts';

/** A second place for runs' events, beside their folders. */
export interface EventMirror {
  /** @throws UserError when it cannot be reached */
  open(run: string): Promise<EventBus>;
  /** Takes all events of a run away; none may be there. */
  remove(run: string): Promise<void>;
}

export interface ExecutionOptions {
  readonly runtime: CrewRuntime;
  readonly shared: SharedWorkers;
  readonly journals: Journals;
  readonly metrics: CoordinatorMetrics;
  /** Labels of the nodes that trainers run on; they have the runs' folders and data. */
  readonly trainerLabels: Labels;
  readonly dirOf: (run: string) => string;
  /** Where runs also publish their events (NATS); null for nowhere. */
  readonly mirror: EventMirror | null;
  readonly log: Log;
}

/** Times that a run may break in one epoch. */
const MAX_BREAKS = 5;
/** Wait before it is taken up again; doubles. */
const FIRST_WAIT_MS = 1000;
/** How often a run without a node to train on looks for one. */
const LOOK_MS = 1000;

/** The mirror could not be opened, which is not the run's mistake: its server may be starting or overloaded. */
class MirrorFailure extends UserError {}

/**
 * Executes the run, and repeats it from its last complete epoch after failures that the run did not cause (nodes lost
 * together, a registry or a mirror that was unreachable). @throws UserError for causes that the run's creator can fix;
 * the last error when it fails repeatedly in one epoch.
 */
export async function executeRun(
  record: RunRecord,
  signal: AbortSignal,
  options: ExecutionOptions,
  wait: typeof pause = pause,
): Promise<RunOutcome> {
  const folder = new RunFolder(options.dirOf(record.id));
  for (let breaks = 0; ;) {
    const epoch = await folder.lastEpoch();
    try {
      const report = await folder.readReport();
      if (report) return { status: 'finished', report };
      await trainerNode(options, signal);
      return await options.journals.use(record.id, (journal) => drive(record, folder, journal, signal, options));
    } catch (thrown) {
      const isMistake = thrown instanceof UserError && !(thrown instanceof MirrorFailure);
      if (signal.aborted || isMistake) throw thrown;
      breaks = (await folder.lastEpoch()) > epoch ? 1 : breaks + 1;
      if (breaks > MAX_BREAKS) throw thrown;
      const afterMs = FIRST_WAIT_MS * 2 ** (breaks - 1);
      options.log.warn('a run broke off; it is resumed', { run: record.id, breaks, afterMs, error: thrown });
      await wait(afterMs, signal);
    }
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return sleep(ms, undefined, { signal });
}

async function drive(
  record: RunRecord,
  folder: RunFolder,
  journal: EventBus,
  signal: AbortSignal,
  options: ExecutionOptions,
): Promise<RunOutcome> {
  const { runtime, shared, journals, metrics, trainerLabels } = options;
  const { id, weight } = record;
  const config = { ...record.config, out: folder.dir };
  const log = options.log.with({ run: id });
  const mirror = await openMirror(options.mirror, id);
  const workers = shared.join(id, weight);
  try {
    const place = { prefix: `${id}-`, labels: trainerLabels };
    const crew = await spawnCrew(config, place, { ...runtime, log }, workers);
    try {
      const bus = mirror === null ? journal : mirrored(journal, mirror, log);
      return await runLoop({
        ...{ config, folder, crew, signal, renderReport },
        events: createRunEvents(bus, (event) => journals.tell(id, event), log),
        metrics: new RunMetrics(metrics, id),
        clock: () => performance.now(),
        environment: await describeProcess(),
      });
    } finally {
      await crew.stop();
    }
  } finally {
    workers.leave();
    await mirror?.close();
  }
}

async function openMirror(mirror: EventMirror | null, run: string): Promise<EventBus | null> {
  try {
    return (await mirror?.open(run)) ?? null;
  } catch (thrown) {
    const cause = toError(thrown);
    throw new MirrorFailure(cause.message, { cause });
  }
}

/** Resolves when a node is there that may train. */
async function trainerNode({ runtime, trainerLabels, log }: ExecutionOptions, signal: AbortSignal): Promise<void> {
  for (let isTold = false; ; isTold = true) {
    const nodes = await runtime.system.node.listNodes();
    if (nodes.some(({ state, labels }) => state === 'alive' && lackingLabels(trainerLabels, labels).length === 0)) return;
    if (!isTold) log.warn('no node has the labels that trainers need', { labels: trainerLabels });
    await pause(LOOK_MS, signal);
  }
}

/** The journal's events on a second bus too, whose failures harm no run. */
function mirrored(journal: EventBus, mirror: EventBus, log: Log): EventBus {
  let isTold = false;
  return {
    async publish(topic, payload, options) {
      const sequence = await journal.publish(topic, payload, options);
      mirror.publish(topic, payload, options).catch((thrown: unknown) => {
        if (!isTold) log.warn('events of the run do not reach NATS', { error: thrown });
        isTold = true;
      });
      return sequence;
    },
    subscribe: (filter, options, signal) => journal.subscribe(filter, options, signal),
    lastSequence: () => journal.lastSequence(),
    close: () => journal.close(),
  };
}
