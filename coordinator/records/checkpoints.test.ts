import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openEventLog } from '../../actors/control/event-log.ts';
import { UserError } from '../../common/errors.ts';
import { writeFileExclusive } from '../../common/files.ts';
import type { EpochRecord } from '../../report/records.ts';
import { Checkpoints, Replaced } from './checkpoints.ts';
import { RunFolder } from './run-folder.ts';
import { encodeRunState, INITIAL_RUN_STATE, type RunState } from './run-state.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'ballast-checkpoints-'));
});
afterEach(() => rm(dir, { recursive: true }));

/** State after `epoch`; `seconds` tells writers apart, whose bits are the same. */
function stateAfter(epoch: number, seconds = 0): RunState {
  const records = Array.from({ length: epoch }, (_, i) => ({ epoch: i + 1 }) as EpochRecord);
  return { ...INITIAL_RUN_STATE, epoch, records, seconds };
}

/** An attempt with the trainer's half written. */
async function attempt(checkpoints: Checkpoints, epoch: number): Promise<string> {
  const { folder, trainerDir } = checkpoints.begin(epoch);
  await mkdir(trainerDir, { recursive: true });
  await writeFile(join(trainerDir, 'trainer.safetensors'), `epoch ${epoch}`);
  return folder;
}

async function commit(checkpoints: Checkpoints, epoch: number, digest = `w${epoch}`, seconds = 0) {
  return checkpoints.commit(stateAfter(epoch, seconds), await attempt(checkpoints, epoch), digest);
}

const names = async () => (await readdir(dir)).filter((name) => name !== 'holder.json').sort();

it('many exclusive writers of one file: one wins, and the file is whole', async () => {
  const path = join(dir, 'sub', 'one.json');
  const wins = await Promise.all(Array.from({ length: 20 }, (_, i) => writeFileExclusive(path, `${i}`)));
  expect(wins.filter(Boolean)).toHaveLength(1);
  expect(await readFile(path, 'utf8')).toBe(String(wins.indexOf(true)));
  expect(await readdir(join(dir, 'sub'))).toEqual(['one.json']);
});

describe('two writers of one epoch', () => {
  it('the second holder takes the first one’s commit, and its own folder is removed', async () => {
    const [early, late] = [new Checkpoints(dir, 'early'), new Checkpoints(dir, 'late')];
    await early.claim();
    await commit(early, 1, 'same', 11);
    await late.claim();
    expect(await commit(late, 1, 'same', 22)).toEqual(stateAfter(1, 11));
    expect(await names()).toEqual(['epoch-001.early-1', 'epoch-001.json']);
  });

  it('the replaced one stops, whoever is first', async () => {
    const [stale, holder] = [new Checkpoints(dir, 'stale'), new Checkpoints(dir, 'holder')];
    await stale.claim();
    await holder.claim();
    await expect(commit(stale, 1)).rejects.toThrow(Replaced); // nobody has committed: the epoch stays the holder's
    expect(await holder.readState()).toEqual(INITIAL_RUN_STATE);
    await commit(holder, 1, 'w1', 5);
    await expect(commit(stale, 1)).rejects.toThrow('another coordinator has taken this run over');
    expect(await names()).toEqual(['epoch-001.holder-1', 'epoch-001.json']);
    expect(await holder.readState()).toEqual(stateAfter(1, 5));
  });

  it('other weights are reported, and the commit stands', async () => {
    const [first, second] = [new Checkpoints(dir, 'first'), new Checkpoints(dir, 'second')];
    await first.claim();
    await commit(first, 1, 'aaa');
    await second.claim();
    await expect(commit(second, 1, 'bbb')).rejects.toThrow('with other weights (aaa, here bbb)');
    expect((await second.lastCommit())?.weightsDigest).toBe('aaa');
  });

  it('at the same instant: one commit, and both go on from it', async () => {
    const writers = Array.from({ length: 8 }, () => new Checkpoints(dir, 'same-holder'));
    await writers[0]!.claim();
    const folders = writers.map((_, i) => `epoch-001.w-${i}`);
    const states = await Promise.all(
      writers.map((writer, i) => writer.commit(stateAfter(1, i), folders[i]!, 'w')),
    );
    expect(new Set(states.map(({ seconds }) => seconds)).size).toBe(1);
    expect(await names()).toEqual(['epoch-001.json', `epoch-001.w-${states[0]!.seconds}`]);
  });
});

describe('a writer that slept', () => {
  it('through several epochs loses, though the checkpoint that it would have made is gone', async () => {
    const [stale, holder] = [new Checkpoints(dir, 'stale'), new Checkpoints(dir, 'holder')];
    await stale.claim();
    await commit(stale, 1);
    const folder = await attempt(stale, 2);
    await holder.claim();
    for (const epoch of [2, 3, 4, 5]) {
      await commit(holder, epoch);
      await holder.prune(epoch);
    }
    await expect(stale.checkHolder()).rejects.toThrow(Replaced);
    await expect(stale.commit(stateAfter(2), folder, 'w2')).rejects.toThrow(Replaced);
    expect(await holder.lastCommit()).toMatchObject({ epoch: 5, folder: 'epoch-005.holder-4' });
    expect(await names()).toEqual([
      'epoch-001.json',
      'epoch-002.json',
      'epoch-003.json',
      'epoch-004.holder-3',
      'epoch-004.json',
      'epoch-005.holder-4',
      'epoch-005.json',
    ]);
  });

  it('in the middle of metrics.jsonl mends it when it wakes', async () => {
    const [stale, holder] = [new RunFolder(dir), new RunFolder(dir)];
    const { checkpoints } = stale;
    await checkpoints.claim();
    await commit(checkpoints, 1);
    const readState = checkpoints.readState.bind(checkpoints);
    let isAsleep = true;
    checkpoints.readState = async () => {
      const old = await readState();
      if (isAsleep) {
        isAsleep = false;
        await holder.checkpoints.claim();
        for (const epoch of [2, 3])
          await holder.commitEpoch(stateAfter(epoch), await attempt(holder.checkpoints, epoch), `w${epoch}`);
      }
      return old; // what it read before it slept
    };
    await stale.writeMetrics();
    expect(await readFile(join(dir, 'metrics.jsonl'), 'utf8')).toBe(
      '{"epoch":1}\n{"epoch":2}\n{"epoch":3}\n',
    );
  });
});

describe('the folder', () => {
  it('keeps the last two checkpoints and every commit, and nothing of attempts that came to nothing', async () => {
    const checkpoints = new Checkpoints(dir, 'a');
    await checkpoints.claim();
    for (const epoch of [1, 2, 3]) {
      await attempt(checkpoints, epoch); // a trainer died after it
      await commit(checkpoints, epoch);
      await checkpoints.prune(epoch);
    }
    await attempt(checkpoints, 4);
    await checkpoints.prune(3);
    expect((await names()).filter((name) => !name.endsWith('.json'))).toEqual([
      'epoch-002.a-4',
      'epoch-003.a-6',
      'epoch-004.a-7',
    ]);
    expect(existsSync(await checkpoints.trainerDir(2))).toBe(true);
  });

  it('loses what a holder that was killed after its commit had yet to remove', async () => {
    const folder = new RunFolder(dir);
    const killed = new Checkpoints(join(dir, 'checkpoints'), 'killed');
    await killed.claim();
    for (const epoch of [1, 2, 3]) await commit(killed, epoch);
    await folder.claim();
    const folders = (await readdir(join(dir, 'checkpoints'))).filter((name) => !name.endsWith('.json'));
    expect(folders.sort()).toEqual(['epoch-002.killed-2', 'epoch-003.killed-3']);
  });

  it('of an earlier version continues, and is of this version from its next commit', async () => {
    await mkdir(join(dir, 'epoch-002'), { recursive: true });
    await writeFile(join(dir, 'epoch-002', 'coordinator.json'), encodeRunState(stateAfter(2)));
    await writeFile(join(dir, 'latest.json'), '{"epoch":2}\n');
    const checkpoints = new Checkpoints(dir, 'new');
    await checkpoints.claim();
    expect(await checkpoints.readState()).toEqual(stateAfter(2));
    expect(await checkpoints.trainerDir(2)).toBe(join(dir, 'epoch-002', 'trainer'));
    for (const epoch of [3, 4]) {
      await commit(checkpoints, epoch);
      await checkpoints.prune(epoch);
      expect(existsSync(join(dir, 'epoch-002'))).toBe(epoch === 3);
    }
    expect(await checkpoints.readState()).toEqual(stateAfter(4));
  });

  it('that is damaged says what to delete, and goes on from the epoch before', async () => {
    const checkpoints = new Checkpoints(dir, 'a');
    await checkpoints.claim();
    await commit(checkpoints, 1);
    await commit(checkpoints, 2);
    await rm(join(dir, 'epoch-002.a-2'), { recursive: true });
    const path = join(dir, 'epoch-002.json');
    await expect(checkpoints.readState()).rejects.toThrow(`delete ${path} to continue`);
    await writeFile(path, '{"epo');
    await expect(checkpoints.readState()).rejects.toThrow(
      `${path} is damaged: it is not JSON; delete ${path}`,
    );
    await rm(path);
    expect(await checkpoints.readState()).toEqual(stateAfter(1));
  });

  it('loses half-written files of killed writers at the next claim', async () => {
    const half = [
      '.report.json.x.tmp',
      'checkpoints/.epoch-001.json.x.tmp',
      'model/.model.safetensors.x.tmp',
    ];
    for (const name of half) {
      await mkdir(dirname(join(dir, name)), { recursive: true });
      await writeFile(join(dir, name), '{');
    }
    await new RunFolder(dir).claim();
    expect((await readdir(dir, { recursive: true })).sort()).toEqual([
      'checkpoints',
      'checkpoints/holder.json',
      'model',
    ]);
  });
});

describe('a damaged checkpoint is reported in one line with the remedy', () => {
  let checkpoints: Checkpoints;
  const fileOf = (...parts: string[]) => join(dir, 'epoch-002.one-2', ...parts);
  beforeEach(async () => {
    checkpoints = new Checkpoints(dir, 'one');
    await checkpoints.claim();
    await commit(checkpoints, 1);
    await commit(checkpoints, 2);
  });

  /** Changes one bit in the middle of a file. */
  async function flip(path: string): Promise<void> {
    const bytes = await readFile(path);
    bytes[bytes.length >> 1]! ^= 1;
    await writeFile(path, bytes);
  }

  const advice = () => `delete ${join(dir, 'epoch-002.json')} to continue from the epoch before`;

  it('where a bit of the weights is another', async () => {
    expect(await checkpoints.trainerDir(2)).toBe(fileOf('trainer'));
    await flip(fileOf('trainer', 'trainer.safetensors'));
    await expect(checkpoints.trainerDir(2)).rejects.toThrow(
      `${fileOf('trainer', 'trainer.safetensors')} is damaged: it is not what epoch 2 committed; ${advice()}`,
    );
    await rm(join(dir, 'epoch-002.json')); // the remedy
    expect((await checkpoints.readState()).epoch).toBe(1);
    expect(await checkpoints.trainerDir(1)).toBe(join(dir, 'epoch-001.one-1', 'trainer'));
  });

  it('where a bit of the state is another, though it is JSON still', async () => {
    const text = await readFile(fileOf('coordinator.json'), 'utf8');
    await writeFile(fileOf('coordinator.json'), text.replace('"seconds":0', '"seconds":9'));
    await expect(checkpoints.readState()).rejects.toThrow(`it is not what epoch 2 committed; ${advice()}`);
  });

  it('where a file is gone', async () => {
    await rm(fileOf('trainer', 'trainer.safetensors'));
    await expect(checkpoints.trainerDir(2)).rejects.toThrow('is damaged');
  });

  it.each([
    ['{}', 'it names no checkpoint of epoch 3'],
    ['[]', 'it names no checkpoint of epoch 3'],
    ['null', 'it holds null'],
    ['{"epoch":3', 'it is not JSON'],
    ['{"epoch":3,"folder":"../../../etc","weightsDigest":null}', 'it names no checkpoint of epoch 3'],
    ['{"epoch":3,"folder":"epoch-002.one-2","weightsDigest":null}', 'it names no checkpoint of epoch 3'],
    [
      '{"epoch":3,"folder":"epoch-003.x-1","weightsDigest":null,"files":{"a":1}}',
      'it names no checkpoint of epoch 3',
    ],
  ])('where a stray commit says %s', async (text, problem) => {
    const path = join(dir, 'epoch-003.json');
    await writeFile(path, text);
    await expect(checkpoints.readState()).rejects.toThrow(
      `${path} is damaged: ${problem}; delete ${path} to continue from the epoch before`,
    );
  });
});

describe('a damaged file of a run folder is reported in one line with the remedy', () => {
  it.each([
    ['config.json', (folder: RunFolder) => folder.readConfig(), 'start the run again with --overwrite'],
    ['classes.json', (folder: RunFolder) => folder.readClasses(), 'start the run again with --overwrite'],
    ['report.json', (folder: RunFolder) => folder.readReport(), 'delete it and resume the run'],
    [
      'checkpoints/holder.json',
      (folder: RunFolder) => folder.checkpoints.isHolder(),
      'delete it and resume the run',
    ],
  ])('%s', async (name, read, remedy) => {
    await mkdir(dirname(join(dir, name)), { recursive: true });
    for (const text of ['{"a', '17', '']) {
      await writeFile(join(dir, name), text);
      const thrown: unknown = await read(new RunFolder(dir)).catch((error: unknown) => error);
      expect(thrown).toBeInstanceOf(UserError);
      expect((thrown as Error).message).toContain(`${join(dir, name)} is damaged`);
      expect((thrown as Error).message).toContain(remedy);
    }
  });

  it('events.jsonl', async () => {
    const path = join(dir, 'events.jsonl');
    const good = '{"sequence":1,"time":"2026-01-01T00:00:00.000Z","topic":"a","payload":{}}';
    for (const line of ['{"seq', '{}', 'null', '{"sequence":"1","time":"x","topic":"a"}']) {
      await writeFile(path, `${good}\n${line}\n`);
      await expect(openEventLog({ path })).rejects.toThrow(`${path}:2 is damaged`);
    }
    await writeFile(path, `${good}\n{"cut o`); // by a crash: never published
    const bus = await openEventLog({ path });
    expect(await bus.lastSequence()).toBe(1);
    await bus.close();
  });
});
