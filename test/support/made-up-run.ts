/** A run folder of any size, written in seconds: for the page, which has to stay usable with what no test could train. */
import { appendFile, mkdir, open, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { EpochRecord, Metrics } from '../../report/records.ts';

export interface MadeUpRun {
  readonly epochs: number;
  readonly classes: number;
  /** Epochs from one evaluation to the next. */
  readonly evaluateEvery?: number;
}

const LINES_AT_ONCE = 200;

/** A wave that differs a little from class to class, in [0, 1]; four digits, as a run writes about as many bytes. */
const wave = (epoch: number, label: number) =>
  Number((0.5 + 0.45 * Math.sin(label / 7 + epoch / (400 + label))).toFixed(4));

function metricsOf(epoch: number, classes: number): Metrics {
  const perClassRecall = Array.from({ length: classes }, (_, label) => wave(epoch, label));
  const balancedAccuracy = perClassRecall.reduce((sum, value) => sum + value, 0) / classes;
  const rest = { tailRecall: null, manyShotRecall: null, mediumShotRecall: null, fewShotRecall: null };
  return {
    ...{ count: classes * 10, accuracy: balancedAccuracy, balancedAccuracy, perClassRecall, ...rest },
    ...{ worstRecall: Math.min(...perClassRecall), nll: 1, macroPrecision: 0.5, macroF1: 0.5, mcc: 0.5 },
    ...{ aucOvr: 0.9, ece: 0.1, confusion: [] },
  };
}

export function madeUpEpoch(epoch: number, { classes, evaluateEvery = 1 }: MadeUpRun): EpochRecord {
  return {
    ...{ epoch, optimizerSteps: epoch * 10, trainLoss: 2 / Math.sqrt(epoch), samplingAccuracy: null },
    quota: Array.from({ length: classes }, (_, label) => Math.round(10 * (1 - wave(epoch, label)))),
    ...{ syntheticImages: 600, fidelity: null, weightsVersion: epoch },
    validation: epoch % evaluateEvery === 0 ? metricsOf(epoch, classes) : null,
    ...{ synthesisSeconds: 8, trainSeconds: 5, evaluateSeconds: 1, shardsRedone: 0, grid: null },
  };
}

/** Adds an epoch as a run does: one line, in one write. */
export async function addEpoch(dir: string, epoch: number, run: MadeUpRun): Promise<void> {
  await appendFile(join(dir, 'metrics.jsonl'), `${JSON.stringify(madeUpEpoch(epoch, run))}\n`);
}

/** Writes the folder of a run that counts as active while `run.lock` is recent. */
export async function writeMadeUpRun(dir: string, run: MadeUpRun): Promise<void> {
  await mkdir(dir, { recursive: true });
  const classes = Array.from({ length: run.classes }, (_, label) => `class ${label}`);
  const config = { method: 'iois', seed: 1, training: { epochs: 2 * run.epochs } };
  await writeFile(join(dir, 'config.json'), JSON.stringify(config));
  await writeFile(join(dir, 'classes.json'), JSON.stringify(classes));
  const payload = { classes, classCounts: classes.map((_, label) => 1000 - (label % 990)) };
  const started = { sequence: 1, time: '2026-01-01T00:00:00.000Z', topic: 'run.started', payload };
  await writeFile(join(dir, 'events.jsonl'), `${JSON.stringify(started)}\n`);
  const metrics = await open(join(dir, 'metrics.jsonl'), 'w');
  for (let first = 1; first <= run.epochs; first += LINES_AT_ONCE) {
    const count = Math.min(LINES_AT_ONCE, run.epochs - first + 1);
    const lines = Array.from({ length: count }, (_, i) => JSON.stringify(madeUpEpoch(first + i, run)));
    await metrics.write(`${lines.join('\n')}\n`);
  }
  await metrics.close();
  await writeFile(join(dir, 'run.lock'), '');
  await utimes(join(dir, 'run.lock'), new Date(), new Date(Date.now() + 3_600_000));
}
