// `ballast prior`, `ballast judge` and `ballast compare` as a person runs them, on drawn shapes.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { decodeModelFile } from '../models/model-file.ts';
import type { StudyResults } from '../report/study-results.ts';
import { ballast, Cli } from './support/cli.ts';
import { jsonLines, newFolder, readReport, runArgs, shapesData, shapesPrior } from './support/suite.ts';

const STEPS = 60;

/** A lossless 8 × 8 image of one grey value. */
async function drawSquare(file: string, value: number): Promise<void> {
  mkdirSync(dirname(file), { recursive: true });
  const background = { r: value, g: value, b: value };
  const image = sharp({ create: { width: 8, height: 8, channels: 3, background } });
  await (file.endsWith('.webp') ? image.webp({ lossless: true }) : image).toFile(file);
}

async function priorArgs(out: string): Promise<string[]> {
  return [
    ...['prior', 'train', '--data', await shapesData(), '--out', out],
    ...['--steps', String(STEPS), '--batch-size', '16', '--sample-every', '30'],
    ...['--set', 'denoiser.widths=[8,16]', '--set', 'denoiser.groups=4', '--set', 'checkpointEvery=5'],
  ];
}

describe('ballast prior', () => {
  it('ends with equal bytes when it was interrupted and resumed', async () => {
    const whole = join(newFolder('prior'), 'whole');
    expect(await ballast(await priorArgs(whole))).toMatchObject({ code: 0, stderr: '' });

    const parts = join(newFolder('prior'), 'parts');
    const cli = Cli.start(await priorArgs(parts));
    await cli.poll('a checkpoint', () => (existsSync(join(parts, 'checkpoint.safetensors')) ? true : null));
    cli.signal('SIGINT');
    const end = await cli.ended;
    expect(end.code).toBe(130);
    expect(end.stderr).toContain(`ballast prior train --resume --out ${parts}`);
    expect(existsSync(join(parts, 'prior.safetensors'))).toBe(false);

    const resumed = await ballast(['prior', 'train', '--resume', '--out', parts]);
    expect(resumed).toMatchObject({ code: 0, stderr: '' });
    const bytes = (dir: string) => readFileSync(join(dir, 'prior.safetensors'));
    expect(bytes(parts).equals(bytes(whole))).toBe(true);
  });

  it('learns, draws samples on its way, and refuses to begin over a prior that is there', async () => {
    const out = join(newFolder('prior'), 'again');
    expect((await ballast(await priorArgs(out))).code).toBe(0);
    const losses = jsonLines<{ step: number; loss: number }>(readFileSync(join(out, 'train.jsonl'), 'utf8'));
    expect(losses.at(-1)!.step).toBe(STEPS);
    expect(losses.at(-1)!.loss).toBeLessThan(losses[0]!.loss);
    const picture = await sharp(join(out, 'samples', 'step-000060.png')).stats();
    expect(picture.channels[0]!.stdev).toBeGreaterThan(5); // not blank
    const second = await ballast(await priorArgs(out));
    expect(second.code).toBe(1);
    expect(second.stderr).toContain(`${out}: holds a prior already; continue it with --resume`);
  });

  it('trains on unlabelled images beside labelled ones, without those that are equal to test images', async () => {
    const dir = newFolder('unlabelled');
    const image = (name: string, value: number) => drawSquare(join(dir, name), value);
    const labelled = ['train/a/1', 'train/b/1', 'test/a/1', 'test/b/1', 'val/a/1', 'val/b/1'];
    await Promise.all(labelled.map((name, i) => image(`labelled/${name}.png`, 10 * i)));
    // As train/a, as test/a, new, and new in a folder of test images.
    await Promise.all([0, 20, 100].map((value) => image(`pool/deep/${value}.webp`, value)));
    await image('pool/Test/1.png', 110);
    const steps = ['--steps', '2', '--sample-every', '2', '--batch-size', '4'];
    const network = ['--set', 'denoiser.widths=[8,8]', '--set', 'denoiser.groups=4'];
    const train = (out: string, ...args: string[]) =>
      ballast(['prior', 'train', ...args, ...steps, ...network, '--out', join(dir, out)]);
    const both = await train('both', '--data', join(dir, 'labelled'), '--unlabelled', join(dir, 'pool'));
    expect(both).toMatchObject({ code: 0, stderr: '' });
    expect(both.stdout).toContain(
      '3 images: 2 labelled, 1 of 4 unlabelled; left out: 2 validation or test images, 1 equal to a labelled training image',
    );
    const { model } = decodeModelFile(
      readFileSync(join(dir, 'both', 'prior.safetensors')),
      'denoiser',
      'prior',
    );
    expect(model.images).toEqual({
      labelled: 2,
      unlabelled: { found: 4, used: 1, heldOut: 2, inTrain: 1, repeated: 0, skipped: 0 },
    });
    const alone = await train('alone', '--unlabelled', join(dir, 'pool'));
    expect(alone).toMatchObject({ code: 0, stderr: '' });
    expect(alone.stdout).toContain('3 images: 0 labelled, 3 of 4 unlabelled');
  });

  it('that diverges says at which tensor, and keeps its last good checkpoint', async () => {
    const out = join(newFolder('prior'), 'diverging');
    expect((await ballast([...(await priorArgs(out)), '--steps', '7'])).code).toBe(0);
    const [config, checkpoint] = ['config.json', 'checkpoint.safetensors'].map((name) => join(out, name));
    const good = readFileSync(checkpoint!);
    const settings = JSON.parse(readFileSync(config!, 'utf8')) as object;
    writeFileSync(config!, JSON.stringify({ ...settings, steps: STEPS, learningRate: 1e30 }));
    const end = await ballast(['prior', 'train', '--resume', '--out', out]);
    expect(end.code).toBe(1);
    expect(end.stderr).toMatch(/^error: training diverged at step \d+: .*'[a-z]+\.\S+' is not finite/);
    expect(end.stderr.trim().split('\n')).toHaveLength(1);
    expect(readFileSync(checkpoint!).equals(good)).toBe(true);
  });

  it('samples the same picture for the same seed', async () => {
    const prior = await shapesPrior();
    const dir = newFolder('samples');
    const sample = async (name: string, seed: string) => {
      const path = join(dir, name);
      const args = ['prior', 'sample', prior, '--out', path, '--count', '16', '--steps', '4', '--seed', seed];
      expect(await ballast(args)).toMatchObject({ code: 0, stderr: '' });
      return readFileSync(path);
    };
    const first = await sample('a.png', '1');
    expect(first.equals(await sample('b.png', '1'))).toBe(true);
    expect(first.equals(await sample('c.png', '2'))).toBe(false);
  });
});

describe('ballast judge and compare', () => {
  it('trains a judge whose verdict is in every epoch of a comparison', async () => {
    const dir = newFolder('judge');
    const judge = join(dir, 'judge.safetensors');
    const network = ['--set', 'classifier.widths=[8,16]', '--set', 'classifier.groups=4'];
    const training = ['--epochs', '12', '--batch-size', '8', ...network];
    const trained = await ballast([
      'judge',
      'train',
      '--data',
      await shapesData(),
      '--out',
      judge,
      ...training,
    ]);
    expect(trained.code).toBe(0);
    expect(trained.stdout).toMatch(/judge: .*% right on \d+ real test images/);

    const [, ...flags] = await runArgs('unused', '--judge', judge, '--epochs', '2');
    const shared = flags.filter((_, i) => !['--method', '--out'].includes(flags[i]!) && !['--method', '--out'].includes(flags[i - 1]!)); // prettier-ignore
    const out = join(dir, 'comparison');
    const args = ['compare', '--methods', 'erm,iois', '--seeds', '1,2', '--out', out, ...shared];
    const compared = await ballast(args);
    expect(compared).toMatchObject({ code: 0, stderr: '' });
    const results = JSON.parse(readFileSync(join(out, 'results.json'), 'utf8')) as StudyResults;
    expect(
      results.rows.map(({ name, runs }) => [name, runs.map(({ seed, dir }) => `${seed} ${dir}`)]),
    ).toEqual([
      ['erm', ['1 erm-seed1', '2 erm-seed2']],
      ['iois', ['1 iois-seed1', '2 iois-seed2']],
    ]);
    const runs = results.rows.flatMap((row) => row.runs);
    expect(new Set(runs.map(({ optimizerSteps }) => optimizerSteps)).size).toBe(1);
    for (const { fidelity, quota, syntheticImages } of readReport(join(out, 'iois-seed1')).epochs) {
      expect(quota!.reduce((sum, n) => sum + n, 0)).toBe(syntheticImages);
      const faithful = quota!.reduce((sum, n, c) => sum + n * (fidelity!.perClass[c] ?? 0), 0);
      expect(fidelity!.all).toBeCloseTo(faithful / syntheticImages, 9);
      expect(fidelity!.all).toBeGreaterThan(0);
    }

    const digest = readReport(join(out, 'iois-seed1')).weightsDigest;
    const again = await ballast(args); // finished runs are kept
    expect(again.code).toBe(0);
    expect(readReport(join(out, 'iois-seed1')).weightsDigest).toBe(digest);
    expect(again.stdout).toContain('report:');
  });
});
