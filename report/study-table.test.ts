import { expect, test } from 'vitest';
import { compareRows, emptyResult, type StudyResults, type StudyRunResult } from './study-results.ts';
import { studyTable } from './study-table.ts';
import { displayWidth } from './terminal/text.ts';
import { fakeStudy } from './testing/fake-records.ts';

function run(row: string, seed: number, balancedAccuracy: number): StudyRunResult {
  const place = { row, pair: seed - 1, seed, dir: 'd', content: 'c', code: '', reason: '' };
  const empty = emptyResult({ ...place, status: 'finished' });
  const worstRecall = balancedAccuracy;
  const others = { accuracy: 0.9, macroF1: balancedAccuracy - 0.01, mcc: 0.5 };
  return {
    ...empty,
    measures: { ...empty.measures, balancedAccuracy, worstRecall, ...others },
    optimizerSteps: 1044,
    seconds: 61,
  };
}

function table(runs: readonly StudyRunResult[], maxWidth: number): string[] {
  const names = [...new Set(runs.map(({ row }) => row))];
  const rows = names.map((name) => ({ name, settings: {}, runs: runs.filter(({ row }) => row === name) }));
  const results: StudyResults = {
    format: 1,
    ...{ title: 't', split: null, reference: 'erm', ceiling: null, worth: null, warnings: [] },
    ...{ classes: ['a', 'b'], classCounts: [9, 1] },
    rows: compareRows(rows, 'erm'),
  };
  return studyTable(results, { maxWidth }).split('\n');
}

test('one seed: values, differences and stars as written here by hand', () => {
  expect(table([run('erm', 1, 0.6541), run('iois', 1, 0.7208)], 70)).toEqual([
    'row   balanced acc.   vs erm  worst class   accuracy   macro F1',
    '────────────────────────────────────────────────────────────────',
    'erm           65.4%        –        65.4%      90.0%*     0.644',
    'iois          72.1%*    +6.7        72.1%*     90.0%*     0.711*',
    '* best; one seed: the spread between seeds is unknown.',
    'vs erm: points of balanced accuracy, same seed.',
    '',
  ]);
});

test('several seeds: mean ± sample deviation, paired interval (by hand: 10 ± 12.706·√2/√2 points)', () => {
  // Differences 0.09 and 0.11: mean 0.10, deviation 0.0141421, half width 12.706 · 0.0141421/√2 = 0.12706.
  const lines = table(
    [run('erm', 1, 0.6), run('erm', 2, 0.62), run('iois', 1, 0.69), run('iois', 2, 0.73)],
    44,
  );
  expect(lines[2]).toBe('erm     61.0 ± 1.4%                     –');
  expect(lines[3]).toBe('iois    71.0 ± 2.8%*  +10.0 [−2.7, +22.7]');
});

test('no line is wider than asked, down to the narrowest', () => {
  for (const maxWidth of [140, 100, 80, 60, 40, 20]) {
    const lines = studyTable(fakeStudy(), { maxWidth }).split('\n').slice(0, 6);
    expect(Math.max(...lines.map(displayWidth))).toBeLessThanOrEqual(maxWidth);
  }
});

test('not a number and nothing at all are shown as such', () => {
  const lines = table([run('erm', 1, NaN)], 60);
  expect(lines[2]).toMatch(/^erm +– /);
  expect(table([], 60)[0]).toBe('No runs to compare.');
});
