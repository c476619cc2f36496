// Every way to make and use images that is off by default, in two runs: each ends the same wherever it was stopped.
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ballast, Cli } from './support/cli.ts';
import { jsonLines, newFolder, readMetrics, readReport, runArgs } from './support/suite.ts';

const settings = (values: Readonly<Record<string, unknown>>) =>
  Object.entries(values).flatMap(([name, value]) => ['--set', `${name}=${JSON.stringify(value)}`]);

/** Five epochs: images are made in the first and third, kept for the second and fourth, and the last has none. */
const COMMON = {
  'training.finish': 0.2,
  'training.syntheticShare': 0.5,
  'synthesis.every': 2,
  'synthesis.guidance.lda': 1,
  'synthesis.guidance.lowPass': true,
};
const DESIGNS = [
  {
    name: 'anchors by a curriculum',
    method: 'iois+oversample',
    made: [24, 0, 24, 0, 0],
    killedIn: 1,
    own: {
      'synthesis.curriculum': [0.8, 0.4],
      'synthesis.guidance.copies': 2,
      'adaptiveSampling.measure': 'variants',
      'adaptiveSampling.variants': 4,
    },
  },
  {
    name: 'noise, guided by the head on the features of the prior',
    method: 'iois+oversample',
    made: [24, 0, 24, 0, 0],
    killedIn: 1,
    own: {
      'synthesis.start': 'noise',
      'synthesis.guidance.rule': 'prior-features',
      'synthesis.guidance.headSteps': 5,
    },
  },
  {
    name: 'images made once by a trained guide, and a head trained anew in the last two epochs',
    method: 'iois+crt+one-shot+randaugment',
    made: [0, 0, 24, 0, 0],
    killedIn: 4,
    own: { 'synthesis.every': 100_000 },
  },
] as const;

describe.each(DESIGNS)('$name', ({ name, method, made, killedIn, own }) => {
  const args = (dir: string, ...more: string[]) =>
    runArgs(
      dir,
      ...['--method', method, '--epochs', '5', '--budget', '24'],
      ...settings({ ...COMMON, ...own }),
      ...more,
    );
  const weights = (dir: string) => readFile(join(dir, 'model', 'model.safetensors'));

  it('ends alike with three workers, and when killed while it trains on kept images', async () => {
    const whole = join(newFolder(`designs ${name} whole`), 'run');
    expect(await ballast(await args(whole, '--workers', '3'))).toMatchObject({ code: 0, stderr: '' });
    expect(readMetrics(whole).map(({ syntheticImages }) => syntheticImages)).toEqual(made);

    const killed = join(newFolder(`designs ${name} killed`), 'run');
    const cli = Cli.start(await args(killed, '--workers', '1', '--json'));
    await cli.waitFor(new RegExp(`"type":"epoch","record":\\{"epoch":${killedIn},`));
    cli.signal('SIGKILL');
    await cli.ended;
    const before = readFileSync(join(killed, 'metrics.jsonl'), 'utf8');
    expect(jsonLines(before).length).toBeLessThan(5);
    expect(await ballast(['run', '--resume', killed])).toMatchObject({ code: 0, stderr: '' });

    expect(readReport(killed).weightsDigest).toBe(readReport(whole).weightsDigest);
    expect(readMetrics(killed)).toEqual(readMetrics(whole));
    expect(await weights(killed)).toEqual(await weights(whole));
  });
});
