import { describe, expect, it } from 'vitest';
import { layerFlags } from '../config/load.ts';
import type { Metrics, RunReport } from '../report/records.ts';
import { comparisonOf, firstDifference, planRuns } from './comparison.ts';
import { inParallel } from './run-all.ts';

const SOURCE = layerFlags(null, { data: { source: 'fashion-mnist' }, prior: 'p.safetensors' });

const METRICS: Metrics = {
  count: 10,
  accuracy: 0.5,
  balancedAccuracy: 0.4,
  tailRecall: 0.2,
  worstRecall: 0.2,
  nll: 1.5,
  macroPrecision: 0.4,
  macroF1: 0.3,
  mcc: 0.2,
  aucOvr: 0.6,
  ece: 0.1,
  perClassRecall: [0.6, 0.2],
  manyShotRecall: null,
  mediumShotRecall: null,
  fewShotRecall: 0.4,
  confusion: [
    [3, 2],
    [4, 1],
  ],
};

const REPORT: RunReport = {
  method: 'erm',
  seed: 1,
  classes: ['a', 'b'],
  classCounts: [8, 2],
  optimizerSteps: 100,
  workers: 0,
  syntheticImages: 0,
  seconds: 5,
  weightsDigest: 'd',
  environment: {},
  epochs: [],
  validation: null,
  test: METRICS,
};

describe('planRuns', () => {
  it('does every method with every seed, each in its own folder', () => {
    const runs = planRuns(SOURCE, ['erm', 'logit-adjust+iois'], [1, 2], '/out', '/base');
    expect(runs.map(({ name }) => name)).toEqual([
      'erm-seed1',
      'iois+logit-adjust-seed1',
      'erm-seed2',
      'iois+logit-adjust-seed2',
    ]);
    expect(runs[3]!.config).toMatchObject({
      method: 'iois+logit-adjust',
      seed: 2,
      out: '/out/iois+logit-adjust-seed2',
      prior: '/base/p.safetensors',
    });
  });

  it('refuses one method under two names', () => {
    expect(() => planRuns(SOURCE, ['iois+oversample', 'oversample+iois'], [1], '/o', '/')).toThrow('twice');
  });
});

describe('comparisonOf', () => {
  it('takes test metrics, or validation where there is no test', () => {
    const untested = { ...REPORT, seed: 2, test: null, validation: { ...METRICS, accuracy: 0.7 } };
    const { methods, classCounts } = comparisonOf('T', [
      { name: 'erm-seed1', report: REPORT },
      { name: 'erm-seed2', report: untested },
    ]);
    expect(classCounts).toEqual([8, 2]);
    expect(methods.map(({ run, accuracy }) => [run, accuracy])).toEqual([
      ['erm-seed1', 0.5],
      ['erm-seed2', 0.7],
    ]);
    expect(methods[0]).toMatchObject({
      optimizerSteps: 100,
      balancedAccuracy: 0.4,
      perClassRecall: [0.6, 0.2],
    });
  });

  it('refuses runs over other data, and runs without images to compare by', () => {
    const other = { name: 'b', report: { ...REPORT, classCounts: [7, 3] } };
    expect(() => comparisonOf('T', [{ name: 'a', report: REPORT }, other])).toThrow(
      'b was trained on other data',
    );
    expect(() => comparisonOf('T', [{ name: 'a', report: { ...REPORT, test: null } }])).toThrow(
      'neither test nor',
    );
  });
});

describe('firstDifference', () => {
  it('names the field and both values', () => {
    expect(firstDifference({ a: { b: [1] }, c: 2 }, { a: { b: [2] }, c: 2 })).toBe('a.b was [1], is [2]');
    expect(firstDifference({ a: 1 }, { a: 1, d: null })).toBe('d was nothing, is null');
    expect(firstDifference({ a: { b: 1 } }, { a: { b: 1 } })).toBeNull();
  });
});

describe('inParallel', () => {
  it('keeps the order of results and the limit', async () => {
    let running = 0;
    let most = 0;
    const results = await inParallel([3, 1, 2], 2, async (n) => {
      most = Math.max(most, ++running);
      for (let i = 0; i < n; i++) await Promise.resolve();
      running--;
      return n * 10;
    });
    expect(results).toEqual([30, 10, 20]);
    expect(most).toBe(2);
  });

  it('begins nothing after a failure', async () => {
    const begun: number[] = [];
    const work = (n: number) => {
      begun.push(n);
      return n === 2 ? Promise.reject(new Error('two')) : Promise.resolve(n);
    };
    await expect(inParallel([1, 2, 3], 1, work)).rejects.toThrow('two');
    expect(begun).toEqual([1, 2]);
  });
});
