// predictions-*.csv of a run: an auditor recomputes the report's numbers from them. The arithmetic here is this file's own.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'csv-parse/sync';
import { describe, expect, it } from 'vitest';
import { readReport, referenceRun } from './support/suite.ts';

interface Row {
  readonly image: string;
  readonly label: string;
  /** Of each class by name. */
  readonly probabilities: ReadonlyMap<string, number>;
}

function readRows(path: string): Row[] {
  return parse<Record<string, string>>(readFileSync(path), { columns: true }).map(
    ({ image, label, ...classes }) => ({
      image: image!,
      label: label!,
      probabilities: new Map(Object.entries(classes).map(([name, text]) => [name, Number(text)])),
    }),
  );
}

const likeliest = ({ probabilities }: Row): [string, number] =>
  [...probabilities].reduce((best, one) => (one[1] > best[1] ? one : best));
const isRight = (row: Row) => likeliest(row)[0] === row.label;
const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
const shareRight = (rows: readonly Row[]) => mean(rows.map((row) => (isRight(row) ? 1 : 0)));

function groups(rows: readonly Row[], keyOf: (row: Row) => string | number): Row[][] {
  const found = new Map<string | number, Row[]>();
  for (const row of rows) found.set(keyOf(row), [...(found.get(keyOf(row)) ?? []), row]);
  return [...found.values()];
}

/** Mean recall of the classes that have images. */
const balancedAccuracy = (rows: readonly Row[]) => mean(groups(rows, ({ label }) => label).map(shareRight));
const logLoss = (rows: readonly Row[]) =>
  mean(rows.map((row) => -Math.log(row.probabilities.get(row.label)!)));

/** Fifteen bins of equal width of the largest probability, each closed above (Guo et al. 1706.04599). */
function calibrationError(rows: readonly Row[]): number {
  const bins = groups(rows, (row) => Math.ceil(likeliest(row)[1] * 15));
  const gaps = bins.map(
    (bin) =>
      (bin.length / rows.length) * Math.abs(shareRight(bin) - mean(bin.map((row) => likeliest(row)[1]))),
  );
  return gaps.reduce((sum, gap) => sum + gap, 0);
}

/** Cohen's kappa with squared distances between classes in the order of the header. */
function quadraticKappa(rows: readonly Row[]): number {
  const place = new Map([...rows[0]!.probabilities.keys()].map((name, i) => [name, i]));
  const pairs = rows.map((row) => [place.get(row.label)!, place.get(likeliest(row)[0])!] as const);
  const observed = mean(pairs.map(([label, given]) => (label - given) ** 2));
  const expected = mean(pairs.flatMap(([label]) => pairs.map(([, given]) => (label - given) ** 2)));
  return 1 - observed / expected;
}

describe.each(['validation', 'test'] as const)('predictions-%s.csv', (split) => {
  it('gives the accuracies, likelihood, calibration and kappa of report.json', async () => {
    const { dir } = await referenceRun();
    const rows = readRows(join(dir, `predictions-${split}.csv`));
    const metrics = readReport(dir)[split]!;
    expect(rows.length).toBe(metrics.count);
    expect(new Set(rows.map(({ image }) => image)).size).toBe(rows.length);
    for (const { probabilities } of rows)
      expect([...probabilities.values()].reduce((sum, p) => sum + p, 0)).toBeCloseTo(1, 5);
    expect(shareRight(rows)).toBeCloseTo(metrics.accuracy, 12);
    expect(balancedAccuracy(rows)).toBeCloseTo(metrics.balancedAccuracy, 12);
    expect(logLoss(rows)).toBeCloseTo(metrics.nll, 6);
    expect(calibrationError(rows)).toBeCloseTo(metrics.ece, 6);
    expect(quadraticKappa(rows)).toBeCloseTo(metrics.quadraticKappa!, 10);
  });
});
