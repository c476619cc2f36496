import { describe, expect, it } from 'vitest';
import {
  compareRows,
  emptyResult,
  MEASURE_NAMES,
  type StudyResults,
  type StudyRunResult,
} from './study-results.ts';
import { studyCsv } from './study-csv.ts';
import { studyTable } from './study-table.ts';

const place = { dir: '/runs/a', content: 'c', code: 'd', reason: '' } as const;

function run(row: string, pair: number, balancedAccuracy: number, tailRecall: number): StudyRunResult {
  const empty = emptyResult({ ...place, row, pair, seed: pair + 1, status: 'finished' });
  return { ...empty, measures: { ...empty.measures, balancedAccuracy, tailRecall } };
}

const failed = emptyResult({ ...place, row: 'new', pair: 3, seed: 4, status: 'failed', reason: 'a, "b"' });
const rows = compareRows(
  [
    {
      name: 'base',
      settings: {},
      runs: [0, 1, 2, 3].map((pair) => run('base', pair, 0.5 + pair / 100, 0.2)),
    },
    {
      name: 'new',
      settings: {},
      runs: [run('new', 0, 0.51, 0.2), run('new', 1, 0.53, 0.3), run('new', 2, 0.55, 0.1), failed],
    },
  ],
  'base',
);

describe('compareRows', () => {
  it('takes differences pair by pair, without runs that have none', () => {
    const [balanced, tail, ...others] = rows[1]!.differences;
    balanced!.differences.forEach((d, i) => expect(d).toBeCloseTo([0.01, 0.02, 0.03][i]!, 12));
    expect(balanced!.p).toBe(2 / 8);
    expect(balanced!.mean).toBeCloseTo(0.02, 12);
    // t with two degrees of freedom: 4.303 · 0.01 / √3
    expect(balanced!.interval!.low).toBeCloseTo(0.02 - 0.0248434, 6);
    expect(tail!.measure).toBe('tailRecall');
    expect(others).toEqual([]); // nothing else was measured
    expect(rows[0]!.differences).toEqual([]);
  });

  it('corrects the primary measures together: of .25 and 1, the smaller is doubled', () => {
    expect(rows[1]!.differences.map(({ holmP }) => holmP)).toEqual([0.5, 1]);
  });
});

describe('headroom and cost', () => {
  it('share of the ceiling’s gain, and seconds for each point', () => {
    const timed = (row: string, seconds: number, value: number) => ({ ...run(row, 0, value, 0.2), seconds });
    const [base, half, worse, ceiling] = compareRows(
      [
        timed('base', 100, 0.8),
        timed('half', 160, 0.82),
        timed('worse', 90, 0.79),
        timed('real', 130, 0.84),
      ].map((one) => ({ name: one.row, settings: {}, runs: [one] })),
      'base',
      'real',
    );
    expect(half!.recovered).toBeCloseTo(0.5, 12);
    expect(half!.secondsPerPoint).toBeCloseTo(60 / 2, 9);
    expect(worse!.recovered).toBeCloseTo(-0.25, 12);
    expect(worse!.secondsPerPoint).toBeNull();
    expect(ceiling!.recovered).toBeNull();
    expect(base!.recovered).toBeNull();
  });
});

describe('worth in real images', () => {
  it('reads a score off the rows with more real images, of which it says nothing itself', () => {
    const scores = { base: 0.8, few: 0.82, many: 0.86, new: 0.84, worse: 0.7 };
    const lines = Object.entries(scores).map(([name, score]) => ({
      ...{ name, settings: {} },
      runs: [run(name, 0, score, 0.2)],
    }));
    const worth = { base: 0, few: 10, many: 50 };
    const compared = compareRows(lines, 'base', 'many', worth);
    expect(compared.slice(0, 3).map((row) => row.worth)).toEqual([null, null, null]);
    expect(compared[3]!.worth!.images).toBeCloseTo(30, 9); // half way from 10 to 50
    expect(compared[4]!.worth).toEqual({ place: 'below', images: 0 });
    expect(compareRows(lines.slice(3), 'new', null, worth)[0]!.worth).toBeNull(); // nothing of the curve is measured
    const results: StudyResults = {
      ...{ format: 1, title: 'T', split: null, reference: 'base', ceiling: 'many', worth },
      ...{ classes: [], classCounts: [], rows: compared, warnings: [] },
    };
    const table = studyTable(results);
    expect(studyTable(results, { maxWidth: 70 })).toMatch(/worth, images\n/); // other columns go first
    expect(studyTable(results, { maxWidth: 40 })).not.toContain('worth');
    expect(table).toMatch(/worth, images/);
    expect(table).toMatch(/^new .* 30 /m);
    expect(table).toMatch(/^worse .* below 0 /m);
  });
});

describe('tables', () => {
  const results: StudyResults = {
    format: 1,
    ...{
      title: 'T',
      split: 'development',
      reference: 'base',
      ceiling: null,
      worth: null,
      classes: ['a'],
      classCounts: [3],
      rows,
    },
    warnings: ['new, seed 4 failed: a, "b"'],
  };

  it('names failed runs', () => {
    const text = studyTable(results, { maxWidth: 200 });
    expect(text).toContain('On development images. * best');
    expect(text).toContain('+2.0 [−0.5, +4.5] p 0.250/0.500');
    expect(text).toMatch(/new +51\.0% +53\.0% +55\.0% +failed/);
    expect(text).toContain('! new, seed 4 failed');
  });

  it('has a line of CSV for each run, its texts quoted', () => {
    const lines = studyCsv(results).split('\r\n');
    expect(lines).toHaveLength(1 + 8 + 1);
    expect(lines[0]!.startsWith(`row,pair,seed,status,${MEASURE_NAMES.join(',')},recall a,`)).toBe(true);
    expect(lines[8]!.endsWith('"a, ""b"""')).toBe(true);
  });
});
