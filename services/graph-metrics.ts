/**
 * Metrics of compiled graphs, the same for every service that computes: their number, and the seconds until they could
 * run.
 */
import { Counter } from 'prom-client';
import type { Registry } from 'prom-client';
import type { GraphTotals } from '../tensor/graph-totals.ts';

export class GraphMetrics {
  readonly #graphs: Counter<'source'>;
  readonly #seconds: Counter<'source'>;
  #counted: GraphTotals = { compiled: 0, compileSeconds: 0, loaded: 0, loadSeconds: 0 };

  constructor(registry: Registry) {
    const common = { labelNames: ['source'] as const, registers: [registry] };
    this.#graphs = new Counter({
      name: 'ballast_graphs_total',
      help: 'Graphs made ready: compiled, or read from the cache on disk.',
      ...common,
    });
    this.#seconds = new Counter({
      name: 'ballast_graph_seconds_total',
      help: 'Time until graphs were ready, seconds.',
      ...common,
    });
    this.update(this.#counted); // both sources exist from the start, as zeros
  }

  /** Adds the compute thread's counts since its start. */
  update(totals: GraphTotals): void {
    const before = this.#counted;
    this.#graphs.inc({ source: 'compiled' }, totals.compiled - before.compiled);
    this.#graphs.inc({ source: 'cache' }, totals.loaded - before.loaded);
    this.#seconds.inc({ source: 'compiled' }, totals.compileSeconds - before.compileSeconds);
    this.#seconds.inc({ source: 'cache' }, totals.loadSeconds - before.loadSeconds);
    this.#counted = totals;
  }
}
