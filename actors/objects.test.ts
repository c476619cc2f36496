import { Registry } from 'prom-client';
import { afterEach, describe, expect, it } from 'vitest';
import { silentLog } from '../common/log.ts';
import { sha256Hex } from './object-transfer.ts';
import { ObjectStore } from './objects.ts';
import { objectService } from './runtime-services.ts';
import { ServingProcess } from './serving-process.ts';

const cleanUps: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

async function openStore(owner: string, sizes: { capacityBytes?: number; cacheBytes?: number } = {}) {
  const serving = await ServingProcess.start({ labels: {}, log: silentLog });
  const { address, pool, dispatcher, server } = serving;
  const registry = new Registry();
  const store = new ObjectStore({ owner, address, pool, registry, ...sizes });
  dispatcher.addService(objectService, store.handlers());
  server.expose(objectService);
  cleanUps.push(() => serving.stop());
  const served = async () =>
    (await registry.getSingleMetric('ballast_object_served_bytes_total')?.get())?.values[0]?.value ?? 0;
  return { store, address, served };
}

function pattern(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (index * 31) & 255);
}

describe('ObjectStore', () => {
  it('pulls from a holder once: shared by simultaneous pulls, then from the cache', async () => {
    const holder = await openStore('a/1');
    const receiver = await openStore('b/1');
    const bytes = pattern(1_500_000);
    const ref = await holder.store.put(bytes);
    expect(ref).toEqual({
      id: 'a/1/1',
      sizeBytes: 1_500_000,
      digest: sha256Hex(bytes),
      holders: [holder.address],
    });
    const [first, second] = await Promise.all([receiver.store.pull(ref), receiver.store.pull(ref)]);
    expect(Buffer.compare(first, bytes)).toBe(0);
    expect(second).toBe(first);
    expect(await receiver.store.pull(ref)).toBe(first);
    expect(await holder.served()).toBe(1_500_000);
    expect(await holder.store.pull(ref)).toBe(bytes);
  });

  it('refuses bytes that are not what the reference says', async () => {
    const holder = await openStore('a/1');
    const receiver = await openStore('b/1');
    const ref = await holder.store.put(pattern(10));
    const forged = { ...ref, digest: '0'.repeat(64) };
    await expect(receiver.store.pull(forged)).rejects.toMatchObject({
      name: 'ObjectError',
      code: 'DATA_LOSS',
    });
    expect(await receiver.store.pull(ref)).toHaveLength(10);
  });

  it('tries the next holder, and names each when none has it', async () => {
    const [empty, holder, receiver] = [
      await openStore('e/1'),
      await openStore('a/1'),
      await openStore('b/1'),
    ];
    const ref = await holder.store.put(pattern(10));
    expect(await receiver.store.pull({ ...ref, holders: [empty.address, holder.address] })).toHaveLength(10);
    const lost = { ...ref, digest: '1'.repeat(64), holders: [empty.address] };
    await expect(receiver.store.pull(lost)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(receiver.store.pull(lost)).rejects.toThrow(`${empty.address}: Object a/1/1: it was freed`);
  });

  it('is bounded, and frees here and elsewhere', async () => {
    const holder = await openStore('a/1', { capacityBytes: 15 });
    const other = await openStore('b/1');
    const ref = await holder.store.put(pattern(10));
    await expect(holder.store.put(pattern(6))).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    await expect(holder.store.put(pattern(6))).rejects.toThrow('6 bytes do not fit: 5 of 15 bytes are free');
    await other.store.free([ref]);
    await other.store.free([{ ...ref, holders: ['127.0.0.1:1'] }]); // that process is gone, and so is the object
    expect(await holder.store.put(pattern(15))).toMatchObject({ sizeBytes: 15 });
    await expect(other.store.pull(ref)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it("lets one waiter give up without ending the other's pull", async () => {
    const holder = await openStore('a/1');
    const receiver = await openStore('b/1');
    const ref = await holder.store.put(pattern(4_000_000));
    const controller = new AbortController();
    const given = receiver.store.pull(ref, { signal: controller.signal });
    const kept = receiver.store.pull(ref);
    controller.abort(new Error('enough'));
    await expect(given).rejects.toThrow('enough');
    expect(await kept).toHaveLength(4_000_000);
    await expect(
      receiver.store.pull({ ...ref, digest: '2'.repeat(64) }, { deadlineMs: 0 }),
    ).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
    });
  });
});
