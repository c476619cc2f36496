/** Prometheus metrics of `ballast coordinator`: its runs and its workers. */
import { Gauge, type Registry } from 'prom-client';
import type { RunManager } from './runs/run-manager.ts';
import { RUN_STATES } from './runs/run-record.ts';
import type { SharedWorkers } from './crew/shared-workers.ts';

/** Counts runs and workers at each scrape. */
export function watchRuns(
  registry: Registry,
  runs: Pick<RunManager, 'list'>,
  shared: Pick<SharedWorkers, 'count'>,
): void {
  const registers = [registry];
  new Gauge({
    name: 'ballast_runs',
    help: 'Runs that the coordinator knows, by state',
    labelNames: ['state'],
    registers,
    collect() {
      const states = runs.list().map(({ state }) => state);
      for (const state of RUN_STATES) this.set({ state }, states.filter((one) => one === state).length);
    },
  });
  new Gauge({
    name: 'ballast_synthesis_workers',
    help: 'Diffusion workers of the pool, by state',
    labelNames: ['state'],
    registers,
    collect() {
      for (const [state, count] of Object.entries(shared.count())) this.set({ state }, count);
    },
  });
}
