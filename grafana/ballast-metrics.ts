/** Every metric that Ballast's code can export, by the processes that export it, read from the code's own registrations. */
import { Registry } from 'prom-client';
import { EventMetrics } from '../actors/control/event-metrics.ts';
import { CallMetrics, createRegistry, watchMailboxes } from '../actors/calls/metrics.ts';
import { countGoneNodes, type MeasuredNode, watchNodeMetrics } from '../actors/node/node-metrics.ts';
import { NodeObjectMetrics, ProcessObjectMetrics } from '../actors/objects/object-metrics.ts';
import { RegistryMetrics } from '../actors/control/registry-metrics.ts';
import type { NodeStatus } from '../actors/status/status.ts';
import { ControllerMetrics } from '../controller/metrics.ts';
import { ApiMetrics } from '../coordinator/api/metrics.ts';
import { CoordinatorMetrics } from '../coordinator/epoch/run-metrics.ts';
import { watchRuns } from '../coordinator/service-metrics.ts';
import { TrainerMetrics } from '../services/classifier-trainer/metrics.ts';
import { WorkerMetrics } from '../services/diffusion-worker/metrics.ts';

export interface Metric {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram' | 'summary';
  readonly help: string;
  readonly labels: readonly string[];
}

export type Exporter = 'process' | 'node' | 'run' | 'coordinator' | 'controller' | 'trainer' | 'worker';

const NOBODY: MeasuredNode = {
  ownStatus: { total: {}, free: {} } as NodeStatus,
  list: () => Promise.resolve([]),
  listNodes: () => Promise.resolve([]),
  // oxlint-disable-next-line typescript/require-await -- stands for a stream
  async *watch() {
    yield* [];
  },
};

const REGISTER: Readonly<Record<Exporter, (registry: Registry) => void>> = {
  process(registry) {
    new CallMetrics(registry);
    watchMailboxes(registry, () => []);
    new ProcessObjectMetrics(registry);
  },
  node(registry) {
    new NodeObjectMetrics(registry, () => ({}), 0);
    RegistryMetrics.of(registry);
    EventMetrics.of(registry);
    countGoneNodes(registry);
    watchNodeMetrics(registry, NOBODY, {})();
  },
  run: (registry) => void new CoordinatorMetrics(registry),
  coordinator(registry) {
    watchRuns(registry, { list: () => [] }, { count: () => ({ alive: 0, draining: 0, starting: 0 }) });
    new ApiMetrics(registry);
  },
  controller: (registry) => new ControllerMetrics(registry).watch(() => []),
  trainer: (registry) => void new TrainerMetrics(registry),
  worker: (registry) => void new WorkerMetrics(registry),
};

/** Metrics by exporter: of every process of the runtime, a node, runs, `ballast coordinator`, `ballast controller`, a trainer, a diffusion worker. */
export function ballastMetrics(): ReadonlyMap<Exporter, readonly Metric[]> {
  const exporters = Object.entries(REGISTER) as [Exporter, (registry: Registry) => void][];
  return new Map(
    exporters.map(([exporter, register]) => {
      const registry = new Registry();
      register(registry);
      return [exporter, metricsIn(registry)];
    }),
  );
}

/** Metrics that prom-client adds for the process itself: `process_…` and `nodejs_…`. */
export function processMetrics(): readonly Metric[] {
  const registry = createRegistry();
  const metrics = metricsIn(registry);
  registry.clear();
  return metrics;
}

function metricsIn(registry: Registry): Metric[] {
  return registry.getMetricsAsArray().map((metric) => {
    // prom-client keeps these in the object, but declares only some of them in its types.
    const { name, type, help, labelNames } = metric as unknown as Metric & { readonly labelNames: string[] };
    return { name, type, help, labels: labelNames };
  });
}
