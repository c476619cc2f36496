// `ballast run` as a person runs it: real processes, real training on drawn shapes, signals, resume.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../common/testing/eventually.ts';
import type { RunConfig } from '../config/run-config.ts';
import { RunFolder } from '../coordinator/records/run-folder.ts';
import { decodeSafetensors } from '../tensor/safetensors.ts';
import { ballast, Cli } from './support/cli.ts';
import { actorsOf } from './support/processes.ts';
import { SHAPE_CLASSES } from './support/shapes.ts';
import {
  BUDGET,
  EPOCHS,
  eventsOf,
  type FinishedRun,
  jsonLines,
  newFolder,
  readMetrics,
  readReport,
  referenceRun,
  runArgs,
} from './support/suite.ts';

/** 40, 15 and 6 images without a tenth for validation, in batches of 4 with the budget's 48: ⌈(54 + 48) / 4⌉ a epoch. */
const TRAIN_COUNTS = [36, 13, 5];
const STEPS_PER_EPOCH = 26;
/** The engine of each process with its device, which depends on the machine, and why that one. */
const ENGINE: unknown = expect.stringMatching(/^onnxruntime-node [\d.]+ (?:cpu|cuda|webgpu)/);
const CHOICE: unknown = expect.stringMatching(/^auto: /);
/** Far below what would trouble a laptop; five Node processes with tfjs and onnxruntime need some 0.7 GB. */
const MEMORY_LIMIT_BYTES = 2 ** 31;

let reference: FinishedRun;

beforeAll(async () => {
  reference = await referenceRun();
});

/** A run's folder and its end, with flags added to those of the tiny run. */
async function run(name: string, ...more: readonly string[]) {
  const dir = join(newFolder(name), 'run');
  const end = await ballast(await runArgs(dir, ...more));
  return { dir, end };
}

/** Starts a run, waits for a line of `--json`. */
async function runUntil(
  name: string,
  pattern: RegExp,
  ...more: readonly string[]
): Promise<{ cli: Cli; dir: string }> {
  const dir = join(newFolder(name), 'run');
  const cli = Cli.start(await runArgs(dir, '--json', ...more));
  await cli.waitFor(pattern);
  return { cli, dir };
}

async function expectNoProcess(dir: string): Promise<void> {
  await eventually(() => expect(actorsOf(dir)).toEqual([]));
}

/** Resumes to the end, and expects what the reference run left. */
async function expectSameEnd(dir: string): Promise<void> {
  const resumed = await ballast(['run', '--resume', dir]);
  expect(resumed).toMatchObject({ code: 0, stderr: '' });
  expect(readReport(dir).weightsDigest).toBe(readReport(reference.dir).weightsDigest);
  expect(readMetrics(dir)).toEqual(readMetrics(reference.dir));
  expect(await readFile(join(dir, 'model', 'model.safetensors'))).toEqual(
    await readFile(join(reference.dir, 'model', 'model.safetensors')),
  );
  const pictures = readdirSync(join(reference.dir, 'grids'));
  expect(readdirSync(join(dir, 'grids'))).toEqual(pictures);
  for (const name of pictures)
    expect(await readFile(join(dir, 'grids', name)), name).toEqual(
      await readFile(join(reference.dir, 'grids', name)),
    );
}

describe('a run', () => {
  it('ends with 0 and leaves no process', () => {
    expect(reference.end).toMatchObject({ code: 0, stderr: '' });
    expect(actorsOf(reference.dir)).toEqual([]);
    const peakMb = Math.round(reference.peakBytes / 1e6);
    console.log(`peak resident memory of the command and its four actors: ${peakMb} MB`);
    expect(reference.peakBytes).toBeGreaterThan(50e6);
    expect(reference.peakBytes).toBeLessThan(MEMORY_LIMIT_BYTES);
  });

  it('prints one event a line with --json', () => {
    const all = eventsOf(reference.end.stdout);
    const events = all.filter(({ type }) => type !== 'preparation'); // a busy machine tells of its decoding first
    expect(events[0]).toMatchObject({ type: 'started', classes: SHAPE_CLASSES, classCounts: TRAIN_COUNTS });
    expect(events.at(-1)).toMatchObject({ type: 'finished', report: readReport(reference.dir) });
    const epochs = events.filter(({ type }) => type === 'epoch');
    expect(epochs).toHaveLength(EPOCHS);
    expect(events.filter(({ type }) => type === 'quota')).toHaveLength(EPOCHS);
    expect(events.some(({ type }) => type === 'training')).toBe(true);
    const made = events.filter((event) => event.type === 'synthesis').map(({ done }) => done);
    expect(made.filter((done) => done === BUDGET)).toHaveLength(EPOCHS);
  });

  it('leaves a folder with everything in it', async () => {
    const { dir } = reference;
    expect(readdirSync(dir).sort()).toEqual([
      'checkpoints',
      'classes.json',
      'config.json',
      'confusion.png',
      'environment.json',
      'events.jsonl',
      'grids',
      'learning-curves.png',
      'logs',
      'metrics.jsonl',
      'model',
      'predictions-test.csv',
      'predictions-validation.csv',
      'report.html',
      'report.json',
    ]);
    const config = JSON.parse(await readFile(join(dir, 'config.json'), 'utf8')) as RunConfig;
    expect(config).toMatchObject({ method: 'iois', seed: 1, workers: 2, synthesis: { budget: BUDGET } });
    const environment = await readFile(join(dir, 'environment.json'), 'utf8');
    expect(JSON.parse(environment)).toMatchObject({
      starts: [
        {
          firstEpoch: 1,
          facts: { node: process.version, engine: ENGINE, device: CHOICE },
          engines: ['classifier-trainer', 'diffusion-worker-0', 'diffusion-worker-1'].map((actor) => ({
            actor,
            engine: ENGINE,
            choice: CHOICE,
          })),
        },
      ],
    });
    expect(readReport(dir).environment['actors']).toMatch(
      /^onnxruntime-node [\d.]+ .*: classifier-trainer, diffusion-worker-0, diffusion-worker-1$/,
    );
    const topics = jsonLines<{ topic: string }>(readFileSync(join(dir, 'events.jsonl'), 'utf8')).map(
      ({ topic }) => topic,
    );
    expect(topics[0]).toBe('run.started');
    expect(topics.at(-1)).toBe('run.finished');
    expect(topics.filter((topic) => topic === 'epoch.finished')).toHaveLength(EPOCHS);
    const checkpoint = await new RunFolder(dir).checkpoints.trainerDir(EPOCHS);
    expect(existsSync(join(checkpoint, 'trainer.safetensors'))).toBe(true);
    const model = await readFile(join(dir, 'model', 'model.safetensors'));
    const { arrays } = decodeSafetensors(model, 'model.safetensors');
    expect(arrays['stem.conv.weight']?.shape).toEqual([8, 1, 3, 3]);
  });

  it('draws pictures that are not empty', async () => {
    const epochs = [1, 2, 3].flatMap((epoch) => [`epoch-00${epoch}.png`, `epoch-00${epoch}-nearest.png`]);
    const grids = [...epochs, 'real.png'].map((name) => `grids/${name}`);
    for (const name of [...grids, 'learning-curves.png', 'confusion.png']) {
      const picture = sharp(join(reference.dir, name));
      const { channels } = await picture.stats();
      expect({ name, isFlat: channels.every(({ min, max }) => max - min < 50) }).toEqual({
        name,
        isFlat: false,
      });
    }
    const html = await readFile(join(reference.dir, 'report.html'), 'utf8');
    expect(html).toContain('data:image/png;base64,');
    for (const name of SHAPE_CLASSES) expect(html).toContain(name);
    const [, data = ''] = /<script type="application\/json" id="data">(.*?)<\/script>/s.exec(html) ?? [];
    expect(JSON.parse(data)).toBeTypeOf('object'); // NaN and undefined are not JSON
    // The page's own program and a picture's letters may spell anything.
    const words = html
      .replaceAll(/<(script|style)\b[^>]*>.*?<\/\1>/gs, '')
      .replaceAll(/data:image\/png;base64,[\w+/=]+/g, '');
    expect(words).not.toMatch(/https?:\/\/(?!www\.w3\.org)|NaN|undefined/);
  });

  it('reports what was asked for and what came of it', () => {
    const report = readReport(reference.dir);
    expect(report).toMatchObject({
      method: 'iois',
      seed: 1,
      classes: SHAPE_CLASSES,
      classCounts: TRAIN_COUNTS,
      optimizerSteps: EPOCHS * STEPS_PER_EPOCH,
      workers: 2,
      syntheticImages: EPOCHS * BUDGET,
      weightsDigest: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
    });
    for (const { quota, syntheticImages, shardsRedone, validation } of report.epochs) {
      expect(quota!.reduce((a, b) => a + b, 0)).toBe(BUDGET);
      expect(syntheticImages).toBe(BUDGET);
      expect(shardsRedone).toBe(0);
      expect(validation!.count).toBe(7);
    }
    const { count, accuracy, balancedAccuracy, macroF1, mcc, perClassRecall, confusion } = report.test!;
    expect(count).toBe(24);
    for (const rate of [accuracy, balancedAccuracy, macroF1, ...perClassRecall]) {
      expect(rate).toBeGreaterThanOrEqual(0);
      expect(rate).toBeLessThanOrEqual(1);
    }
    expect(Math.abs(mcc)).toBeLessThanOrEqual(1);
    expect(confusion.map((row) => row.reduce((a, b) => a + b, 0))).toEqual([8, 8, 8]);
    expect(readMetrics(reference.dir)).toHaveLength(EPOCHS);
  });

  it('learns: better than a guess on test', () => {
    expect(readReport(reference.dir).test!.balancedAccuracy).toBeGreaterThan(0.5);
  });

  // With one worker: faults.test.ts.
  it('gives the same weights with three workers', async () => {
    const { dir, end } = await run('workers-3', '--workers', '3');
    expect(end).toMatchObject({ code: 0, stderr: '' });
    expect(readReport(dir)).toMatchObject({
      weightsDigest: readReport(reference.dir).weightsDigest,
      workers: 3,
    });
    expect(readMetrics(dir)).toEqual(readMetrics(reference.dir));
    await expectNoProcess(dir);
  });

  it('without --json prints the same in plain lines; another seed replaces it with other weights', async () => {
    const { dir, end } = await run('plain', '--method', 'erm', '--epochs', '1');
    expect(end).toMatchObject({ code: 0, stderr: '' });
    expect(end.stdout).toMatch(/^erm seed 1: 3 classes, 54 training images, 1 epoch/m);
    expect(end.stdout).toMatch(/epoch 1\/1: loss/);
    expect(end.stdout).toMatch(/report: .*report\.html|finished/);
    const first = readReport(dir);

    const other = ['--method', 'erm', '--epochs', '1', '--seed', '2', '--overwrite'];
    expect(await ballast(await runArgs(dir, ...other))).toMatchObject({ code: 0, stderr: '' });
    const second = readReport(dir);
    expect(second).toMatchObject({ seed: 2, optimizerSteps: first.optimizerSteps });
    expect(second.weightsDigest).not.toBe(first.weightsDigest);
    expect(readMetrics(dir)).toHaveLength(1);
  });
});

describe('a run that was stopped', () => {
  it('by SIGTERM ends cleanly with 143; until then commands that are given its folder show it', async () => {
    const { cli, dir } = await runUntil('shown', /"type":"synthesis","epoch":1,/, '--budget', '9600');
    const { stdout, code } = await ballast(['actors', '--node', dir]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^ACTOR +STATE .*\ncoordinator +alive /);
    cli.signal('SIGTERM');
    const end = await cli.ended;
    expect(end).toMatchObject({ code: 143 });
    expect(end.stderr).toMatch(/^Stopped before the end of the first epoch\. Continue with: [^\n]*\n$/);
    expect(actorsOf(dir)).toEqual([]);
    expect(existsSync(join(dir, 'node.json'))).toBe(false);
    const after = await ballast(['actors', '--node', dir]);
    expect(after).toMatchObject({ code: 1, stdout: '' });
    expect(after.stderr).toContain(`${dir}: no node works in this folder now`);
  });

  it('by Ctrl-C ends cleanly and resumes to the same end', async () => {
    const { cli, dir } = await runUntil('ctrl-c', /"type":"epoch","record":\{"epoch":1,/);
    cli.interrupt();
    const end = await cli.ended;
    expect(end.code).toBe(130);
    expect(end.stderr).toMatch(
      new RegExp(`^Stopping; .*\nStopped after epoch [12]\\. Continue with: ballast run --resume ${dir}\n$`),
    );
    expect(eventsOf(end.stdout).at(-1)).toMatchObject({ type: 'cancelled' });
    expect(actorsOf(dir)).toEqual([]);
    expect(existsSync(join(dir, 'report.json'))).toBe(false);
    await expectSameEnd(dir);
  });

  it('by SIGKILL of the command in mid-epoch leaves no process and resumes to the same end', async () => {
    const { cli, dir } = await runUntil('sigkill', /"type":"synthesis","epoch":2,/);
    const actors = actorsOf(dir);
    expect(actors.map(({ actorId }) => actorId).sort()).toEqual([
      'classifier-trainer',
      'coordinator',
      'diffusion-worker-0',
      'diffusion-worker-1',
    ]);
    expect(cli.descendants().sort()).toEqual(actors.map(({ pid }) => pid).sort());
    cli.signal('SIGKILL');
    expect(await cli.ended).toMatchObject({ code: null, signal: 'SIGKILL' });
    await expectNoProcess(dir);
    await expectSameEnd(dir);
  });
});
