/** The coordinator of a cluster: executes runs on the cluster's nodes and serves the public API, on its own node. */
import type { Registry } from 'prom-client';
import { ChannelPool } from '../actors/calls/channels.ts';
import type { Node } from '../actors/node/node.ts';
import { ObjectStore } from '../actors/objects/objects.ts';
import { SecurityFiles } from '../actors/security/security-files.ts';
import type { Labels, Resources } from '../actors/status/status.ts';
import { ActorSystem } from '../actors/system/system.ts';
import type { Log } from '../common/log.ts';
import type { ApiTokens } from '../common/tokens.ts';
import type { RunActions } from '../dashboard/server/actions.ts';
import type { RunEvent } from '../report/records.ts';
import { Gate } from './api/access.ts';
import { apiHandlers } from './api/handler.ts';
import { ApiMetrics } from './api/metrics.ts';
import { pageActions } from './api/page-actions.ts';
import type { ShowPath } from './api/resources.ts';
import type { Confine } from './api/run-request.ts';
import { ApiServer } from './api/server.ts';
import { coordinatorService } from './api/service.ts';
import { SynthesisOnDemand } from './api/synthesize.ts';
import type { workerType } from './crew/actor-types.ts';
import { CoordinatorMetrics } from './epoch/run-metrics.ts';
import { Journals } from './runs/journals.ts';
import { EventRetention } from './runs/event-retention.ts';
import { type Periodic, periodically } from './runs/periodically.ts';
import { type EventMirror, executeRun, type ExecutionOptions } from './runs/run-execution.ts';
import { RunManager } from './runs/run-manager.ts';
import { hasEnded, type RunRecord } from './runs/run-record.ts';
import { deleteDueRuns, isLimited, type KeepRuns, RETENTION_PERIOD_MS } from './runs/run-retention.ts';
import { RunStore } from './runs/run-store.ts';
import { watchRuns } from './service-metrics.ts';
import { SharedWorkers } from './crew/shared-workers.ts';
import { WorkerPool } from './crew/worker-pool.ts';

/** How long an ended run's metrics can still be scraped. */
const KEEP_METRICS_MS = 600_000;

export interface CoordinatorOptions {
  /** The node that it lives on. */
  readonly node: Node;
  /** Where its metrics go. */
  readonly registry: Registry;
  readonly log: Log;
  /** Folder of the run folders. */
  readonly runsDir: string;
  /** Runs at once. */
  readonly maxRuns: number;
  readonly workerLabels: Labels;
  readonly workerResources: Resources;
  readonly trainerLabels: Labels;
  /** The actor type to start as a diffusion worker; the real one by default. */
  readonly workerType?: typeof workerType;
  readonly api: { readonly host: string; readonly port: number };
  /** Null lets every caller do everything. */
  readonly tokens: ApiTokens | null;
  readonly confine: Confine;
  readonly showPath: ShowPath;
  /** Where runs also publish their events; null for nowhere. */
  readonly mirror: EventMirror | null;
  /** How long events stay there after a run's end, milliseconds. */
  readonly keepEventsMs: number;
  /** Which runs that have ended stay; all by default. */
  readonly keepRuns?: KeepRuns;
  /** Called with every event of a run, including progress. */
  readonly onRunEvent?: (run: string, event: RunEvent) => void;
}

export interface Coordinator {
  /** host:port of the public API. */
  readonly apiAddress: string;
  /** Actions on runs for the page. */
  readonly actions: RunActions;
  /** Stops the API and the runs, which are taken up again by the next coordinator of the folder. */
  close(): Promise<void>;
}

/** @throws UserError when the folder cannot be used, or the API not be served there. */
export async function startCoordinator(options: CoordinatorOptions): Promise<Coordinator> {
  const { registry, log, mirror, keepEventsMs } = options;
  const security = new SecurityFiles(process.env, { log: null }); // the node reports invalid ones
  const { transport, system, objects } = openRuntime(options, security);
  const metrics = new CoordinatorMetrics(registry);
  const shared = new SharedWorkers(() => metrics.imageSeconds);
  const pool = newWorkerPool(options, system, shared);
  const { runs, journals, dirOf, onDemand } = newRuns(options, { system, objects, log }, shared, metrics);
  const retention = mirror && new EventRetention({ runs, mirror, keepMs: keepEventsMs, log });
  let deleting: Periodic | null = null;
  watchRuns(registry, runs, shared);
  const { confine, showPath, node } = options;
  const methods = apiHandlers({ runs, journals, dirOf, node, onDemand, confine, showPath, log });
  const api = newApi(options, methods, security);
  pool.start();
  const close = async () => {
    await api.stop();
    await Promise.all([runs.stop(), onDemand.stop(), retention?.stop(), deleting?.stop()]);
    await pool.stop();
    await system.close();
    transport.close();
  };
  try {
    await runs.start();
    retention?.start();
    deleting = deleteWhenDue(runs, options);
    const apiAddress = await api.listen(options.api.host, options.api.port);
    return { apiAddress, actions: pageActions(coordinatorService, methods), close };
  } catch (thrown) {
    await close();
    throw thrown;
  }
}

/** Its way to the actors and objects of the cluster. */
function openRuntime({ node, registry, log }: CoordinatorOptions, security: SecurityFiles) {
  const transport = new ChannelPool({ security });
  const system = new ActorSystem({ node, transport, log });
  const owner = `coordinator-${node.nodeId}/1`;
  const objects = new ObjectStore({ owner, nodeAddress: node.address, transport, registry });
  return { transport, system, objects };
}

function newWorkerPool(options: CoordinatorOptions, system: ActorSystem, shared: SharedWorkers): WorkerPool {
  const { log, workerLabels: labels, workerResources: resources, workerType: type } = options;
  return new WorkerPool({ system, shared, log, labels, resources, ...(type === undefined ? {} : { type }) });
}

/** The runs of its folder, and synthesis that gives way to them. */
function newRuns(
  options: CoordinatorOptions,
  runtime: ExecutionOptions['runtime'],
  shared: SharedWorkers,
  metrics: CoordinatorMetrics,
) {
  const { runsDir, maxRuns, trainerLabels, mirror, log } = options;
  const store = new RunStore(runsDir);
  const dirOf = (run: string) => store.dirOf(run);
  const journals = new Journals(dirOf, options.onRunEvent);
  const execution = { runtime, shared, journals, metrics, trainerLabels, dirOf, mirror, log };
  const onDemand = new SynthesisOnDemand(execution);
  const runs = new RunManager({
    ...{ store, journals, maxRuns, log },
    async execute(record, signal) {
      await onDemand.giveWay();
      return executeRun(record, signal, execution);
    },
    onChange: (record) => forgetLater(record, metrics, runs, log),
    onDeleted: (record) => forgetDeleted(record, metrics, mirror, log),
  });
  return { runs, journals, dirOf, onDemand };
}

function newApi(
  { tokens, registry, log }: CoordinatorOptions,
  methods: ReturnType<typeof apiHandlers>,
  security: SecurityFiles,
): ApiServer {
  const metrics = new ApiMetrics(registry);
  const gate = tokens && new Gate(tokens, (name) => metrics.rateLimited(name));
  return new ApiServer({ service: coordinatorService, methods, gate, log, security, metrics });
}

/** Deletes runs that have ended as its options say; null when all stay. */
function deleteWhenDue(runs: RunManager, { keepRuns, log }: CoordinatorOptions): Periodic | null {
  if (keepRuns === undefined || !isLimited(keepRuns)) return null;
  return periodically(RETENTION_PERIOD_MS, (signal) =>
    deleteDueRuns(runs, keepRuns, log, Date.now(), signal),
  );
}

/** Removes what other stores keep of a deleted run. Never rejects. */
async function forgetDeleted(
  { id }: RunRecord,
  metrics: CoordinatorMetrics,
  mirror: EventMirror | null,
  log: Log,
): Promise<void> {
  const forgotten = await Promise.allSettled([metrics.forget(id), mirror?.remove(id)]);
  for (const outcome of forgotten)
    if (outcome.status === 'rejected')
      log.warn('something of a deleted run stays for now', { run: id, error: outcome.reason as unknown });
}

function forgetLater(record: RunRecord, metrics: CoordinatorMetrics, runs: RunManager, log: Log): void {
  if (!hasEnded(record)) return;
  setTimeout(() => {
    const now = runs.get(record.id);
    if (now === undefined || !hasEnded(now)) return;
    metrics.forget(record.id).catch((thrown: unknown) => log.warn('metrics stay', { error: thrown }));
  }, KEEP_METRICS_MS).unref();
}
