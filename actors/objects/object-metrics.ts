/** Prometheus metrics of object stores: a node's contents and transfers, and a process's puts and gets. */

import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { CallError } from '../base/call-errors.ts';

export interface Amount {
  readonly bytes: number;
  readonly count: number;
}

/** The source of an object that a process got. */
export type GetSource = 'memory' | 'shm' | 'spill' | 'remote';

const SECONDS_BUCKETS = [0.002, 0.01, 0.05, 0.2, 1, 5, 20];

function codeOf(thrown: unknown): string {
  return thrown instanceof CallError ? thrown.code : 'UNKNOWN';
}

function countersOf(registry: Registry) {
  return <Label extends string>(name: string, help: string, labelNames: Label[] = []) =>
    new Counter({ name, help, labelNames, registers: [registry] });
}

/** The contents of a node's store by kind, and its limit in memory. */
function gaugeStore(
  registry: Registry,
  use: () => Readonly<Record<string, Amount>>,
  capacityBytes: number,
): void {
  const registers = [registry];
  const gauge = (name: string, help: string, part: keyof Amount) =>
    new Gauge({
      name,
      help,
      labelNames: ['kind'],
      registers,
      collect() {
        for (const [kind, amount] of Object.entries(use())) this.set({ kind }, amount[part]);
      },
    });
  gauge('ballast_object_store_bytes', 'Bytes in the store of the node, by kind', 'bytes');
  gauge('ballast_object_store_objects', 'Objects in the store of the node, by kind', 'count');
  new Gauge({
    name: 'ballast_object_store_capacity_bytes',
    help: 'Most bytes that the store of the node holds in memory: primary, secondary and reserved together',
    registers,
  }).set(capacityBytes);
}

/** Metrics of a node's store. */
export class NodeObjectMetrics {
  readonly #transferBytes: Counter<'direction'>;
  readonly #transferSeconds: Histogram;
  readonly #digestSeconds: Counter;
  readonly #evictions: Counter;
  readonly #spills: Counter;
  readonly #failures: Counter<'code'>;

  /** `use` is the contents of the store by kind; `capacityBytes` its limit in memory. */
  constructor(registry: Registry, use: () => Readonly<Record<string, Amount>>, capacityBytes: number) {
    gaugeStore(registry, use, capacityBytes);
    const counter = countersOf(registry);
    this.#transferBytes = counter(
      'ballast_object_transfer_bytes_total',
      'Bytes between nodes, sent or received',
      ['direction'],
    );
    this.#transferSeconds = new Histogram({
      name: 'ballast_object_transfer_seconds',
      help: 'Time to receive an object from other nodes, verified',
      buckets: SECONDS_BUCKETS,
      registers: [registry],
    });
    this.#digestSeconds = counter(
      'ballast_object_digest_seconds_total',
      'Time of verifying received objects',
    );
    this.#evictions = counter('ballast_object_evictions_total', 'Secondary copies dropped to make room');
    this.#spills = counter('ballast_object_spills_total', 'Objects moved to disk to make room');
    this.#failures = counter(
      'ballast_object_transfer_failures_total',
      'Attempts to receive an object that broke off, by status',
      ['code'],
    );
  }

  sent(bytes: number): void {
    this.#transferBytes.inc({ direction: 'sent' }, bytes);
  }

  received(bytes: number, seconds: number, digestSeconds: number): void {
    this.#transferBytes.inc({ direction: 'received' }, bytes);
    this.#transferSeconds.observe(seconds);
    this.#digestSeconds.inc(digestSeconds);
  }

  evicted(): void {
    this.#evictions.inc();
  }

  spilled(): void {
    this.#spills.inc();
  }

  failed(code: string): void {
    this.#failures.inc({ code });
  }
}

/** Metrics of one process's use of the store. */
export class ProcessObjectMetrics {
  readonly #puts: Counter;
  readonly #putBytes: Counter;
  readonly #gets: Counter<'source'>;
  readonly #getBytes: Counter<'source'>;
  readonly #failures: Counter<'operation' | 'code'>;

  constructor(registry: Registry) {
    const counter = countersOf(registry);
    this.#puts = counter('ballast_object_puts_total', 'Objects that this process put');
    this.#putBytes = counter('ballast_object_put_bytes_total', 'Bytes that this process put');
    this.#gets = counter('ballast_object_gets_total', 'Objects that this process got, by where they were', [
      'source',
    ]);
    this.#getBytes = counter(
      'ballast_object_get_bytes_total',
      'Bytes that this process got, by where they were',
      ['source'],
    );
    this.#failures = counter(
      'ballast_object_failures_total',
      'Failed uses of the store, by what and status',
      ['operation', 'code'],
    );
    // An alert computes its increase, so the series must exist before the first failure.
    for (const operation of ['put', 'get']) this.#failures.inc({ operation, code: 'RESOURCE_EXHAUSTED' }, 0);
  }

  put(bytes: number): void {
    this.#puts.inc();
    this.#putBytes.inc(bytes);
  }

  got(source: GetSource, bytes: number): void {
    this.#gets.inc({ source });
    this.#getBytes.inc({ source }, bytes);
  }

  failed(operation: 'put' | 'get', thrown: unknown): void {
    this.#failures.inc({ operation, code: codeOf(thrown) });
  }
}
