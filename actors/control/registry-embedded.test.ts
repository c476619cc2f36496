import { describe, expect, it } from 'vitest';
import type { RegistryChange } from './registry.ts';
import { EmbeddedStore, expiredLeases, openEmbeddedRegistry } from './registry-embedded.ts';
import { ManualClock } from '../testing/manual-clock.ts';

it('chooses the leases whose time is over', () => {
  const leases = [5, 10, 15].map((expiresAtMs) => ({ expiresAtMs }));
  expect(expiredLeases(leases, 10)).toEqual([{ expiresAtMs: 5 }]);
  expect(expiredLeases(leases, 11)).toEqual([{ expiresAtMs: 5 }, { expiresAtMs: 10 }]);
});

describe('EmbeddedStore', () => {
  const request = { value: {}, condition: { kind: 'any' } } as const;

  it('lets entries vanish with their lease, for readers at once and for watchers by a timer', async () => {
    const clock = new ManualClock();
    const store = new EmbeddedStore(clock);
    const { leaseId } = await store.grant({ name: 'l', ttlMs: 1000, aboveToken: 0 });
    await store.write({ ...request, key: 'a', leaseId });
    const told: RegistryChange[] = [];
    const controller = new AbortController();
    const watching = (async () => {
      for await (const change of store.watch('', controller.signal)) told.push(change);
    })();
    await clock.advance(900);
    expect(await store.renew(leaseId)).toBe(true);
    await clock.advance(1000);
    expect(await store.get('a')).not.toBeNull();
    clock.jump(1);
    expect(await store.get('a')).toBeNull();
    expect(await store.renew(leaseId)).toBe(false);
    await expect(store.write({ ...request, key: 'a', leaseId })).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
    });
    const second = await store.grant({ name: 'l', ttlMs: 1000, aboveToken: 0 });
    await store.write({ ...request, key: 'b', leaseId: second.leaseId });
    await clock.advance(1001);
    controller.abort();
    await watching;
    expect(told.map((change) => (change.type === 'put' ? `put ${change.entry.key}` : change.type))).toEqual([
      'put a',
      'synced',
      'expired',
      'put b',
      'expired',
    ]);
  });

  it('keeps an entry that was rewritten without the lease', async () => {
    const clock = new ManualClock();
    const store = new EmbeddedStore(clock);
    const { leaseId } = await store.grant({ name: 'l', ttlMs: 1000, aboveToken: 0 });
    await store.write({ ...request, key: 'a', leaseId });
    await store.write({ ...request, key: 'a', leaseId: null });
    await clock.advance(2000);
    expect(await store.get('a')).toMatchObject({ leaseId: null });
  });

  it('numbers on from the time, so that a later table has larger numbers, and above what the asker had', async () => {
    const first = new EmbeddedStore(new ManualClock(5000));
    expect((await first.grant({ name: 'l', ttlMs: 1000, aboveToken: 0 })).fencingToken).toBe(5001);
    expect((await first.grant({ name: 'l', ttlMs: 1000, aboveToken: 0 })).fencingToken).toBe(5002);
    expect((await first.write({ ...request, key: 'a', leaseId: null })).revision).toBe(5003);
    const clockWentBack = new EmbeddedStore(new ManualClock(4000));
    const grant = await clockWentBack.grant({ name: 'l', ttlMs: 1000, aboveToken: 5002 });
    expect(grant.fencingToken).toBe(5003);
  });

  it('keeps its own copy of a value', async () => {
    const registry = openEmbeddedRegistry();
    const value = { n: 1 };
    await registry.put('a', value);
    value.n = 2;
    expect((await registry.get('a'))?.value).toEqual({ n: 1 });
    await registry.close();
  });
});
