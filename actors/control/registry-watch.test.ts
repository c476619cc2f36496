import { describe, expect, it } from 'vitest';
import { CallError } from '../base/call-errors.ts';
import type { RegistryChange } from './registry.ts';
import { resumedWatch, WatchView } from './registry-watch.ts';

function put(key: string, revision: number, leaseId: string | null = null): RegistryChange {
  return { type: 'put', entry: { key, value: { revision }, revision, leaseId } };
}
const synced: RegistryChange = { type: 'synced' };

describe('WatchView', () => {
  it('reports a first listing as it is', () => {
    const view = new WatchView();
    view.beginListing();
    const listing = [put('a', 1), put('b', 2), synced];
    expect(listing.flatMap((change) => view.apply(change))).toEqual(listing);
  });

  it('reports only the differences of a new listing, and never an older value', () => {
    const view = new WatchView();
    view.beginListing();
    for (const change of [put('a', 1), put('b', 2), put('c', 3, 'l1'), put('d', 9), synced])
      view.apply(change);
    view.beginListing();
    const relisted = [put('a', 1), put('d', 4), put('e', 10), synced].flatMap((change) => view.apply(change));
    expect(relisted).toEqual([put('e', 10), { type: 'removed', key: 'b' }, { type: 'expired', key: 'c' }]);
    expect(view.apply(put('d', 11))).toEqual([put('d', 11)]);
  });

  it('reports a removal once, even during a listing', () => {
    const view = new WatchView();
    view.beginListing();
    for (const change of [put('a', 1), synced]) view.apply(change);
    view.beginListing();
    view.apply(put('a', 1));
    expect(view.apply({ type: 'removed', key: 'a' })).toEqual([{ type: 'removed', key: 'a' }]);
    expect(view.apply({ type: 'expired', key: 'a' })).toEqual([]);
    expect(view.apply(synced)).toEqual([]);
  });
});

it('restarts a watch that breaks off, with growing pauses while it fails', async () => {
  const controller = new AbortController();
  const sessions: (RegistryChange[] | null)[] = [[put('a', 1), synced], null, null, [put('a', 5), synced]];
  async function* open() {
    const changes = sessions.shift();
    await Promise.resolve();
    yield* changes ?? [];
    if (sessions.length === 0) controller.abort();
    throw new CallError('UNAVAILABLE', 'away');
  }
  const pauses: number[] = [];
  const pause = (attempt: number) => Promise.resolve(void pauses.push(attempt));
  const told: RegistryChange[] = [];
  for await (const change of resumedWatch(open, pause, controller.signal)) told.push(change);
  expect(told).toEqual([put('a', 1), synced, put('a', 5)]);
  expect(pauses).toEqual([1, 2, 3]);
});
