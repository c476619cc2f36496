/** Prometheus metrics of `ballast controller`: its objects, and its own work on them. */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { Step } from './next-step.ts';
import { PHASES, type Phase } from './synthesis-run.ts';

const LOOK_BUCKETS_S = [0.01, 0.05, 0.1, 0.5, 1, 5, 20, 60];

export class ControllerMetrics {
  readonly #registers: readonly Registry[];
  readonly #steps: Counter<'step'>;
  readonly #failures: Counter;
  readonly #seconds: Histogram;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#registers = registers;
    this.#steps = new Counter({
      name: 'ballast_controller_steps_total',
      help: 'Steps taken for SynthesisRun objects',
      labelNames: ['step'],
      registers,
    });
    this.#failures = new Counter({
      name: 'ballast_controller_failures_total',
      help: 'Looks at an object that failed, and are repeated later',
      registers,
    });
    this.#seconds = new Histogram({
      name: 'ballast_controller_look_seconds',
      help: 'Time of a look at an object, with the step that it took',
      buckets: LOOK_BUCKETS_S,
      registers,
    });
  }

  /** Counts objects whenever somebody asks: their phases, undefined for one without a status. */
  watch(phases: () => readonly (Phase | undefined)[]): void {
    new Gauge({
      name: 'ballast_controller_objects',
      help: 'SynthesisRun objects, by phase',
      labelNames: ['state'],
      registers: [...this.#registers],
      collect() {
        const now = phases().map((phase) => phase ?? 'Pending');
        for (const state of PHASES) this.set({ state }, now.filter((phase) => phase === state).length);
      },
    });
  }

  stepTaken(step: Step): void {
    this.#steps.inc({ step });
  }

  lookFailed(): void {
    this.#failures.inc();
  }

  looked(seconds: number): void {
    this.#seconds.observe(seconds);
  }
}
