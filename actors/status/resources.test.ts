import { describe, expect, it } from 'vitest';
import { acquire, createLedger, freeResources, release } from './resources.ts';
import type { Ledger } from './resources.ts';

function take(ledger: Ledger, holder: string, resources: Record<string, number>): Ledger {
  const after = acquire(ledger, holder, resources);
  if (after === null) throw new Error(`no room for ${holder}`);
  return after;
}

describe('a ledger', () => {
  it('gives out what is free and no more, and takes it back', () => {
    let ledger = createLedger({ cpu: 2, memoryBytes: 100 });
    ledger = take(ledger, 'a', { cpu: 1.5, memoryBytes: 60 });
    expect(freeResources(ledger)).toEqual({ cpu: 0.5, memoryBytes: 40 });
    expect(acquire(ledger, 'b', { cpu: 1 })).toBeNull();
    expect(acquire(ledger, 'b', { unheard: 1 })).toBeNull();
    ledger = release(ledger, 'a');
    expect(freeResources(ledger)).toEqual({ cpu: 2, memoryBytes: 100 });
  });

  it('adds tenths without losing one', () => {
    let ledger = createLedger({ cpu: 1 });
    for (let i = 0; i < 10; i++) ledger = take(ledger, `a${i}`, { cpu: 0.1 });
    expect(freeResources(ledger)).toEqual({ cpu: 0 });
    expect(acquire(ledger, 'b', { cpu: 0.1 })).toBeNull();
  });

  it('gives whole cards to one holder each, and parts of one card to several', () => {
    let ledger = take(createLedger({ gpu: 3 }), 'a', { gpu: 1 });
    ledger = take(ledger, 'half', { gpu: 0.5 });
    ledger = take(ledger, 'other half', { gpu: 0.5 });
    ledger = take(ledger, 'b', { gpu: 1 });
    expect([...ledger.held.values()].map(({ gpuIds }) => gpuIds)).toEqual([[0], [1], [1], [2]]);
    expect(acquire(ledger, 'c', { gpu: 0.5 })).toBeNull();
    ledger = release(ledger, 'a');
    expect(take(ledger, 'c', { gpu: 1 }).held.get('c')?.gpuIds).toEqual([0]);
  });

  it('gives no two cards in part where a whole one is asked for', () => {
    let ledger = take(createLedger({ gpu: 2 }), 'a', { gpu: 0.5 });
    ledger = take(ledger, 'b', { gpu: 1 });
    expect(acquire(ledger, 'c', { gpu: 1 })).toBeNull();
    expect(take(ledger, 'c', { gpu: 0.5 }).held.get('c')?.gpuIds).toEqual([0]);
  });
});
