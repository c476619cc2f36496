import { describe, expect, it } from 'vitest';
import { layerFlags } from '../../config/load.ts';
import { firstDifference, planRuns } from './comparison.ts';

const SOURCE = layerFlags(null, { data: { source: 'fashion-mnist' }, prior: 'p.safetensors' });

describe('planRuns', () => {
  it('does every method with every seed, each in its own folder', () => {
    const runs = planRuns(SOURCE, ['erm', 'logit-adjust+iois'], [1, 2], '/out', '/base');
    expect(runs.map(({ content }) => content)).toEqual([
      'erm-seed1',
      'iois+logit-adjust-seed1',
      'erm-seed2',
      'iois+logit-adjust-seed2',
    ]);
    expect(runs[3]).toMatchObject({ row: 'iois+logit-adjust', pair: 1, seed: 2 });
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

describe('firstDifference', () => {
  it('names the field and both values', () => {
    expect(firstDifference({ a: { b: [1] }, c: 2 }, { a: { b: [2] }, c: 2 })).toBe('a.b was [1], is [2]');
    expect(firstDifference({ a: 1 }, { a: 1, d: null })).toBe('d was nothing, is null');
    expect(firstDifference({ a: { b: 1 } }, { a: { b: 1 } })).toBeNull();
  });
});
