/** The coordinator's Prometheus metrics of its runs. Every name begins with `ballast_`, every series names its run. */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { EpochRecord } from '../../report/records.ts';
import { countByState, type Schedule } from './scheduler.ts';

const SYNTHESIS_BUCKETS_S = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60, 120, 300];
/** Worker-seconds that an image is taken to need before the first was made. */
const FIRST_IMAGE_SECONDS = 0.5;
/** Share of the newest shard in the moving average. */
const SMOOTHING = 0.2;

type Labelled<Label extends string> = Gauge<'run' | Label>;

/** The metrics of all runs of a process: made once for its registry. */
export class CoordinatorMetrics {
  readonly classAccuracy: Labelled<'class'>;
  readonly classQuota: Labelled<'class'>;
  readonly classFidelity: Labelled<'class'>;
  readonly classRecall: Labelled<'class'>;
  readonly shards: Labelled<'state'>;
  readonly phaseSeconds: Labelled<'phase'>;
  readonly queueDepth: Labelled<never>;
  readonly backlogSeconds: Labelled<never>;
  readonly weightsVersion: Labelled<never>;
  readonly staleness: Labelled<never>;
  readonly epoch: Labelled<never>;
  readonly epochs: Labelled<never>;
  readonly validation: Labelled<never>;
  readonly synthesisSeconds: Histogram<'run'>;
  readonly images: Counter<'run'>;
  readonly redone: Counter<'run'>;
  readonly #imageSecondsGauge: Gauge;
  #imageSeconds: number | null = null;

  constructor(registry: Registry) {
    const registers = [registry];
    const gauge = <Label extends string = never>(name: string, help: string, ...labels: Label[]) =>
      new Gauge<'run' | Label>({ name, help, labelNames: ['run', ...labels], registers });
    const labelNames = ['run'] as const;
    this.classAccuracy = gauge(
      'ballast_class_accuracy',
      'Accuracy that adaptive sampling read, by class',
      'class',
    );
    this.classQuota = gauge(
      'ballast_class_quota',
      'Synthetic images asked for this epoch, by class',
      'class',
    );
    this.classFidelity = gauge(
      'ballast_class_fidelity',
      'Share of the last epoch’s synthetic images that the judge gave their class, by class',
      'class',
    );
    this.classRecall = gauge(
      'ballast_class_validation_recall',
      'Recall on validation images after the last epoch, by class',
      'class',
    );
    this.shards = gauge('ballast_shards', 'Shards of this epoch, by state', 'state');
    this.phaseSeconds = gauge('ballast_epoch_phase_seconds', 'Seconds of the last epoch’s phases', 'phase');
    this.queueDepth = gauge('ballast_queue_depth', 'Shards that wait for a worker');
    this.backlogSeconds = gauge(
      'ballast_synthesis_backlog_seconds',
      'Worker-seconds of synthesis that wait or are being made',
    );
    this.weightsVersion = gauge('ballast_weights_version', 'Optimiser steps behind the weights that guide');
    this.staleness = gauge(
      'ballast_weights_staleness',
      'Optimiser steps by which the guiding weights lag the trainer',
    );
    this.epoch = gauge('ballast_epoch', 'Epoch in progress, from 1');
    this.epochs = gauge('ballast_epochs', 'Epochs in all');
    this.validation = gauge('ballast_validation_balanced_accuracy', 'Balanced accuracy on validation images');
    this.synthesisSeconds = new Histogram({
      name: 'ballast_synthesis_seconds',
      help: 'Compute time of a shard',
      buckets: SYNTHESIS_BUCKETS_S,
      ...{ labelNames, registers },
    });
    this.images = new Counter({
      name: 'ballast_images_total',
      help: 'Synthetic images that the trainer holds or held',
      ...{ labelNames, registers },
    });
    this.redone = new Counter({
      name: 'ballast_shards_redone_total',
      help: 'Shards that had to be made again',
      ...{ labelNames, registers },
    });
    this.#imageSecondsGauge = new Gauge({
      name: 'ballast_synthesis_image_seconds',
      help: 'Worker-seconds that an image needs, a moving average',
      registers,
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
    const own = Object.values(this) as unknown[];
    for (const metric of own) {
      if (!(metric instanceof Gauge || metric instanceof Counter || metric instanceof Histogram)) continue;
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
    this.#all.epoch.set({ run: this.#run }, epoch);
    this.#all.epochs.set({ run: this.#run }, epochs);
  }

  quotaDecided(classes: readonly string[], accuracy: readonly number[], quota: readonly number[]): void {
    this.#byClass(this.#all.classAccuracy, classes, accuracy);
    this.#byClass(this.#all.classQuota, classes, quota);
  }

  weightsPublished(version: number): void {
    this.#all.weightsVersion.set({ run: this.#run }, version);
    this.#all.staleness.set({ run: this.#run }, 0);
  }

  epochTrained(step: number, guidedBy: number | null): void {
    if (guidedBy !== null) this.#all.staleness.set({ run: this.#run }, step - guidedBy);
  }

  /** Requested images whose synthesis has not started. */
  imagesAsked(images: number): void {
    this.#all.backlogSeconds.set({ run: this.#run }, images * this.#all.imageSeconds);
  }

  /** `imagesLeft` have not reached the trainer. */
  scheduleChanged(schedule: Schedule, imagesLeft: number): void {
    const counts = countByState(schedule);
    for (const [state, count] of Object.entries(counts))
      this.#all.shards.set({ run: this.#run, state }, count);
    this.#all.queueDepth.set({ run: this.#run }, counts.pending);
    this.#all.backlogSeconds.set({ run: this.#run }, imagesLeft * this.#all.imageSeconds);
  }

  /** Nobody waits for images any more. */
  synthesisEnded(): void {
    this.#all.queueDepth.set({ run: this.#run }, 0);
    this.#all.backlogSeconds.set({ run: this.#run }, 0);
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
    if (fidelity) this.#byClass(this.#all.classFidelity, classes, fidelity.perClass);
    if (validation) {
      this.#all.validation.set({ run: this.#run }, validation.balancedAccuracy);
      this.#byClass(this.#all.classRecall, classes, validation.perClassRecall);
    }
    const phases = { synthesis: synthesisSeconds, train: trainSeconds, evaluate: evaluateSeconds };
    for (const [phase, seconds] of Object.entries(phases))
      this.#all.phaseSeconds.set({ run: this.#run, phase }, seconds);
  }

  #byClass(gauge: Labelled<'class'>, classes: readonly string[], values: readonly (number | null)[]): void {
    classes.forEach((name, c) => {
      const value = values[c];
      if (value != null) gauge.set({ run: this.#run, class: name }, value);
    });
  }
}
