// Mistakes, each through the real command: one line that says what, where and what to do; no stack, nothing half-written.
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { zipSync } from 'fflate';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { npyBytes } from '../data/fixtures.ts';
import { ballast, Cli, type CliEnd } from './support/cli.ts';
import { actorsOf } from './support/processes.ts';
import { newFolder, readReport, referenceRun, runArgs, shapesData, shapesPrior } from './support/suite.ts';

let shapes: string;

beforeAll(async () => {
  shapes = await shapesData();
  await shapesPrior();
});

/** The folder of a run that failed before it began: it holds logs, and no results that could pass for a run's. */
const HARMLESS = ['events.jsonl', 'logs', 'metrics.jsonl'];

/** The output of a command, without the lines in which a busy machine tells how far it is with decoding. */
const printed = ({ stdout }: CliEnd) => stdout.replaceAll(/^decoding: .*\n/gm, '');

/** Expects exactly one line on stderr, which matches, and no run in `dir`. */
function expectMistake(end: CliEnd, line: RegExp, dir: string | null, code = 1): void {
  expect(end.stderr).toMatch(line);
  expect(end.stderr.trimEnd().split('\n')).toHaveLength(1);
  expect([end.code, printed(end)]).toEqual([code, '']);
  if (dir === null || !existsSync(dir)) return;
  expect(readdirSync(dir).filter((name) => !HARMLESS.includes(name))).toEqual([]);
  expect(actorsOf(dir)).toEqual([]);
}

/** Runs the tiny run with flags added, into a new folder; one worker is enough. */
async function mistaken(...flags: readonly string[]): Promise<{ end: CliEnd; dir: string }> {
  const dir = join(newFolder('mistake'), 'run');
  return { end: await ballast(await runArgs(dir, '--workers', '1', ...flags)), dir };
}

/** The same on other data, by a method that needs no workers. */
function mistakenData(data: string, ...flags: readonly string[]): Promise<{ end: CliEnd; dir: string }> {
  return mistaken('--data', data, '--method', 'erm', '--epochs', '1', ...flags);
}

/** A copy of the shapes that a test may spoil. */
function spoiledShapes(spoil: (train: string, dir: string) => void): string {
  const dir = join(newFolder('data'), 'shapes');
  cpSync(shapes, dir, { recursive: true });
  spoil(join(dir, 'train'), dir);
  return dir;
}

/** An NPZ file of 6 images of 8×8, with these arrays left out or given other labels. */
function npzFile(name: string, labels: { train: number[] | null; test: number[] }): string {
  const file = join(newFolder('npz'), name);
  const images = npyBytes(
    '|u1',
    [6, 8, 8],
    new Uint8Array(6 * 64).map((_, i) => i % 251),
  );
  const npyOf = (values: number[]) => npyBytes('|u1', [values.length, 1], Uint8Array.from(values));
  writeFileSync(
    file,
    zipSync({
      'train_images.npy': images,
      ...(labels.train === null ? {} : { 'train_labels.npy': npyOf(labels.train) }),
      'test_images.npy': images,
      'test_labels.npy': npyOf(labels.test),
    }),
  );
  return file;
}

describe('data', () => {
  it('missing folder', async () => {
    const { end, dir } = await mistakenData('/no/such/folder');
    expectMistake(end, /^error: \/no\/such\/folder: .*(no such|does not exist)/, dir);
  });

  it('empty class', async () => {
    const data = spoiledShapes((train) => mkdirSync(join(train, 'triangle')));
    const { end, dir } = await mistakenData(data);
    expectMistake(end, /^error: .*train\/triangle: class 'triangle' is empty .*; add images or remove/, dir);
  });

  it('one class', async () => {
    const data = spoiledShapes((train, root) => {
      for (const name of ['disc', 'square']) rmSync(join(train, name), { recursive: true });
      rmSync(join(root, 'test'), { recursive: true });
    });
    const { end, dir } = await mistakenData(data);
    expectMistake(end, /^error: .*only the class 'cross'; a classifier needs at least two/, dir);
  });

  it('corrupt jpg: refused, or skipped by choice and counted', async () => {
    const data = spoiledShapes((train) => writeFileSync(join(train, 'disc', 'bad.jpg'), 'not a picture'));
    const refused = await mistakenData(data, '--validation', 'none');
    expectMistake(refused.end, /^error: .*disc\/bad\.jpg: .*cannot be .*--on-bad-image skip/, refused.dir);

    const skipped = await mistakenData(data, '--on-bad-image', 'skip');
    expect(skipped.end.code).toBe(0);
    expect(`${printed(skipped.end)}${skipped.end.stderr}`).toMatch(
      /^skipped 1 image that cannot be read: .*disc\/bad\.jpg: /,
    );
    expect(readReport(skipped.dir).skippedImages).toEqual([expect.stringContaining('disc/bad.jpg: ')]);
    expect(readReport(skipped.dir).classCounts).toEqual([36, 13, 5]);

    const shown = await ballast(['data', data, '--on-bad-image', 'skip']);
    expect(shown.stdout).toMatch(/skipped: 1\n {2}.*bad\.jpg/);
  });

  it('NPZ without labels', async () => {
    const file = npzFile('unlabelled.npz', { train: null, test: [0, 1, 2, 0, 1, 2] });
    const { end, dir } = await mistakenData(file);
    expectMistake(end, /^error: .*unlabelled\.npz: has train_images but no train_labels; /, dir);
  });

  it('label outside the classes', async () => {
    const file = npzFile('strange.npz', { train: [0, 1, 2, 0, 1, 2], test: [0, 1, 2, 0, 1, 7] });
    const { end, dir } = await mistakenData(file);
    expectMistake(
      end,
      /^error: .*strange\.npz: test_labels: label 7 of image 5 is outside the 3 classes/,
      dir,
    );
    const data = spoiledShapes((train, root) =>
      cpSync(join(train, 'disc'), join(root, 'test', 'ellipse'), { recursive: true }),
    );
    const folder = await mistakenData(data);
    expectMistake(folder.end, /^error: .*test\/ellipse: class 'ellipse' is not among the train/, folder.dir);
  });

  it('data that changed since the run began', async () => {
    const data = spoiledShapes(() => undefined);
    const dir = join(newFolder('changed'), 'run');
    const erm = ['--data', data, '--method', 'erm', '--epochs', '1'];
    expect((await ballast(await runArgs(dir, ...erm))).code).toBe(0);
    rmSync(join(dir, 'report.json'));
    copyFileSync(join(data, 'train', 'disc', '0.png'), join(data, 'train', 'square', 'new.png'));
    const end = await ballast(['run', '--resume', dir]);
    expectMistake(end, /^error: .*the training images are not those that .* began with; restore them/, null);
  });
});

describe('configuration', () => {
  it('run folder that another process works in', async () => {
    const dir = join(newFolder('busy'), 'run');
    const first = Cli.start(await runArgs(dir, '--json', '--epochs', '500')); // longer than both attempts take
    await first.waitFor(/"type":"started"/);
    for (const second of [
      await ballast(['run', '--resume', dir]),
      await ballast(await runArgs(dir, '--overwrite')),
    ])
      expect(second).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(
          new RegExp(`^error: .*process ${first.pid} is working in this folder`),
        ) as string,
      });
    first.interrupt();
    const { code, stderr } = await first.ended;
    expect({ code, stderr }).toMatchObject({
      code: 130,
      stderr: expect.stringContaining('Stopped') as string,
    }); // undisturbed
  });

  it('learning rate with which training diverges', async () => {
    const { end } = await mistaken('--method', 'erm', '--learning-rate', '1e30');
    expect(end.code).toBe(1);
    expect(end.stderr).toMatch(
      /^error: training diverged at step \d+: the loss is NaN.*learningRate than 1e\+30/,
    );
    expect(end.stderr.trim().split('\n')).toHaveLength(1);
  });

  it('prior that is none', async () => {
    const missing = await mistaken('--prior', '/no/prior.safetensors');
    expectMistake(
      missing.end,
      /^error: .*\/no\/prior\.safetensors.*(no such file|missing|not there)/i,
      missing.dir,
    );
    const file = join(newFolder('prior'), 'text.safetensors');
    writeFileSync(file, 'this is no model');
    const text = await mistaken('--prior', file);
    expectMistake(text.end, /^error: .*text\.safetensors/, text.dir);
    const none = await ballast([
      'run',
      '--data',
      shapes,
      '--method',
      'iois',
      '--out',
      join(newFolder('x'), 'run'),
    ]);
    expectMistake(none, /^error: command line: method iois makes images and needs a diffusion prior; /, null);
  });

  it('unknown field, with the nearest known one and the line', async () => {
    const file = join(newFolder('config'), 'run.yaml');
    writeFileSync(file, 'method: erm\ntraining:\n  epochs: 1\n  lerningRate: 0.1\n');
    const { end, dir } = await mistaken('--config', file);
    expectMistake(
      end,
      /run\.yaml:4: unknown field training\.lerningRate; did you mean learningRate\?$/m,
      dir,
    );
    expect(existsSync(dir)).toBe(false);
  });

  it('negative budget', async () => {
    const { end, dir } = await mistaken('--budget', '-5');
    expectMistake(
      end,
      /^error: command line: synthesis\.budget is -5; it must be a whole number of at least 0/,
      dir,
    );
    expect(existsSync(dir)).toBe(false);
  });

  it('unknown method, unknown flag', async () => {
    const { end, dir } = await mistaken('--method', 'ioi');
    expectMistake(
      end,
      /^error: command line: unknown method 'ioi'; did you mean iois\? Known: erm, replay/,
      dir,
    );
    const flag = await ballast(['run', '--buget', '3']);
    expect(flag).toMatchObject({ code: 2, stdout: '' });
    expect(flag.stderr).toContain("unknown option '--buget'");
  });
});

describe('surroundings', () => {
  it('port in use', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const { end, dir } = await mistaken('--metrics-port', String(port));
    server.close();
    expectMistake(end, new RegExp(`^error: Port ${port} on 127\\.0\\.0\\.1 is in use: choose another`), dir);
    const none = await mistaken('--metrics-port', 'http');
    expectMistake(none.end, /^error: --metrics-port http: it must be a whole number/, none.dir);
  });

  it('unreachable NATS', async () => {
    const { end, dir } = await mistaken('--nats', 'nats://127.0.0.1:1');
    expectMistake(end, /^error: Cannot reach NATS at 127\.0\.0\.1:\d+ /, dir);
  });

  it('existing run folder, and files of others', async () => {
    const { dir } = await referenceRun();
    const before = readReport(dir);
    const again = await ballast(await runArgs(dir));
    expect(again).toMatchObject({ code: 1, stdout: '' });
    expect(again.stderr).toMatch(
      /^error: .*reference already holds a run; .*--resume .*--overwrite.*--out\n$/,
    );
    expect(readReport(dir)).toEqual(before);
    const others = newFolder('others');
    writeFileSync(join(others, 'thesis.tex'), 'years of work');
    const refused = await ballast(await runArgs(others, '--overwrite'));
    expect(refused.stderr).toMatch(/^error: .* holds files that no run wrote \(thesis\.tex\); [^\n]*\n$/);
    expect(readdirSync(others)).toEqual(['thesis.tex']);
  });

  it('nothing to resume', async () => {
    expectMistake(
      await ballast(['run', '--resume', '/no/run']),
      /^error: \/no\/run: there is no such run/,
      null,
    );
    expectMistake(
      await ballast(['run', '--resume', shapes]),
      /is not a run folder: it has no config\.json/,
      null,
    );
  });
});

/** A small file system of its own in memory; null where that is not allowed. */
function smallDisk(size: string): string | null {
  const dir = newFolder('disk');
  return spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'ballast-test', dir]).status === 0
    ? dir
    : null;
}

function unmount(disk: string): void {
  execFileSync('umount', [disk]);
}

describe('full disk in the run folder', () => {
  const probe = smallDisk('64k');
  if (probe !== null) unmount(probe);
  const canMount = probe !== null;
  const why = canMount ? '' : ' (skipped: tmpfs cannot be mounted here, it takes root)';

  it.skipIf(!canMount)(`at the start${why}`, async () => {
    const disk = smallDisk('16k')!;
    onTestFinished(() => unmount(disk));
    const dir = join(disk, 'run');
    try {
      writeFileSync(join(disk, 'filler'), new Uint8Array(16 * 1024));
    } catch {
      // Full now.
    }
    const end = await ballast(await runArgs(dir));
    expect(end.stderr).toMatch(/^error: .*disk is full: free some space or choose another folder[^\n]*\n$/);
    expect(end.code).toBe(1);
    expect(actorsOf(dir)).toEqual([]);
  });

  it.skipIf(!canMount)(`in mid-run; with more space --resume ends the run${why}`, async () => {
    const disk = smallDisk('160k')!;
    onTestFinished(() => unmount(disk));
    const dir = join(disk, 'run');
    const end = await ballast(await runArgs(dir));
    expect(end.stderr).toMatch(/^error: .*disk is full: free some space or choose another folder[^\n]*\n$/);
    expect(end.code).toBe(1);
    expect(actorsOf(dir)).toEqual([]);
    execFileSync('mount', ['-o', 'remount,size=20m', disk]);
    expect(await ballast(['run', '--resume', dir])).toMatchObject({ code: 0, stderr: '' });
    expect(readReport(dir).weightsDigest).toBe(readReport((await referenceRun()).dir).weightsDigest);
  });
});
