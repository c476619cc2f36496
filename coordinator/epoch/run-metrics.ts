/** The coordinator's Prometheus metrics of its runs. Every name begins with `ballast_`, every series names its run. */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { EpochRecord } from '../../report/records.ts';
import { countByState, type Schedule } from './scheduler.ts';

const SYNTHESIS_BUCKETS_S = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60, 120, 300];
/** Worker-seconds that an image is taken to need before the first was made. */
const FIRST_IMAGE_SECONDS = 0.5;
/** Share of the newest shard in the moving average. */
const SMOOTHING = 0.2;

/** Name, help, and the label beside `run`, where there is one. */
type Declared = readonly [name: string, help: string, label?: string];

const GAUGES = {
  classAccuracy: ['ballast_class_accuracy', 'Accuracy that adaptive sampling read, by class', 'class'],
  classQuota: ['ballast_class_quota', 'Synthetic images asked for this epoch, by class', 'class'],
  classFidelity: [
    'ballast_class_fidelity',
    'Share of the last epoch’s synthetic images that the judge gave their class, by class',
    'class',
  ],
  classRecall: [
    'ballast_class_validation_recall',
    'Recall on validation images after the last epoch, by class',
    'class',
  ],
  shards: ['ballast_shards', 'Shards of this epoch, by state', 'state'],
  phaseSeconds: ['ballast_epoch_phase_seconds', 'Seconds of the last epoch’s phases', 'phase'],
  queueDepth: ['ballast_queue_depth', 'Shards that wait for a worker'],
  backlogSeconds: [
    'ballast_synthesis_backlog_seconds',
    'Worker-seconds of synthesis that wait or are being made',
  ],
  weightsVersion: ['ballast_weights_version', 'Optimiser steps behind the weights that guide'],
  staleness: ['ballast_weights_staleness', 'Optimiser steps by which the guiding weights lag the trainer'],
  epoch: ['ballast_epoch', 'Epoch in progress, from 1'],
  epochs: ['ballast_epochs', 'Epochs in all'],
  validation: ['ballast_validation_balanced_accuracy', 'Balanced accuracy on validation images'],
} as const satisfies Record<string, Declared>;

type LabelOf<Entry> = Entry extends readonly [string, string, infer Label extends string] ? Label : never;
type Gauges = { readonly [Key in keyof typeof GAUGES]: Gauge<'run' | LabelOf<(typeof GAUGES)[Key]>> };

function gaugesOf(registry: Registry): Gauges {
  const made = Object.entries<Declared>(GAUGES).map(([key, [name, help, ...labels]]) => {
    const labelNames = ['run', ...labels.filter((label) => label !== undefined)];
    return [key, new Gauge({ name, help, labelNames, registers: [registry] })];
  });
  return Object.fromEntries(made) as Gauges;
}

/** The metrics of all runs of a process: made once for its registry. */
export class CoordinatorMetrics {
  readonly gauges: Gauges;
  readonly synthesisSeconds: Histogram<'run'>;
  readonly images: Counter<'run'>;
  readonly redone: Counter<'run'>;
  readonly #imageSecondsGauge: Gauge;
  #imageSeconds: number | null = null;

  constructor(registry: Registry) {
    const options = { labelNames: ['run'] as const, registers: [registry] };
    this.gauges = gaugesOf(registry);
    this.synthesisSeconds = new Histogram({
      name: 'ballast_synthesis_seconds',
      help: 'Compute time of a shard',
      buckets: SYNTHESIS_BUCKETS_S,
      ...options,
    });
    this.images = new Counter({
      name: 'ballast_images_total',
      help: 'Synthetic images that the trainer holds or held',
      ...options,
    });
    this.redone = new Counter({
      name: 'ballast_shards_redone_total',
      help: 'Shards that had to be made again',
      ...options,
    });
    this.#imageSecondsGauge = new Gauge({
      name: 'ballast_synthesis_image_seconds',
      help: 'Worker-seconds that an image needs, a moving average',
      registers: [registry],
    });
  }

  /** Worker-seconds that an image needs. */
  get imageSeconds(): number {
    return this.#imageSeconds ?? FIRST_IMAGE_SECONDS;
  }

  imagesMade(images: number, seconds: number): void {
    const newest = seconds / images;
    const before = this.#imageSeconds ?? newest;
    this.#imageSeconds = before + SMOOTHING * (newest - before);
    this.#imageSecondsGauge.set(this.#imageSeconds);
  }

  /** Takes the run's series away. */
  async forget(run: string): Promise<void> {
    const { gauges, synthesisSeconds, images, redone } = this;
    const own: (Gauge | Counter | Histogram)[] = [...Object.values(gauges), synthesisSeconds, images, redone];
    for (const metric of own) {
      const { values } = await metric.get();
      for (const { labels } of values) {
        const { le: _, ...rest } = labels as Record<string, string>;
        if (rest['run'] === run) metric.remove(rest);
      }
    }
  }
}

/** The metrics of one run. */
export class RunMetrics {
  readonly #all: CoordinatorMetrics;
  readonly #run: string;

  constructor(all: CoordinatorMetrics, run: string) {
    this.#all = all;
    this.#run = run;
    this.#all.images.inc({ run }, 0);
    this.#all.redone.inc({ run }, 0);
  }

  epochBegun(epoch: number, epochs: number): void {
    this.#all.gauges.epoch.set({ run: this.#run }, epoch);
    this.#all.gauges.epochs.set({ run: this.#run }, epochs);
  }

  quotaDecided(classes: readonly string[], accuracy: readonly number[], quota: readonly number[]): void {
    this.#byClass(this.#all.gauges.classAccuracy, classes, accuracy);
    this.#byClass(this.#all.gauges.classQuota, classes, quota);
  }

  weightsPublished(version: number): void {
    this.#all.gauges.weightsVersion.set({ run: this.#run }, version);
    this.#all.gauges.staleness.set({ run: this.#run }, 0);
  }

  epochTrained(step: number, guidedBy: number | null): void {
    if (guidedBy !== null) this.#all.gauges.staleness.set({ run: this.#run }, step - guidedBy);
  }

  /** Requested images whose synthesis has not started. */
  imagesAsked(images: number): void {
    this.#all.gauges.backlogSeconds.set({ run: this.#run }, images * this.#all.imageSeconds);
  }

  /** `imagesLeft` have not reached the trainer. */
  scheduleChanged(schedule: Schedule, imagesLeft: number): void {
    const counts = countByState(schedule);
    for (const [state, count] of Object.entries(counts))
      this.#all.gauges.shards.set({ run: this.#run, state }, count);
    this.#all.gauges.queueDepth.set({ run: this.#run }, counts.pending);
    this.#all.gauges.backlogSeconds.set({ run: this.#run }, imagesLeft * this.#all.imageSeconds);
  }

  /** Nobody waits for images any more. */
  synthesisEnded(): void {
    this.#all.gauges.queueDepth.set({ run: this.#run }, 0);
    this.#all.gauges.backlogSeconds.set({ run: this.#run }, 0);
  }

  shardMade(images: number, seconds: number): void {
    this.#all.imagesMade(images, seconds);
    this.#all.synthesisSeconds.observe({ run: this.#run }, seconds);
  }

  shardCommitted(images: number): void {
    this.#all.images.inc({ run: this.#run }, images);
  }

  shardsRedone(count: number): void {
    if (count > 0) this.#all.redone.inc({ run: this.#run }, count);
  }

  epochFinished(classes: readonly string[], record: EpochRecord): void {
    const { fidelity, validation, synthesisSeconds, trainSeconds, evaluateSeconds } = record;
    if (fidelity) this.#byClass(this.#all.gauges.classFidelity, classes, fidelity.perClass);
    if (validation) {
      this.#all.gauges.validation.set({ run: this.#run }, validation.balancedAccuracy);
      this.#byClass(this.#all.gauges.classRecall, classes, validation.perClassRecall);
    }
    const phases = { synthesis: synthesisSeconds, train: trainSeconds, evaluate: evaluateSeconds };
    for (const [phase, seconds] of Object.entries(phases))
      this.#all.gauges.phaseSeconds.set({ run: this.#run, phase }, seconds);
  }

  #byClass(
    gauge: Gauge<'run' | 'class'>,
    classes: readonly string[],
    values: readonly (number | null)[],
  ): void {
    classes.forEach((name, c) => {
      const value = values[c];
      if (value != null) gauge.set({ run: this.#run, class: name }, value);
    });
  }
}
