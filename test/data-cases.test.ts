// Data as people have it, through whole runs: data that moved, classes that a part lacks, and many classes.
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { expect, it } from 'vitest';
import { ballast } from './support/cli.ts';
import { writeShape, writeShapes } from './support/shapes.ts';
import { newFolder, readReport } from './support/suite.ts';

const SMALL = [
  ...['--epochs', '1', '--batch-size', '32', '--json'],
  ...['--set', 'classifier.widths=[8,8]', '--set', 'classifier.groups=4', '--set', 'synthesis.budget=0'],
];
const ERM = ['run', '--method', 'erm', ...SMALL];

it('a run goes on with data that lies elsewhere now, and with no other data', async () => {
  const folder = newFolder('moved');
  const [old, moved, dir] = ['old', 'moved', 'run'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  await writeShapes(old);
  expect(await ballast([...ERM, '--data', old, '--out', dir])).toMatchObject({ code: 0 });
  const before = readReport(dir);
  rmSync(join(dir, 'report.json')); // as a run that was stopped after its last epoch
  renameSync(old, moved);
  expect(await ballast(['run', '--resume', dir])).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^error: .*old: .*\n$/) as string,
  });
  expect(await ballast(['run', '--resume', dir, '--data', moved])).toMatchObject({ code: 0, stderr: '' });
  expect(readReport(dir)).toMatchObject({ weightsDigest: before.weightsDigest, test: before.test });
  rmSync(join(dir, 'report.json'));
  rmSync(join(moved, 'train', 'disc', '0.png'));
  expect(await ballast(['run', '--resume', dir, '--data', moved])).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^error: .*moved: the training images are not those that/) as string,
  });
});

it('a comparison never puts runs of other images beside its own', async () => {
  const folder = newFolder('grown');
  const [data, out] = [join(folder, 'data'), join(folder, 'compared')];
  await writeShapes(data);
  const compare = () =>
    ballast(['compare', '--methods', 'erm,oversample', ...SMALL, '--data', data, '--out', out]);
  expect(await compare()).toMatchObject({ code: 0, stderr: '' });
  rmSync(join(out, 'oversample-seed1'), { recursive: true }); // as if it had been stopped after the first
  await writeShape(join(data, 'train', 'disc', 'new.png'), 'disc', 1);
  expect(await compare()).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(
      /^error: \S+erm-seed1 holds a run on other images: .*--overwrite.*\n$/,
    ) as string,
  });
  expect(existsSync(join(out, 'oversample-seed1'))).toBe(false); // refused before anything trained
});

it('a class that a part lacks has no recall there', async () => {
  const folder = newFolder('lacking');
  const [data, dir] = [join(folder, 'data'), join(folder, 'run')];
  await writeShapes(data);
  rmSync(join(data, 'test', 'square'), { recursive: true });
  rmSync(join(data, 'train', 'disc'), { recursive: true });
  await writeShape(join(data, 'train', 'disc', 'only.png'), 'disc', 1); // validation, taken from train, gets none
  const end = await ballast([...ERM, '--data', data, '--out', dir]);
  expect(end.code === 0 ? '' : end.stderr).toBe('');
  const { test, validation, dataWarnings } = readReport(dir);
  expect(test!.perClassRecall).toEqual([expect.any(Number), expect.any(Number), null]);
  expect(test!.balancedAccuracy).toBeCloseTo((test!.perClassRecall[0]! + test!.perClassRecall[1]!) / 2, 12);
  expect(validation!.perClassRecall[1]).toBeNull();
  expect(validation!.worstRecall).toBe(
    Math.min(validation!.perClassRecall[0]!, validation!.perClassRecall[2]!),
  );
  expect(dataWarnings).toEqual(
    expect.arrayContaining(['test has no image of square', 'validation has no image of disc']),
  );
});

it('several hundred classes: records, pictures and page stay small', async () => {
  const folder = newFolder('many');
  const [data, dir] = [join(folder, 'data'), join(folder, 'run')];
  const classes = 400;
  for (let c = 0; c < classes; c++) {
    const own = join(data, `class ${c}`);
    mkdirSync(own, { recursive: true });
    for (let i = 0; i < 2; i++) {
      const pixels = Uint8Array.from({ length: 64 }, (_, at) => (at * 7 + c * 13 + i * 29) % 256);
      await sharp(pixels, { raw: { width: 8, height: 8, channels: 1 } }).toColourspace('b-w').toFile(join(own, `${i}.png`)); // prettier-ignore
    }
  }
  const end = await ballast([...ERM, '--data', data, '--out', dir]);
  expect(end.code === 0 ? '' : end.stderr).toBe('');
  const { validation, drawingWarning } = readReport(dir);
  expect(drawingWarning).toBeUndefined();
  expect(validation!.confusion).toEqual([]);
  expect(validation!.confusionCells!.reduce((sum, [, , images]) => sum + images, 0)).toBe(classes);
  expect(existsSync(join(dir, 'confusion.png'))).toBe(true);
  const bytes = (name: string) => readFileSync(join(dir, name)).length;
  expect(bytes('metrics.jsonl')).toBeLessThan(100_000);
  expect(bytes('report.html')).toBeLessThan(4_000_000);
});
