import { expect, it } from 'vitest';
import { announceAction, Announcer } from './announcer.ts';
import { openRegistry } from './registry-client.ts';
import { EmbeddedStore } from './registry-embedded.ts';
import { ManualClock } from '../testing/manual-clock.ts';

it('takes a key at first, and afterwards only one that is free or its own', () => {
  const own = new Set(['l1', 'l2']);
  const under = (leaseId: string | null) => ({ key: 'a', value: {}, revision: 1, leaseId });
  expect(announceAction(under('other'), own, false)).toBe('put');
  expect(announceAction(null, own, true)).toBe('create');
  expect(announceAction(under('l1'), own, true)).toBe('update');
  expect(announceAction(under('other'), own, true)).toBe('leave');
  expect(announceAction(under(null), own, true)).toBe('leave');
});

it('announces everything again, with a larger token, to a registry that lost it all', async () => {
  const clock = new ManualClock();
  let store = new EmbeddedStore(clock);
  const current = new Proxy(store, {
    get: (_target, name: keyof EmbeddedStore) => store[name].bind(store),
  });
  const told: (string | number)[] = [];
  const announcer = new Announcer({
    registry: openRegistry(current, { clock }),
    name: 'node/a',
    ttlMs: 1000,
    clock,
    onLost: (reason) => told.push(reason.message),
    onRestored: (token) => told.push(token),
  });
  announcer.set('nodes/a', { n: 1 });
  await clock.advance(0);
  announcer.set('nodes/b', { n: 2 });
  await clock.advance(0);
  const first = announcer.lease!;
  expect(told).toEqual([]);
  store = new EmbeddedStore(clock);
  await clock.advance(300);
  const second = announcer.lease!;
  expect(first.lost.aborted).toBe(true);
  expect(second.fencingToken).toBeGreaterThan(first.fencingToken);
  expect(told).toEqual([
    `Lease ${first.id} is lost: the registry no longer knows it (node/a)`,
    second.fencingToken,
  ]);
  expect((await store.list('')).map(({ key, leaseId }) => [key, leaseId])).toEqual([
    ['nodes/a', second.id],
    ['nodes/b', second.id],
  ]);
  announcer.unset('nodes/a');
  await clock.advance(0);
  expect((await store.list('')).map(({ key }) => key)).toEqual(['nodes/b']);
  await announcer.close();
  expect(await store.list('')).toEqual([]);
  expect(() => announcer.set('no key', {})).toThrow('Registry key');
});
