/** The diffusion worker's metrics. */
import { Counter, Gauge, Histogram } from 'prom-client';
import type { Registry } from 'prom-client';
import { GraphMetrics } from '../graph-metrics.ts';

export class WorkerMetrics {
  readonly #images: Counter;
  readonly #seconds: Histogram;
  readonly #queue: Gauge;
  readonly #weights: Gauge;
  readonly graphs: GraphMetrics;

  constructor(registry: Registry) {
    const registers = [registry];
    this.graphs = new GraphMetrics(registry);
    this.#images = new Counter({
      name: 'ballast_worker_images_total',
      help: 'Images made by this worker.',
      registers,
    });
    this.#seconds = new Histogram({
      name: 'ballast_worker_shard_seconds',
      help: 'Compute time of one shard, seconds.',
      buckets: [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120],
      registers,
    });
    this.#queue = new Gauge({
      name: 'ballast_worker_queue_depth',
      help: 'Shards that this worker has accepted and not finished.',
      registers,
    });
    this.#weights = new Gauge({
      name: 'ballast_worker_weights_version',
      help: 'Version (optimiser steps) of the classifier weights that guided the last shard.',
      registers,
    });
  }

  queued(change: 1 | -1): void {
    this.#queue.inc(change);
  }

  shardMade(images: number, seconds: number, weightsVersion: number): void {
    this.#images.inc(images);
    this.#seconds.observe(seconds);
    this.#weights.set(weightsVersion);
  }
}
