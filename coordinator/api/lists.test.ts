import { describe, expect, it } from 'vitest';
import { createLog } from '../../common/log.ts';
import type { Metrics } from '../../report/records.ts';
import type { RunFacts } from '../runs/run-facts.ts';
import type { RunRecord } from '../runs/run-record.ts';
import { toFacts } from './errors.ts';
import { parseRunFilter } from './filter.ts';
import { byNumbers, parseRunOrder } from './order.ts';
import { MAX_PAGE_BYTES, pageOf } from './pages.ts';
import type { RunView } from './run-fields.ts';

const silent = createLog({ write: () => undefined });

function run(id: string, more: Partial<RunRecord> = {}, balancedAccuracy: number | null = null): RunView {
  const record = {
    ...{ id, state: 'running', labels: {}, weight: 1, config: { method: 'iois', training: { epochs: 9 } } },
    ...{ createdAt: '2026-02-03T04:05:06.000Z', startedAt: null, endedAt: null, ...more },
  } as unknown as RunRecord;
  const test = balancedAccuracy === null ? null : ({ balancedAccuracy } as Metrics);
  return { record, facts: { lastEpoch: { epoch: 3 }, result: { test }, classes: [] } as unknown as RunFacts };
}

async function factsOf(work: () => unknown) {
  try {
    await work();
  } catch (thrown) {
    return toFacts(thrown, silent);
  }
  throw new Error('nothing was refused');
}

describe('filters of runs', () => {
  const one = run('a', { labels: { team: 'vision', 'a.b/c': '1', OR: 'x' }, weight: 2 }, 0.75);
  it.each([
    ['', true],
    ['  ', true],
    ['state = RUNNING', true],
    ['state=STATE_RUNNING AND labels.team = "vision"', true],
    ['labels.a.b/c = 1', true],
    ['labels.OR = x', true],
    ['state = FAILED', false],
    ['state != FAILED', true],
    ['labels.team = audio', false],
    ['labels.none = x', false],
    ['labels.none != x', true],
    ['labels.constructor = x', false],
    ['state = FAILED OR state = RUNNING', true],
    // OR binds tighter than AND (AIP-160): the second part is false, so all is.
    ['state = RUNNING OR state = FAILED AND labels.team = audio', false],
    ['state = RUNNING OR (state = FAILED AND labels.team = audio)', true],
    ['NOT state = RUNNING', false],
    ['-(state = FAILED)', true],
    ['weight > 1.5 AND weight <= 2', true],
    ['weight > -1', true],
    ['epoch >= 4', false],
    ['epochs = 9', true],
    ['method = iois', true],
    ['name = runs/a', true],
    ['test.balanced_accuracy >= 0.7', true],
    ['test.balanced_accuracy < 0.7', false],
    ['validation.mcc > -1', false], // it has none
    ['create_time >= 2026-02-01', true],
    ['create_time > "2026-02-03T05:05:06+01:00"', false], // the very instant
    ['end_time < 2030-01-01', false], // it has not ended
  ])('%s', (filter, holds) => expect(parseRunFilter(filter)(one)).toBe(holds));

  it.each([
    'state',
    'state =',
    'state = SLEEPING',
    'state < RUNNING',
    'size = 1',
    'weight = heavy',
    'create_time > yesterday',
    'state = RUNNING state = FAILED',
    'state = RUNNING AND',
    '(state = RUNNING',
    'state = RUNNING)',
    'labels. = x',
    'a = "b',
    '= x',
    '"state" = RUNNING',
  ])('are refused: %s', async (filter) =>
    expect((await factsOf(() => parseRunFilter(filter))).metadata).toMatchObject({ field: 'filter' }),
  );
});

describe('orders of runs', () => {
  const runs = [
    run('a', { createdAt: '2026-01-01T00:00:00.000Z', weight: 2 }, 0.5),
    run('b', { createdAt: '2026-01-02T00:00:00.000Z', weight: 2 }),
    run('c', { createdAt: '2026-01-03T00:00:00.000Z', weight: 1 }, 0.9),
  ];
  const sorted = (orderBy: string) => {
    const { keyOf, compare } = parseRunOrder(orderBy);
    return [...runs]
      .sort((x, y) => compare(keyOf(x), keyOf(y)))
      .map(({ record }) => record.id)
      .join('');
  };
  it.each([
    ['', 'cba'],
    ['create_time', 'abc'],
    ['name desc', 'cba'],
    ['weight, name', 'cab'],
    ['weight desc,create_time', 'abc'],
    ['test.balanced_accuracy desc', 'cab'], // the run without one comes last
    ['test.balanced_accuracy', 'acb'], // in either direction
  ])("'%s'", (orderBy, order) => expect(sorted(orderBy)).toBe(order));

  it.each(['size', 'weight down', 'weight desc desc', 'weight,,name', Array(9).fill('weight').join()])(
    'are refused: %s',
    async (orderBy) =>
      expect((await factsOf(() => parseRunOrder(orderBy))).metadata).toMatchObject({ field: 'order_by' }),
  );
});

describe('pages', () => {
  const pageFrom = (items: readonly number[], pageSize: number, pageToken: string, scope = ['x'], size = 1) =>
    pageOf(
      { pageSize, pageToken },
      {
        ...{ items, scope, order: byNumbers<number>((item) => [item]), limits: { usual: 2, most: 3 } },
        ...{ toMessage: (item: number) => item, sizeOf: () => size },
      },
    );

  it('cover everything once, even when items come and go', async () => {
    const first = await pageFrom([7, 5, 1, 3], 0, '');
    expect(first.page).toEqual([1, 3]);
    const second = await pageFrom([1, 2, 5, 7], 0, first.nextPageToken);
    expect(second.page).toEqual([5, 7]);
    expect(second.nextPageToken).toBe('');
  });

  it('are no larger than the limit, in items', async () =>
    expect((await pageFrom([1, 2, 3, 4], 100, '')).page).toHaveLength(3));

  it('are no larger than the limit, in bytes, but have one item', async () => {
    const half = MAX_PAGE_BYTES / 2;
    const first = await pageFrom([1, 2, 3], 3, '', ['x'], half);
    expect(first.page).toEqual([1, 2]);
    expect((await pageFrom([1, 2, 3], 3, first.nextPageToken, ['x'], half)).page).toEqual([3]);
    expect((await pageFrom([1, 2, 3], 3, '', ['x'], 3 * half)).page).toEqual([1]);
  });

  it('refuse what is no size or token, and a token of another request', async () => {
    expect((await factsOf(() => pageFrom([], -1, ''))).metadata).toEqual({ field: 'page_size', value: '-1' });
    const { nextPageToken } = await pageFrom([1, 2, 3], 2, '');
    const forged = Buffer.from('0123456789abcdef{"a":1}').toString('base64url');
    for (const token of ['nonsense', forged, 'x'.repeat(3000), nextPageToken.slice(0, 20)])
      expect((await factsOf(() => pageFrom([], 0, token))).metadata).toMatchObject({ field: 'page_token' });
    const other = await factsOf(() => pageFrom([1, 2, 3], 2, nextPageToken, ['y']));
    expect(other.message).toContain('belongs to another request');
  });
});
