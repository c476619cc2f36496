import { describe, expect, it } from 'vitest';
import { STOP_MEASURES } from '../../config/study-config.ts';
import {
  compareRows,
  emptyResult,
  MEASURE_NAMES,
  type StudyResults,
  type StudyRunResult,
} from '../../report/study-results.ts';
import { type StopRule, whyDropped } from './stop-rule.ts';

const RULE: StopRule = { afterSeeds: 2, measures: ['tailRecall', 'nll'], against: ['base', 'mixup'] };

function run(row: string, pair: number, tailRecall: number | null, nll: number): StudyRunResult {
  const place = { row, pair, seed: pair + 1, dir: 'd', content: '', code: '', reason: '' };
  const empty = emptyResult({ ...place, status: 'finished' });
  return { ...empty, measures: { ...empty.measures, tailRecall, nll } };
}

/** Tail recall and NLL of each row, seed by seed. */
function study(rows: Readonly<Record<string, readonly (readonly [number | null, number])[]>>): StudyResults {
  const lines = Object.entries(rows).map(([name, scores]) => ({
    ...{ name, settings: {} },
    runs: scores.map(([tail, nll], pair) => run(name, pair, tail, nll)),
  }));
  return {
    format: 1,
    ...{
      title: 't',
      split: 'development',
      reference: 'base',
      ceiling: 'real',
      worth: { few: 5, base: 0 },
      classes: [],
      classCounts: [],
    },
    rows: compareRows(lines, 'base', 'real'),
    warnings: [],
  };
}

const RIVALS = { base: [[0.7, 0.5], [0.72, 0.5]], mixup: [[0.74, 0.4], [0.7, 0.45]], real: [[0, 9], [0, 9]], few: [[0, 9], [0, 9]] } as const; // prettier-ignore

describe('whyDropped', () => {
  it('lets a row go on that beats all rivals in one measure with every seed', () => {
    const byTail = study({ ...RIVALS, new: [[0.75, 0.9], [0.73, 0.9]] }); // prettier-ignore
    expect(whyDropped(RULE, byTail, 'new')).toBeNull();
    const byNll = study({ ...RIVALS, new: [[0.1, 0.39], [0.1, 0.44]] }); // prettier-ignore
    expect(whyDropped(RULE, byNll, 'new')).toBeNull();
  });

  it('drops one that beats them with some seeds only, or one measure with each', () => {
    const mixed = study({ ...RIVALS, new: [[0.75, 0.9], [0.1, 0.44]] }); // prettier-ignore
    expect(whyDropped(RULE, mixed, 'new')).toBe(
      'with the first 2 seeds it did not always beat base, mixup in any of: tail recall, NLL',
    );
  });

  it('drops one without scores, and looks at the first seeds only', () => {
    expect(whyDropped(RULE, study({ ...RIVALS, new: [[null, 0.9]] }), 'new')).not.toBeNull();
    const later = study({ ...RIVALS, new: [[0.75, 0.9], [0.73, 0.9], [0, 9]] }); // prettier-ignore
    expect(whyDropped(RULE, later, 'new')).toBeNull();
  });

  it('may look at every measure of a study', () => {
    expect(STOP_MEASURES).toEqual(MEASURE_NAMES);
  });

  it('never drops the rivals, the reference, the ceiling or other rows of more real images', () => {
    for (const name of ['base', 'mixup', 'real', 'few'])
      expect(whyDropped(RULE, study(RIVALS), name)).toBeNull();
    expect(whyDropped({ ...RULE, against: null }, study(RIVALS), 'mixup')).toBeNull();
  });
});
