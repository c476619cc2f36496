/** What the coordinator tells Prometheus about a run. Every name begins with `ballast_`. */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { countByState, type Schedule } from './scheduler.ts';

const SYNTHESIS_BUCKETS_S = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60, 120, 300];

export class RunMetrics {
  readonly #classAccuracy: Gauge<'class'>;
  readonly #classQuota: Gauge<'class'>;
  readonly #shards: Gauge<'state'>;
  readonly #queueDepth: Gauge;
  readonly #synthesisSeconds: Histogram;
  readonly #images: Counter;
  readonly #redone: Counter;
  readonly #weightsVersion: Gauge;
  readonly #staleness: Gauge;
  readonly #epoch: Gauge;
  readonly #validation: Gauge;

  constructor(registry: Registry) {
    const registers = [registry];
    const gauge = (name: string, help: string) => new Gauge({ name, help, registers });
    const byClass = (name: string, help: string) =>
      new Gauge({ name, help, labelNames: ['class'] as const, registers });
    this.#classAccuracy = byClass('ballast_class_accuracy', 'Accuracy that adaptive sampling read, by class');
    this.#classQuota = byClass('ballast_class_quota', 'Synthetic images asked for this epoch, by class');
    this.#shards = new Gauge({
      name: 'ballast_shards',
      help: 'Shards of this epoch, by state',
      labelNames: ['state'] as const,
      registers,
    });
    this.#queueDepth = gauge('ballast_queue_depth', 'Shards that wait for a worker');
    this.#synthesisSeconds = new Histogram({
      name: 'ballast_synthesis_seconds',
      help: 'Compute time of a shard',
      buckets: SYNTHESIS_BUCKETS_S,
      registers,
    });
    this.#images = new Counter({
      name: 'ballast_images_total',
      help: 'Synthetic images that the trainer holds or held',
      registers,
    });
    this.#redone = new Counter({
      name: 'ballast_shards_redone_total',
      help: 'Shards that had to be made again',
      registers,
    });
    this.#weightsVersion = gauge('ballast_weights_version', 'Optimiser steps behind the weights that guide');
    this.#staleness = gauge(
      'ballast_weights_staleness',
      'Optimiser steps by which the guiding weights lag the trainer',
    );
    this.#epoch = gauge('ballast_epoch', 'Epoch in progress, from 1');
    this.#validation = gauge(
      'ballast_validation_balanced_accuracy',
      'Balanced accuracy on validation images',
    );
  }

  epochBegun(epoch: number): void {
    this.#epoch.set(epoch);
  }

  quotaDecided(classes: readonly string[], accuracy: readonly number[], quota: readonly number[]): void {
    classes.forEach((name, c) => {
      this.#classAccuracy.set({ class: name }, accuracy[c]!);
      this.#classQuota.set({ class: name }, quota[c]!);
    });
  }

  weightsPublished(version: number): void {
    this.#weightsVersion.set(version);
    this.#staleness.set(0);
  }

  epochTrained(step: number, guidedBy: number | null): void {
    if (guidedBy !== null) this.#staleness.set(step - guidedBy);
  }

  scheduleChanged(schedule: Schedule): void {
    const counts = countByState(schedule);
    for (const [state, count] of Object.entries(counts)) this.#shards.set({ state }, count);
    this.#queueDepth.set(counts.pending);
  }

  shardMade(seconds: number): void {
    this.#synthesisSeconds.observe(seconds);
  }

  shardCommitted(images: number): void {
    this.#images.inc(images);
  }

  shardsRedone(count: number): void {
    if (count > 0) this.#redone.inc(count);
  }

  validated(balancedAccuracy: number): void {
    this.#validation.set(balancedAccuracy);
  }
}
