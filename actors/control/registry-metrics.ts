/** Prometheus metrics of a process's use of a registry: operations, leases held, leases lost. */

import { Counter, Gauge, Histogram, type Registry as PrometheusRegistry } from 'prom-client';
import { statusOf } from '../base/call-errors.ts';

const known = new WeakMap<PrometheusRegistry, RegistryMetrics>();

export class RegistryMetrics {
  readonly #operations: Counter<'kind' | 'code'>;
  readonly #seconds: Histogram<'kind'>;
  readonly #held: Gauge;
  readonly #losses: Counter;

  private constructor(registry: PrometheusRegistry) {
    const registers = [registry];
    this.#operations = new Counter({
      name: 'ballast_registry_operations_total',
      help: 'Registry operations by kind and status; renewals of leases are `renew`',
      labelNames: ['kind', 'code'],
      registers,
    });
    this.#seconds = new Histogram({
      name: 'ballast_registry_operation_seconds',
      help: 'Time of a registry operation, failed ones included',
      labelNames: ['kind'],
      buckets: [0.0005, 0.002, 0.01, 0.05, 0.2, 1, 5],
      registers,
    });
    this.#held = new Gauge({
      name: 'ballast_leases_held',
      help: 'Leases that this process holds',
      registers,
    });
    this.#losses = new Counter({
      name: 'ballast_lease_losses_total',
      help: 'Leases that ended without being released',
      registers,
    });
  }

  /** The metrics of a Prometheus registry, shared by all its users. */
  static of(registry: PrometheusRegistry): RegistryMetrics {
    const metrics = known.get(registry) ?? new RegistryMetrics(registry);
    known.set(registry, metrics);
    return metrics;
  }

  /** Runs and records one operation. */
  async time<T>(kind: string, operation: () => Promise<T>): Promise<T> {
    const startMs = performance.now();
    let code: string = 'OK';
    try {
      return await operation();
    } catch (thrown) {
      code = statusOf(thrown);
      throw thrown;
    } finally {
      this.#operations.inc({ kind, code });
      this.#seconds.observe({ kind }, (performance.now() - startMs) / 1000);
    }
  }

  granted(): void {
    this.#held.inc();
  }

  ended(wasReleased: boolean): void {
    this.#held.dec();
    if (!wasReleased) this.#losses.inc();
  }
}
