import { describe, expect, it } from 'vitest';
import { type RunCurves, runCharts } from './run-charts.ts';
import { printTheme } from './theme.ts';

const curves: RunCurves = {
  epoch: [1, 2],
  trainLoss: [1, 0.5],
  balancedAccuracy: [0.5, 0.75],
  accuracy: [0.5, 0.8],
  fewShotRecall: [null, null],
  fidelity: [null, null],
  fidelityTail: [null, null],
};

describe('the quality of a run', () => {
  const summary = (more: Partial<RunCurves>) => runCharts({ ...curves, ...more }, printTheme)[1]?.summary;

  it('has a line for each measure', () => {
    expect(summary({})).toBe(
      'Quality on validation over epochs: balanced accuracy from 50.0% to 75.0%, accuracy from 50.0% to 80.0%.',
    );
  });

  it('has one line for two measures where validation has as many images of every class', () => {
    expect(summary({ accuracy: curves.balancedAccuracy })).toBe(
      'Quality on validation over epochs: balanced accuracy = accuracy from 50.0% to 75.0%.',
    );
  });

  it('is left out where nothing was measured', () => {
    const none = [null, null];
    expect(runCharts({ ...curves, balancedAccuracy: none, accuracy: none }, printTheme)).toHaveLength(1);
  });
});
