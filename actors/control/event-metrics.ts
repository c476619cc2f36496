/** Prometheus metrics of a process's event buses: failed publications, and the lag of subscribers. */

import { Counter, Gauge, type Registry } from 'prom-client';
import { statusOf } from '../base/call-errors.ts';

/** The lag of a subscription: the number of stored events still to be delivered, computed when metrics are read. */
export interface LagSource {
  readonly filter: string;
  readonly lag: () => Promise<number> | number;
}

type BusName = 'embedded' | 'nats';

const known = new WeakMap<Registry, EventMetrics>();

export class EventMetrics {
  readonly #failures: Counter<'code'>;
  readonly #buses = new Map<Set<LagSource>, BusName>();

  private constructor(registry: Registry) {
    this.#failures = new Counter({
      name: 'ballast_event_publish_failures_total',
      help: 'Events that could not be published, by status',
      labelNames: ['code'],
      registers: [registry],
    });
    this.#failures.inc({ code: 'UNAVAILABLE' }, 0); // an alert computes its increase, so the series must exist before the first failure
    const readLags = () => this.#readLags();
    new Gauge({
      name: 'ballast_event_lag',
      help: 'Stored events that a subscription has yet to be given; the largest of each bus and filter',
      labelNames: ['bus', 'filter'],
      registers: [registry],
      async collect() {
        const lags = await readLags();
        this.reset();
        for (const { bus, filter, lag } of lags) this.set({ bus, filter }, lag);
      },
    });
  }

  /** The metrics of a Prometheus registry, shared by all its buses. */
  static of(registry: Registry): EventMetrics {
    const metrics = known.get(registry) ?? new EventMetrics(registry);
    known.set(registry, metrics);
    return metrics;
  }

  /** Records a bus whose subscriptions are listed in `lags`. */
  add(bus: BusName, lags: Set<LagSource>): void {
    this.#buses.set(lags, bus);
  }

  drop(lags: Set<LagSource>): void {
    this.#buses.delete(lags);
  }

  /** Returns the same promise; counts its rejection. */
  async countFailure<T>(publishing: Promise<T>): Promise<T> {
    try {
      return await publishing;
    } catch (thrown) {
      this.#failures.inc({ code: statusOf(thrown) });
      throw thrown;
    }
  }

  /** Sorted, so that of several subscriptions with one filter the largest lag is set last. */
  async #readLags(): Promise<{ bus: BusName; filter: string; lag: number }[]> {
    const asked = [...this.#buses].flatMap(([lags, bus]) =>
      [...lags].map(async ({ filter, lag }) => ({ bus, filter, lag: await lag() })),
    );
    const answers = (await Promise.allSettled(asked)).filter((answer) => answer.status === 'fulfilled');
    return answers.map(({ value }) => value).sort((a, b) => a.lag - b.lag);
  }
}
