/** The classifier trainer's metrics. */
import { Counter, Gauge, Histogram } from 'prom-client';
import type { Registry } from 'prom-client';
import { GraphMetrics } from '../graph-metrics.ts';

export class TrainerMetrics {
  readonly #steps: Counter;
  readonly #loss: Gauge;
  readonly #epochSeconds: Histogram;
  readonly #images: Counter;
  readonly #weights: Gauge;
  readonly graphs: GraphMetrics;

  constructor(registry: Registry) {
    const registers = [registry];
    this.graphs = new GraphMetrics(registry);
    this.#steps = new Counter({
      name: 'ballast_trainer_steps_total',
      help: 'Optimiser steps done.',
      registers,
    });
    this.#loss = new Gauge({
      name: 'ballast_trainer_loss',
      help: 'Loss of the last optimiser step.',
      registers,
    });
    this.#epochSeconds = new Histogram({
      name: 'ballast_trainer_epoch_seconds',
      help: 'Time of one training epoch, seconds.',
      buckets: [1, 5, 10, 30, 60, 120, 300, 600, 1800],
      registers,
    });
    this.#images = new Counter({
      name: 'ballast_trainer_synthetic_images_total',
      help: 'Synthetic images taken from workers.',
      registers,
    });
    this.#weights = new Gauge({
      name: 'ballast_trainer_weights_version',
      help: 'Version (optimiser steps) of the weights published last.',
      registers,
    });
  }

  stepDone(loss: number): void {
    this.#steps.inc();
    this.#loss.set(loss);
  }

  epochDone(seconds: number): void {
    this.#epochSeconds.observe(seconds);
  }

  shardTaken(images: number): void {
    this.#images.inc(images);
  }

  weightsPublished(version: number): void {
    this.#weights.set(version);
  }
}
