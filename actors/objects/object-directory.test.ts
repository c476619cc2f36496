import { describe, expect, it } from 'vitest';
import { ObjectDirectory } from './object-directory.ts';
import type { ObjectKind } from './object-directory.ts';

function add(
  directory: ObjectDirectory,
  id: string,
  kind: ObjectKind,
  sizeBytes: number,
  nowMs = 0,
  owner = 'a/1',
) {
  directory.reserve({ id, sizeBytes, owner, path: `/${id}` });
  directory.seal({ id, sizeBytes, digest: 'd' }, kind, owner, nowMs);
}

function plan(directory: ObjectDirectory, sizeBytes: number) {
  const { evict, spill, missingBytes } = directory.planRoom(sizeBytes);
  return { evict: evict.map(({ ref }) => ref.id), spill: spill.map(({ ref }) => ref.id), missingBytes };
}

describe('planRoom', () => {
  it('drops copies, oldest use first, then moves primaries to disk, and no more than needed', () => {
    const directory = new ObjectDirectory(100);
    add(directory, 'p1', 'primary', 20, 1);
    add(directory, 'p2', 'primary', 20, 2);
    add(directory, 's1', 'secondary', 20, 4);
    add(directory, 's2', 'secondary', 20, 3);
    expect(plan(directory, 20)).toEqual({ evict: [], spill: [], missingBytes: 0 });
    expect(plan(directory, 21)).toEqual({ evict: ['s2'], spill: [], missingBytes: 0 });
    expect(plan(directory, 61)).toEqual({ evict: ['s2', 's1'], spill: ['p1'], missingBytes: 0 });
    expect(plan(directory, 101)).toMatchObject({ missingBytes: 1 });
  });

  it('moves nothing that is read or written', () => {
    const directory = new ObjectDirectory(30);
    directory.reserve({ id: 'r', sizeBytes: 10, owner: 'a/1', path: '/r' });
    add(directory, 's', 'secondary', 10);
    add(directory, 'p', 'primary', 10);
    directory.pin('s', 'b/1');
    directory.pin('s', 'b/1');
    directory.unpin('s', 'b/1');
    directory.unpin('s', 'nobody');
    expect(plan(directory, 15)).toEqual({ evict: [], spill: ['p'], missingBytes: 5 });
    directory.unpin('s', 'b/1');
    expect(plan(directory, 15)).toEqual({ evict: ['s'], spill: ['p'], missingBytes: 0 });
  });
});

describe('bytes', () => {
  it('count from the reservation on, until an object is spilled or removed', () => {
    const directory = new ObjectDirectory(100);
    directory.reserve({ id: 'r', sizeBytes: 7, owner: 'a/1', path: '/r' });
    add(directory, 'p', 'primary', 10);
    add(directory, 's', 'secondary', 20);
    expect(directory.memoryBytes).toBe(37);
    directory.spilled(directory.get('p')!);
    expect(directory.use()).toEqual({
      primary: { bytes: 0, count: 0 },
      secondary: { bytes: 20, count: 1 },
      spilled: { bytes: 10, count: 1 },
      reserved: { bytes: 7, count: 1 },
    });
    for (const id of ['p', 's', 'r', 'unknown']) directory.remove(id);
    expect(directory.memoryBytes).toBe(0);
  });
});

describe('owners', () => {
  it('own what they reserve and seal; hand it over', () => {
    const directory = new ObjectDirectory(100);
    directory.reserve({ id: 'r', sizeBytes: 1, owner: 'a/1', path: '/r' });
    add(directory, 'o', 'primary', 1);
    add(directory, 'h', 'primary', 1);
    directory.handOver('h', 'b/1');
    expect(directory.ownedBy('a/1')).toEqual(['r', 'o']);
    expect(directory.ownedBy('b/1')).toEqual(['h']);
    expect(() => directory.handOver('x', 'b/1')).toThrow('Object x: it was freed');
  });

  it('that have ended own nothing more and read nothing; a successor of that name does', () => {
    const directory = new ObjectDirectory(10);
    directory.reserve({ id: 'late', sizeBytes: 1, owner: 'a/1', path: '/late' });
    add(directory, 'other', 'secondary', 1, 0, 'node');
    directory.pin('other', 'a/1');
    directory.ownerEnded('a/1');
    expect(directory.isPinned('other')).toBe(false);
    expect(() => directory.seal({ id: 'late', sizeBytes: 1, digest: 'd' }, 'primary', 'a/1', 0)).toThrow(
      'a/1 has ended',
    );
    expect(() => directory.handOver('other', 'a/1')).toThrow('a/1 has ended');
    directory.ownerBegan('a/1');
    add(directory, 'new', 'primary', 1);
    expect(directory.ownedBy('a/1')).toEqual(['late', 'new']);
  });
});

it('refuses ids in use, and objects that were not reserved as they are', () => {
  const directory = new ObjectDirectory(10);
  add(directory, 'o', 'primary', 1);
  expect(() => add(directory, 'o', 'primary', 1)).toThrow('its id is in use');
  expect(() => directory.seal({ id: 'x', sizeBytes: 1, digest: 'd' }, 'primary', 'a/1', 0)).toThrow(
    'nothing was reserved',
  );
  directory.reserve({ id: 'x', sizeBytes: 2, owner: 'a/1', path: '/x' });
  expect(() => directory.seal({ id: 'x', sizeBytes: 1, digest: 'd' }, 'primary', 'a/1', 0)).toThrow(
    'but 2 were reserved',
  );
});
