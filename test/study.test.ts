// `ballast study` as a person runs it, on drawn shapes: interrupted and continued, with a run that fails and a row that is dropped.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { StudyResults } from '../report/study-results.ts';
import { browser, newPage, noBrowser, openBrowser, violations } from './support/browser.ts';
import { ballast, Cli } from './support/cli.ts';
import { livingActors, startTestNode } from './support/cluster.ts';
import { newFolder, shapesData, shapesPrior } from './support/suite.ts';

interface StudyFolder {
  readonly file: string;
  readonly out: string;
}

/** Rows of a few steps each; `rows` are lines of YAML. A seed costs a run a row. */
async function writeStudy(
  rows: readonly string[],
  { seeds = [1], more = [] }: { seeds?: readonly number[]; more?: readonly string[] } = {},
): Promise<StudyFolder> {
  const dir = newFolder('study');
  const [file, out] = [join(dir, 'study.yaml'), join(dir, 'out')];
  const text = [
    'title: Shapes',
    'settings:',
    `  data: { source: ${JSON.stringify(await shapesData())} }`,
    '  classifier: { widths: [8, 16], groups: 4 }',
    '  training: { epochs: 2, steps: 8, batchSize: 8 }',
    '  synthesis: { budget: 0 }',
    'rows:',
    ...rows,
    `seeds: ${JSON.stringify(seeds)}`,
    `out: ${JSON.stringify(out)}`,
    ...more,
  ];
  writeFileSync(file, `${text.join('\n')}\n`);
  return { file, out };
}

const resultsOf = ({ out }: StudyFolder) =>
  JSON.parse(readFileSync(join(out, 'results.json'), 'utf8')) as StudyResults;

/** The part that must not depend on how the study was done. */
const essence = ({ rows }: StudyResults) =>
  rows.map(({ name, runs }) => [name, runs.map(({ seed, weightsDigest }) => [seed, weightsDigest])]);

const PLAIN = '  - { name: plain, settings: { method: erm } }';
const BALANCED = '  - { name: balanced, settings: { method: oversample } }';

/** A study with images and with a run that fails; done once. */
let mixedStudy: ReturnType<typeof doMixedStudy> | null = null;

async function doMixedStudy() {
  const broken = join(newFolder('broken'), 'prior.safetensors');
  writeFileSync(broken, 'no prior');
  const synthesis = 'synthesis: { budget: 12, shardSize: 6, steps: 2 }';
  const study = await writeStudy([
    PLAIN,
    `  - { name: broken, settings: { method: iois, prior: ${JSON.stringify(broken)}, ${synthesis} } }`,
    `  - { name: guided, settings: { method: iois, prior: ${JSON.stringify(await shapesPrior())}, ${synthesis} } }`,
  ]);
  return { study, end: await ballast(['study', study.file]) };
}

describe('ballast study', () => {
  it('continues after an interruption to the same results, and keeps what is done', async () => {
    const rows = [PLAIN, BALANCED, '  - { name: plain again, settings: { method: erm } }'];
    const whole = await writeStudy(rows);
    expect(await ballast(['study', whole.file])).toMatchObject({ code: 0, stderr: '' });
    const results = resultsOf(whole);
    expect(results.rows.flatMap(({ runs }) => runs.map(({ status }) => status))).toEqual(
      Array(3).fill('finished'),
    );
    // Equal settings share their runs.
    expect(results.rows[2]!.runs.map(({ dir }) => dir)).toEqual(results.rows[0]!.runs.map(({ dir }) => dir));
    expect(readdirSync(join(whole.out, 'runs'))).toHaveLength(2);

    const parts = await writeStudy(rows);
    const cli = Cli.start(['study', parts.file]);
    await cli.waitFor(/finished: balanced accuracy/);
    cli.signal('SIGTERM');
    const end = await cli.ended;
    expect(end.code).toBe(143);
    expect(end.stderr).toContain('Continue with the same command');
    const again = await ballast(['study', parts.file]);
    expect(again).toMatchObject({ code: 0, stderr: '' });
    expect(again.stdout).toContain('plain, seed 1: finished before, kept');
    expect(essence(resultsOf(parts))).toEqual(essence(results));
    expect(readFileSync(join(parts.out, 'report.html'), 'utf8')).toContain('plain again');
  });

  it('names a run that fails, does the others, and shows the images that were made', async () => {
    const { study, end } = await (mixedStudy ??= doMixedStudy());
    expect(end.code).toBe(1);
    expect(end.stderr).toMatch(/broken, seed 1 failed: .*prior\.safetensors/);
    expect(end.stderr).toContain('1 of 3 runs failed (first: broken, seed 1');
    const { rows, warnings } = resultsOf(study);
    expect(rows.map(({ runs }) => runs.map(({ status }) => status))).toEqual([
      ['finished'],
      ['failed'],
      ['finished'],
    ]);
    expect(warnings.join()).toContain('broken, seed 1 failed');
    expect(rows[2]!.runs[0]!.syntheticImages).toBe(24);
    expect(readFileSync(join(study.out, 'report.html'), 'utf8')).toContain('data:image/png;base64,');
    expect(readFileSync(join(study.out, 'results.csv'), 'utf8').split('\r\n')).toHaveLength(1 + 3 + 1);
  });

  it('makes the images of its runs on the nodes of a cluster, several runs at a time', async () => {
    const synthesis = 'synthesis: { budget: 12, shardSize: 6, steps: 2 }';
    const guided = `{ method: iois, prior: ${JSON.stringify(await shapesPrior())}, workers: 2, ${synthesis} }`;
    const rows = [`  - { name: guided, settings: ${guided} }`];
    const seeds = [1, 2];
    const [alone, joined] = [await writeStudy(rows, { seeds }), await writeStudy(rows, { seeds })];
    expect(await ballast(['study', alone.file])).toMatchObject({ code: 0, stderr: '' });
    const node = await startTestNode(newFolder('cluster'), `t${process.pid}-study`, ['--resources', 'cpu=2']);
    try {
      const flags = ['--join', `grpc://${node.address}`, '--parallel', '2'];
      expect(await ballast(['study', joined.file, ...flags])).toMatchObject({ code: 0, stderr: '' });
    } finally {
      node.cli.signal('SIGTERM');
      await node.cli.ended;
    }
    expect(essence(resultsOf(joined))).toEqual(essence(resultsOf(alone)));
    const logs = readdirSync(join(node.dir, 'logs')).filter((name) => name.includes('diffusion-worker'));
    expect(logs.length).toBeGreaterThanOrEqual(1);
    expect(livingActors([node])).toEqual([]);
  });

  it.skipIf(browser === null)(`is shown by ballast dashboard${noBrowser}`, async () => {
    const { study } = await (mixedStudy ??= doMixedStudy());
    const cli = Cli.start(['dashboard', study.out]);
    const link = (await cli.waitFor(/dashboard: (http:\S+)\n/))[1]!;
    const context = await openBrowser(browser!, newFolder('profile'));
    onTestFinished(() => context.close());
    const problems: string[] = [];
    const page = await newPage(context, problems);
    await page.goto(link);
    await page.getByRole('link', { name: 'Shapes', exact: true }).click();
    const rows = page.getByRole('table', { name: 'Rows' });
    for (const name of ['plain', 'broken', 'guided']) await rows.getByRole('rowheader', { name }).waitFor();
    const curves = await page.locator('#curves figure:not([hidden])').all();
    expect(curves.length).toBeGreaterThanOrEqual(2);
    for (const curve of curves) {
      await curve.scrollIntoViewIfNeeded(); // charts are drawn when they come into view
      await curve.locator('canvas').waitFor();
    }
    const images = page.locator('img[alt^="guided: "]');
    await expect.poll(() => images.count()).toBe(3);
    for (const image of await images.all()) {
      await image.scrollIntoViewIfNeeded();
      await expect
        .poll(() => image.evaluate((img) => (img as unknown as { naturalWidth: number }).naturalWidth))
        .toBeGreaterThan(0);
    }
    expect(await violations(page)).toEqual([]);
    const out = process.env['BALLAST_PAGE_RECORDING'];
    if (out !== undefined) await page.screenshot({ path: join(out, 'study.png'), fullPage: true });
    await page.getByRole('link', { name: 'guided, seed 1' }).click();
    await page.getByText('after 2 epochs').waitFor();
    expect(problems).toEqual([]);
    cli.signal('SIGTERM');
    expect((await cli.ended).code).toBe(0);
  });

  it('drops a row by its stop rule, and begins no further run of it', async () => {
    // A learning rate of next to nothing learns nothing, so it cannot beat the other row in NLL.
    const idle = '{ method: erm, training: { learningRate: 1.0e-9 } }';
    const study = await writeStudy([PLAIN, `  - { name: idle, settings: ${idle} }`], {
      seeds: [1, 2],
      more: ['stop: { afterSeeds: 1, measures: [nll] }'],
    });
    expect(await ballast(['study', study.file])).toMatchObject({ code: 0, stderr: '' });
    const { rows, warnings } = resultsOf(study);
    expect(rows[1]!.runs.map(({ status }) => status)).toEqual(['finished', 'dropped']);
    expect(warnings.join()).toContain('idle, seed 2 dropped: with the first 1 seeds it did not always beat');
    expect(readdirSync(join(study.out, 'runs'))).toHaveLength(3);
    expect(existsSync(join(study.out, 'report.html'))).toBe(true);
  });

  it('says on which line a setting is wrong, before anything runs', async () => {
    const study = await writeStudy(['  - { name: a, settings: { training: { epochs: 0 } } }']);
    const end = await ballast(['study', study.file]);
    expect(end).toMatchObject({ code: 1, stdout: '' });
    expect(end.stderr).toContain(`${study.file}:8: `);
    expect(end.stderr).toContain('training.epochs is 0');
    expect(existsSync(study.out)).toBe(false);
  });
});
