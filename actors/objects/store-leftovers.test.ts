import { mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { hasEnded, identityOf, markOwned, removeLeftovers } from './store-leftovers.ts';

const own = identityOf(process.pid);
const MAX_PID = 4_194_304;

it('knows a process by id, start and namespace', () => {
  expect(hasEnded(own)).toBe(false);
  expect(hasEnded({ ...own, pid: MAX_PID })).toBe(true);
  expect(hasEnded({ ...own, startTicks: '1' })).toBe(true);
  expect(hasEnded({ ...own, pid: MAX_PID, namespace: 'pid:[1]' })).toBe(false);
});

it('removes folders of ended processes only', async () => {
  const root = await mkdtemp(join(tmpdir(), 'ballast-leftovers-'));
  const make = (name: string, note?: string) => {
    mkdirSync(join(root, name));
    if (note !== undefined) writeFileSync(join(root, name, 'owner.json'), note);
  };
  make('ballast-live');
  markOwned(join(root, 'ballast-live'));
  make('ballast-dead', JSON.stringify({ ...own, startTicks: '1' }));
  make('ballast-spill-dead', JSON.stringify({ ...own, pid: MAX_PID }));
  make('ballast-garbled', '{');
  make('ballast-new');
  make('ballast-old');
  utimesSync(join(root, 'ballast-old'), 0, 0);
  make('other', JSON.stringify({ ...own, pid: MAX_PID }));
  const removed = ['ballast-dead', 'ballast-garbled', 'ballast-old', 'ballast-spill-dead'];
  expect(removeLeftovers(root).sort()).toEqual(removed);
  expect(readdirSync(root).sort()).toEqual(['ballast-live', 'ballast-new', 'other']);
  expect(removeLeftovers(join(root, 'none'))).toEqual([]);
  await rm(root, { recursive: true });
});
