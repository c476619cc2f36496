import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { renderComparisonHtml, writeComparisonHtml } from './comparison-html.ts';
import { renderRunHtml, writeReportHtml } from './html.ts';
import { writeLearningCurves } from './learning-curves.ts';
import { pngGrid } from './png-grid.ts';
import type { ComparisonReport, RunReport } from './records.ts';
import { CLASSES, fakeComparison, fakeImages, fakeRunReport } from './testing/fake-records.ts';

const NASTY = '<script>alert("x")</script>&\'\u0007';

let dir = '';
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'ballast-report-'));
});
afterEach(async () => {
  await rm(dir, { recursive: true, force: true });
});

/** Every address in the page; none may lead out of the folder. */
function addresses(html: string): string[] {
  return [...html.matchAll(/(?:src|href)="([^"]*)"/g)].map((match) => match[1] ?? '');
}

async function writeGrids(runDir: string, report: RunReport): Promise<void> {
  await mkdir(join(runDir, 'grids'), { recursive: true });
  const rows = CLASSES.map((_, index) => [2 * index, 2 * index + 1]);
  const png = await pngGrid({
    images: fakeImages(2),
    height: 28,
    width: 28,
    channels: 1,
    rows,
    rowLabels: CLASSES,
  });
  for (const record of report.epochs)
    if (record.grid !== null) await writeFile(join(runDir, record.grid), png);
}

test('the page of a run says what was run, how it did, and embeds its pictures', async () => {
  const report = fakeRunReport({ grids: true, epochs: 3 });
  await writeGrids(dir, report);
  await writeFile(join(dir, 'config.json'), '{ "method": "iois <b>" }');
  const path = await writeReportHtml(dir, report);
  const html = await readFile(path, 'utf8');
  expect(html).toContain('reached a balanced accuracy of');
  expect(html).toContain(
    '10 classes, 4,963 training images: from 2,000 (T-shirt/top) down to 20 (Ankle boot), 100 to 1.',
  );
  expect(html).toContain('&quot;iois &lt;b&gt;&quot;');
  expect(html).toContain(report.weightsDigest);
  expect(html.match(/src="data:image\/png;base64,/g)).toHaveLength(3);
  expect(html).toContain('Epoch 3: a sample of 600 synthetic images');
  expect(html.match(/ checked/g)).toHaveLength(1);
  expect(addresses(html).every((address) => address.startsWith('data:image/png;base64,'))).toBe(true);
});

test('pictures too large to embed are named by a relative address; missing ones are left out', async () => {
  const report = fakeRunReport({ grids: true, epochs: 2 });
  await mkdir(join(dir, 'grids'));
  await writeFile(join(dir, 'grids', 'epoch-002.png'), new Uint8Array(2_000_001));
  expect(addresses(await renderRunHtml(report, dir))).toEqual(['./grids/epoch-002.png']);
});

test('everything is escaped, in both pages', async () => {
  const run: RunReport = {
    ...fakeRunReport({ method: NASTY }),
    classes: CLASSES.map(() => NASTY),
    environment: { [NASTY]: NASTY },
    weightsDigest: NASTY,
  };
  const plain = fakeComparison([1]);
  const comparison: ComparisonReport = {
    ...plain,
    title: NASTY,
    classes: run.classes,
    methods: plain.methods.map((method) => ({ ...method, method: `${method.method}${NASTY}`, run: NASTY })),
  };
  for (const html of [await renderRunHtml(run, dir), await renderComparisonHtml(comparison, dir)]) {
    expect(html).not.toContain('<script');
    expect(html).not.toContain('\u0007');
    expect(html).toContain('&lt;script&gt;');
    expect(html).not.toMatch(/javascript:|(src|href)="https?:/);
  }
});

test('what was not measured leaves no NaN, null or undefined behind', async () => {
  const bare: RunReport = {
    ...fakeRunReport({ synthetic: false }),
    validation: null,
    test: null,
    epochs: fakeRunReport({ synthetic: false, epochs: 2 }).epochs.map((record) => ({
      ...record,
      trainLoss: NaN,
      samplingAccuracy: null,
      validation: null,
    })),
  };
  const visible = (html: string): string => html.replace(/<style>.*?<\/style>/s, '');
  for (const report of [bare, { ...bare, epochs: [] }, { ...bare, classes: [], classCounts: [] }]) {
    expect(visible(await renderRunHtml(report, dir))).not.toMatch(/NaN|null|undefined|Infinity/);
  }
  const empty: ComparisonReport = { title: 'none', classes: [], classCounts: [], methods: [] };
  expect(visible(await renderComparisonHtml(empty, dir))).not.toMatch(/NaN|null|undefined|Infinity/);
});

test('a comparison shows spread, paired differences, and what lies in its runs’ folders', async () => {
  const comparison = fakeComparison([1, 2, 3]);
  const first = fakeRunReport({ method: 'iois', grids: true, epochs: 2 });
  await writeGrids(join(dir, 'iois-seed-1'), first);
  await writeFile(join(dir, 'iois-seed-1', 'report.json'), JSON.stringify(first));
  const html = await readFile(await writeComparisonHtml(dir, comparison), 'utf8');
  expect(html).toMatch(
    /Of 4 methods, iois\+logit-adjust has the highest balanced accuracy: \d\d\.\d ± \d\.\d%/,
  );
  expect(html).toContain('3 paired seeds');
  expect(html).toContain('Confusion, iois, test');
  expect(html).toContain('href="./iois%2Blogit-adjust-seed-2/report.html"');
  expect(html.match(/src="data:image\/png/g)).toHaveLength(2);
});

test('one seed is said to be one seed', async () => {
  const html = await renderComparisonHtml(fakeComparison([1]), dir);
  expect(html).toContain('one seed: the spread is unknown');
  expect(html).toContain('differences of a few points may be chance');
});

test('a broken report.json of a run is named', async () => {
  await mkdir(join(dir, 'erm-seed-1'));
  await writeFile(join(dir, 'erm-seed-1', 'report.json'), '{');
  await expect(renderComparisonHtml(fakeComparison([1]), dir)).rejects.toThrow(
    /erm-seed-1\/report\.json is not JSON/,
  );
});

test('learning-curves.png and confusion.png are pictures on white', async () => {
  expect(await writeLearningCurves(dir, fakeRunReport())).toEqual([
    join(dir, 'learning-curves.png'),
    join(dir, 'confusion.png'),
  ]);
  for (const name of ['learning-curves.png', 'confusion.png']) {
    const { data, info } = await sharp(join(dir, name)).raw().toBuffer({ resolveWithObject: true });
    expect(info.width).toBeGreaterThan(600);
    expect([...data.subarray(0, 3)]).toEqual([255, 255, 255]);
  }
  const bare = { ...fakeRunReport({ epochs: 1, synthetic: false }), test: null, validation: null };
  expect(await writeLearningCurves(dir, bare)).toHaveLength(1);
});
