import { expect, test } from 'vitest';
import type { ComparisonReport, MethodReport } from './records.ts';
import { comparisonTable } from './table.ts';
import { displayWidth } from './terminal/text.ts';
import { fakeComparison, fakeMethodReport } from './testing/fake-records.ts';

function run(method: string, seed: number, balancedAccuracy: number): MethodReport {
  return {
    ...fakeMethodReport({ method, seed, epochs: 1, synthetic: false }),
    balancedAccuracy,
    accuracy: 0.9,
    macroF1: balancedAccuracy - 0.01,
    mcc: 0.5,
    perClassRecall: [1, balancedAccuracy],
    optimizerSteps: 1044,
    syntheticImages: 0,
    seconds: 61,
  };
}

function table(methods: readonly MethodReport[], maxWidth: number): string[] {
  const report: ComparisonReport = { title: 't', classes: ['a', 'b'], classCounts: [9, 1], methods };
  return comparisonTable(report, { maxWidth }).split('\n');
}

test('one seed: values, differences and stars as written here by hand', () => {
  expect(table([run('erm', 1, 0.6541), run('iois', 1, 0.7208)], 70)).toEqual([
    'method  balanced acc.   vs erm  worst class   accuracy   macro F1',
    '──────────────────────────────────────────────────────────────────',
    'erm             65.4%        –        65.4%      90.0%*     0.644',
    'iois            72.1%*    +6.7        72.1%*     90.0%*     0.711*',
    '* best; one seed: the spread between seeds is unknown.',
    'vs erm: points of balanced accuracy, same seed.',
    '',
  ]);
});

test('several seeds: mean ± sample deviation, paired interval (by hand: 10 ± 12.706·√2/√2 points)', () => {
  // Differences 0.09 and 0.11: mean 0.10, deviation 0.0141421, half width 12.706 · 0.0141421/√2 = 0.12706.
  const lines = table(
    [run('erm', 1, 0.6), run('erm', 2, 0.62), run('iois', 1, 0.69), run('iois', 2, 0.73)],
    56,
  );
  expect(lines[2]).toBe('erm       61.0 ± 1.4%                     –');
  expect(lines[3]).toBe('iois      71.0 ± 2.8%*  +10.0 [−2.7, +22.7]');
});

test('no line is wider than asked, down to the narrowest', () => {
  for (const maxWidth of [140, 100, 80, 60, 40, 20]) {
    const lines = comparisonTable(fakeComparison(), { maxWidth }).split('\n').slice(0, 6);
    expect(Math.max(...lines.map(displayWidth))).toBeLessThanOrEqual(maxWidth);
  }
});

test('not a number and nothing at all are shown as such', () => {
  const lines = table([run('erm', 1, NaN)], 60);
  expect(lines[2]).toMatch(/^erm +– /);
  expect(table([], 60)[0]).toBe('No runs to compare.');
});
