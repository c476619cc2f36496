/**
 * `ballast prior train`: the loop around PriorTraining and its folder.
 *
 *   config.json               the resolved settings
 *   checkpoint.safetensors    the state of training; resuming needs nothing else
 *   train.jsonl               one line per report: step, mean loss, images per second
 *   samples/step-000500.png   samples of the averaged weights
 *   prior.safetensors         the result, once all steps are done
 */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { UserError } from '../../common/errors.ts';
import { appendLine, ensureDirectory, writeFileAtomic } from '../../common/files.ts';
import { encodeModelFile } from '../../models/model-file.ts';
import type { PriorConfig } from './config.ts';
import { describeOrigin, loadPriorImages } from './images.ts';
import { samplePrior, writeSampleGrid } from './sample.ts';
import { PriorTraining } from './training.ts';

const REPORT_EVERY = 50;
const GRID_IMAGES = 64;

export interface PriorProgress {
  readonly step: number;
  readonly steps: number;
  /** Mean since the last report. */
  readonly loss: number;
  readonly imagesPerSecond: number;
  readonly secondsLeft: number;
}

export interface PriorTrainOptions {
  readonly resume: boolean;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: PriorProgress) => void;
  /** Called once, before the first step, with the composition of the training images, and warnings about them. */
  readonly onImages?: (line: string, warnings: readonly string[]) => void;
}

/** Paths in a prior's folder. */
export function priorFiles(dir: string) {
  return {
    config: join(dir, 'config.json'),
    checkpoint: join(dir, 'checkpoint.safetensors'),
    log: join(dir, 'train.jsonl'),
    model: join(dir, 'prior.safetensors'),
    sample: (step: number) => join(dir, 'samples', `step-${String(step).padStart(6, '0')}.png`),
  };
}

/**
 * Trains to the end, or to the next step after `signal` aborts (the checkpoint is then kept). Returns whether it
 * finished.
 */
export async function trainPrior(
  config: PriorConfig,
  out: string,
  options: PriorTrainOptions,
): Promise<boolean> {
  const files = priorFiles(out);
  const begun = existsSync(files.config);
  if (begun && !options.resume)
    throw new UserError(`${out}: holds a prior already; continue it with --resume or choose another folder`);
  await ensureDirectory(out);
  const images = await loadPriorImages(config);
  options.onImages?.(describeOrigin(images), images.warnings);
  const training = await PriorTraining.create(config, images);
  if (options.resume && existsSync(files.checkpoint))
    training.restore(await readFile(files.checkpoint), files.checkpoint);
  if (!begun) await writeFileAtomic(files.config, JSON.stringify(config, null, 2) + '\n');
  const save = async () => {
    await training.settle();
    await writeFileAtomic(files.checkpoint, training.checkpoint());
  };
  await runSteps(training, config, files, options, save);
  await save();
  if (training.step < config.steps) return false;
  await writeFileAtomic(files.model, encodeModelFile(training.model, training.average));
  return true;
}

async function runSteps(
  training: PriorTraining,
  config: PriorConfig,
  files: ReturnType<typeof priorFiles>,
  { signal, onProgress }: PriorTrainOptions,
  save: () => Promise<void>,
): Promise<void> {
  let losses: number[] = [];
  let since = performance.now();
  while (training.step < config.steps && !signal.aborted) {
    const { step, loss } = await training.advance();
    losses.push(loss);
    if (step % REPORT_EVERY === 0 || step === config.steps) {
      const seconds = (performance.now() - since) / 1000;
      const progress = report(losses, step, config, seconds);
      await appendLine(files.log, JSON.stringify(progress));
      onProgress(progress);
      losses = [];
      since = performance.now();
    }
    if (step % config.checkpointEvery === 0) await save();
    if (step % config.sampleEvery === 0 || step === config.steps) {
      await training.settle();
      const { model, average } = training;
      const samples = await samplePrior({ model, params: average }, { count: GRID_IMAGES, seed: config.seed, threads: config.threads, engine: config.engine, device: config.device }); // prettier-ignore
      await writeSampleGrid(files.sample(step), samples, model.image);
      since = performance.now(); // the rate covers training only
    }
    await new Promise(setImmediate); // lets signal handlers run
  }
}

function report(
  losses: readonly number[],
  step: number,
  config: PriorConfig,
  seconds: number,
): PriorProgress {
  const imagesPerSecond = (losses.length * config.batchSize) / seconds;
  return {
    step,
    steps: config.steps,
    loss: losses.reduce((sum, loss) => sum + loss, 0) / losses.length,
    imagesPerSecond,
    secondsLeft: ((config.steps - step) * config.batchSize) / imagesPerSecond,
  };
}
