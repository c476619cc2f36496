/** What an object store tells Prometheus. */

import { Counter, Gauge, Histogram } from 'prom-client';
import type { Registry } from 'prom-client';
import { CallError } from './call-errors.ts';

export interface StoreUse {
  readonly storedBytes: number;
  readonly storedObjects: number;
  readonly cachedBytes: number;
}

export class ObjectMetrics {
  readonly #hits: Counter;
  readonly #pulledBytes: Counter;
  readonly #servedBytes: Counter;
  readonly #failures: Counter<'code'>;
  readonly #seconds: Histogram;

  constructor(registry: Registry, use: () => StoreUse) {
    const registers = [registry];
    const gauge = (name: string, help: string, read: (use: StoreUse) => number) =>
      new Gauge({
        name,
        help,
        registers,
        collect() {
          this.set(read(use()));
        },
      });
    gauge('ballast_object_store_bytes', 'Bytes put and not yet freed', (now) => now.storedBytes);
    gauge('ballast_object_store_objects', 'Objects put and not yet freed', (now) => now.storedObjects);
    gauge('ballast_object_cache_bytes', 'Bytes kept of pulled objects', (now) => now.cachedBytes);
    this.#hits = new Counter({
      name: 'ballast_object_local_reads_total',
      help: 'Pulls answered by this process itself',
      registers,
    });
    this.#pulledBytes = new Counter({
      name: 'ballast_object_pulled_bytes_total',
      help: 'Bytes pulled from other processes',
      registers,
    });
    this.#servedBytes = new Counter({
      name: 'ballast_object_served_bytes_total',
      help: 'Bytes served to other processes',
      registers,
    });
    this.#failures = new Counter({
      name: 'ballast_object_pull_failures_total',
      help: 'Pulls from a holder that failed, by status',
      labelNames: ['code'],
      registers,
    });
    this.#seconds = new Histogram({
      name: 'ballast_object_pull_seconds',
      help: 'Time of a pull from another process',
      buckets: [0.002, 0.01, 0.05, 0.2, 1, 5, 20],
      registers,
    });
  }

  hit(): void {
    this.#hits.inc();
  }

  served(bytes: number): void {
    this.#servedBytes.inc(bytes);
  }

  /** Runs and records one pull. */
  async time(sizeBytes: number, pull: () => Promise<Uint8Array>): Promise<Uint8Array> {
    const startMs = performance.now();
    try {
      const bytes = await pull();
      this.#pulledBytes.inc(sizeBytes);
      this.#seconds.observe((performance.now() - startMs) / 1000);
      return bytes;
    } catch (thrown) {
      this.#failures.inc({ code: thrown instanceof CallError ? thrown.code : 'UNKNOWN' });
      throw thrown;
    }
  }
}
