/** Made-up records for tests: the shape and the rough course of real runs, nothing measured. */

import type { EpochRecord, Fidelity, Metrics, RunReport } from '../records.ts';
import { compareRows, finishedResult, type StudyResults, type StudyRunResult } from '../study-results.ts';

export const CLASSES = [
  'T-shirt/top',
  'Trouser',
  'Pullover',
  'Dress',
  'Coat',
  'Sandal',
  'Shirt',
  'Sneaker',
  'Bag',
  'Ankle boot',
];
export const CLASS_COUNTS = [2000, 1199, 718, 431, 258, 155, 93, 56, 33, 20];

/** A repeatable number in [0, 1) from integers. */
function wobble(...parts: number[]): number {
  let state = 2166136261;
  for (const part of parts) state = Math.imul(state ^ (part + 0x9e37), 16777619) >>> 0;
  return ((state ^ (state >>> 13)) % 1000) / 1000;
}

/** Metrics whose scalars agree with a confusion matrix made from `recalls` and `each` images a class. */
export function fakeMetrics(recalls: readonly number[], each = 1000): Metrics {
  const confusion = recalls.map((recall, row) => {
    const right = Math.round(recall * each);
    return recalls.map((_, column) =>
      column === row ? right : column === (row + 2) % recalls.length ? each - right : 0,
    );
  });
  const perClassRecall = confusion.map((counts, row) => (counts[row] ?? 0) / each);
  const mean = (values: readonly number[]): number =>
    values.reduce((sum, value) => sum + value, 0) / values.length;
  const balanced = mean(perClassRecall);
  return {
    count: each * recalls.length,
    accuracy: Math.min(1, balanced + 0.06),
    balancedAccuracy: balanced,
    tailRecall: mean(perClassRecall.slice(6)),
    worstRecall: Math.min(...perClassRecall),
    nll: 0.71,
    macroPrecision: balanced + 0.01,
    macroF1: balanced - 0.008,
    mcc: balanced - 0.03,
    aucOvr: 0.97,
    ece: 0.041,
    perClassRecall,
    manyShotRecall: mean(perClassRecall.slice(0, 6)),
    mediumShotRecall: mean(perClassRecall.slice(6, 9)),
    fewShotRecall: perClassRecall[9] ?? null,
    confusion,
  };
}

function fakeFidelity(epoch: number, lift: number): Fidelity {
  const all = 0.87 + lift / 10 + 0.06 * (1 - Math.exp(-epoch / 4));
  return {
    all,
    tail: all - 0.03 + 0.02 * wobble(epoch, 5),
    perClass: CLASSES.map((_, c) => (c === 1 ? null : all)),
  };
}

export interface FakeRun {
  readonly method?: string;
  readonly seed?: number;
  readonly epochs?: number;
  readonly lift?: number;
  readonly synthetic?: boolean;
  readonly grids?: boolean;
}

export function fakeEpochs(run: FakeRun = {}): EpochRecord[] {
  const { seed = 1, epochs = 12, lift = 0.1, synthetic = true, grids = false } = run;
  return Array.from({ length: epochs }, (_, index) => {
    const epoch = index + 1;
    const progress = 1 - Math.exp(-epoch / 4);
    const recalls = CLASSES.map((_, c) =>
      Math.min(
        0.99,
        Math.max(0, progress * (0.97 - 0.06 * c + lift * (c / 5)) + 0.03 * wobble(seed, epoch, c)),
      ),
    );
    const weights = recalls.map((recall) => Math.exp((1 - recall) / 0.2));
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return {
      epoch,
      optimizerSteps: epoch * 87,
      trainLoss: (1.9 - lift) * Math.exp(-epoch / 4) + 0.22 + lift / 3 + 0.03 * wobble(seed, epoch),
      samplingAccuracy: epoch === 1 ? null : recalls.map((recall) => Math.min(1, recall + 0.05)),
      quota: synthetic ? weights.map((weight) => Math.round((600 * weight) / sum)) : null,
      syntheticImages: synthetic ? 600 : 0,
      fidelity: synthetic ? fakeFidelity(epoch, lift) : null,
      weightsVersion: epoch,
      validation: fakeMetrics(recalls, 50),
      synthesisSeconds: synthetic ? 8.1 : 0,
      trainSeconds: 5.2,
      evaluateSeconds: 0.9,
      shardsRedone: synthetic && epoch === 4 ? 1 : 0,
      grid: synthetic && grids ? `grids/epoch-${String(epoch).padStart(3, '0')}.png` : null,
    };
  });
}

export function fakeRunReport(run: FakeRun = {}): RunReport {
  const { method = 'iois', seed = 1, synthetic = true } = run;
  const epochs = fakeEpochs(run);
  const last = epochs.at(-1)?.validation;
  return {
    method,
    seed,
    classes: CLASSES,
    classCounts: CLASS_COUNTS,
    optimizerSteps: epochs.length * 87,
    workers: 2,
    syntheticImages: synthetic ? epochs.length * 600 : 0,
    seconds: 171.4,
    weightsDigest: '3f0c9b1d54e2aa70c3f1d7b2e96d58410cfe2207d6a1b8f0495b3c7e1a2d6f88',
    environment: {
      ballast: '0.1.0',
      node: 'v20.20.2',
      engine: 'onnxruntime 1.30',
      processor: 'Example CPU @ 2.4 GHz',
      threads: '1',
    },
    epochs,
    validation: last ?? null,
    test: last ? fakeMetrics(last.perClassRecall.map((recall) => (recall ?? 0) * 0.98)) : null,
  };
}

/** A line of a study, from a made-up run. */
export function fakeResult(run: FakeRun & { readonly method: string }): StudyRunResult {
  const report = fakeRunReport(run);
  const { method, seed } = report;
  const dir = `${method}-seed${seed}`;
  return finishedResult({ row: method, pair: seed - 1, seed, dir, content: dir, code: '' }, report);
}

const METHODS = [
  { method: 'erm', lift: 0, synthetic: false },
  { method: 'logit-adjust', lift: 0.16, synthetic: false },
  { method: 'iois', lift: 0.12, synthetic: true },
  { method: 'iois+logit-adjust', lift: 0.19, synthetic: true },
];

export function fakeStudy(
  seeds: readonly number[] = [1, 2, 3],
  title = 'Fashion-MNIST, long-tailed',
): StudyResults {
  const rows = METHODS.map((method) => ({
    name: method.method,
    settings: { method: method.method },
    runs: seeds.map((seed) => fakeResult({ ...method, seed })),
  }));
  return {
    format: 1,
    ...{ title, split: null, reference: 'erm', ceiling: null, worth: null },
    ...{ classes: CLASSES, classCounts: CLASS_COUNTS, warnings: [] },
    rows: compareRows(rows, 'erm'),
  };
}

/** Grey [n, 28, 28, 1] pictures, one pattern a class, `each` of every class in order. */
export function fakeImages(each: number): Uint8Array {
  const size = 28 * 28;
  const images = new Uint8Array(CLASSES.length * each * size);
  for (let n = 0; n < CLASSES.length * each; n++) {
    const c = Math.floor(n / each);
    for (let p = 0; p < size; p++) {
      const [y, x] = [Math.floor(p / 28) - 14, (p % 28) - 14];
      const inside = Math.abs(x) * (1 + c / 5) + Math.abs(y) < 11 + 3 * wobble(n);
      images[n * size + p] = inside ? 110 + Math.round(120 * wobble(n, p)) : 0;
    }
  }
  return images;
}
