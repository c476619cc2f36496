import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { EpochRecord, RunReport } from '../../report/records.ts';
import { RunFolder } from '../records/run-folder.ts';
import { INITIAL_RUN_STATE } from '../records/run-state.ts';
import { RunFactsCache } from './run-facts.ts';

const LATER_MS = 10_000;

let root: string;
let folder: RunFolder;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'ballast-facts-'));
  folder = new RunFolder(join(root, 'a'));
  await folder.claim();
});
afterEach(() => rm(root, { recursive: true }));

const dirOf = (run: string) => join(root, run);
/** As seen long after the last change. */
const later = () => new RunFactsCache(dirOf, () => Date.now() + LATER_MS);

/** Commits an epoch; gives the file with the coordinator's half. */
async function commit(epoch: number): Promise<string> {
  const { folder: name, trainerDir } = folder.checkpoints.begin(epoch);
  await mkdir(trainerDir, { recursive: true });
  const records = Array.from({ length: epoch }, (_, i) => ({ epoch: i + 1 }) as EpochRecord);
  await folder.checkpoints.commit({ ...INITIAL_RUN_STATE, epoch, records }, name, `w${epoch}`);
  return join(folder.dir, 'checkpoints', name, 'coordinator.json');
}

describe('facts of a run', () => {
  it('are those of its folder, whatever is added', async () => {
    const facts = later();
    expect(await facts.of('a')).toEqual({ lastEpoch: null, result: null, classes: [] });
    await folder.writeClasses(['boot', 'bag']);
    await commit(1);
    expect(await facts.of('a')).toEqual({ lastEpoch: { epoch: 1 }, result: null, classes: ['boot', 'bag'] });
    await commit(2);
    expect(await facts.of('a')).toMatchObject({ lastEpoch: { epoch: 2 } });
    await folder.writeReport({ weightsDigest: 'w2', test: null, classes: ['boot', 'bag'] } as unknown as RunReport);
    expect(await facts.of('a')).toMatchObject({ result: { weightsDigest: 'w2', test: null } });
    expect(await facts.of('none')).toEqual({ lastEpoch: null, result: null, classes: [] });
  });

  it('are not read again while nothing changes', async () => {
    const state = await commit(1);
    const facts = later();
    const first = await facts.of('a');
    await writeFile(state, 'nobody reads this'); // inside a committed epoch's folder, which is never changed
    expect(await facts.of('a')).toBe(first);
    await expect(later().of('a')).rejects.toThrow('is damaged');
    await commit(2);
    expect(await facts.of('a')).toMatchObject({ lastEpoch: { epoch: 2 } });
  });

  it('are read again while the last change is young: another may have the same time', async () => {
    const state = await commit(1);
    const facts = new RunFactsCache(dirOf);
    await facts.of('a');
    await writeFile(state, 'damaged');
    await expect(facts.of('a')).rejects.toThrow('is damaged');
  });
});
