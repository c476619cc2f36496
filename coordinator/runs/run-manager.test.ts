import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLog } from '../../common/log.ts';
import { UserError } from '../../common/errors.ts';
import { parseRunConfig } from '../../config/run-config.ts';
import type { RunOutcome } from '../epoch/run-loop.ts';
import { Replaced } from '../records/checkpoints.ts';
import { Journals } from './journals.ts';
import { RunManager } from './run-manager.ts';
import type { RunRecord } from './run-record.ts';
import { RunStore } from './run-store.ts';

const log = createLog({ write: () => undefined });
const config = parseRunConfig({ method: 'erm' });
const FINISHED = { status: 'finished' } as RunOutcome;

let dir: string;
beforeEach(async () => (dir = await mkdtemp(join(tmpdir(), 'runs-'))));
afterEach(() => rm(dir, { recursive: true }));

function recordOf(id: string, second = 0): RunRecord {
  const createdAt = new Date(1_800_000_000_000 + second * 1000).toISOString();
  const times = { createdAt, startedAt: null, endedAt: null };
  return { id, state: 'queued', reason: '', config, weight: 1, labels: {}, request: null, ...times };
}

/** A manager whose runs continue until they are stopped. */
function managerOf(maxRuns = 2) {
  const store = new RunStore(dir);
  const going = new Map<string, { end(outcome: RunOutcome): void; fail(error: Error): void }>();
  const manager = new RunManager({
    ...{ store, maxRuns, log },
    journals: new Journals((run) => store.dirOf(run)),
    execute: ({ id }, signal) =>
      new Promise<RunOutcome>((resolve, reject) => {
        going.set(id, { end: resolve, fail: reject });
        signal.addEventListener('abort', () => resolve({ status: 'cancelled', epoch: 3 }));
      }).finally(() => going.delete(id)),
  });
  return { manager, going, store };
}

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; !condition(); i++) {
    if (i > 400) throw new Error('timed out waiting for the condition');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const statesOf = (manager: RunManager) => Object.fromEntries(manager.list().map(({ id, state }) => [id, state]));

describe('the runs of a coordinator', () => {
  it('go on so many at once, the oldest first', async () => {
    const { manager, going } = managerOf();
    await manager.start();
    for (const [i, id] of ['a', 'b', 'c'].entries()) expect(await manager.create(recordOf(id, i))).not.toBeNull();
    await until(() => going.size === 2);
    expect(statesOf(manager)).toEqual({ a: 'running', b: 'running', c: 'queued' });
    going.get('a')!.end(FINISHED);
    await until(() => going.has('c'));
    expect(statesOf(manager)).toEqual({ a: 'succeeded', b: 'running', c: 'running' });
    await manager.stop();
  });

  it('have ids of their own', async () => {
    const { manager } = managerOf();
    await manager.start();
    expect(await manager.create(recordOf('a'))).not.toBeNull();
    expect(await manager.create(recordOf('a'))).toBeNull();
    await manager.stop();
  });

  it('are one when one request comes twice at once', async () => {
    const { manager } = managerOf();
    await manager.start();
    const request = { id: 'wish', digest: 'd' };
    const made = ['a', 'b'].map((id) => manager.create({ ...recordOf(id), request }));
    expect((await Promise.all(made)).map((record) => record?.id)).toEqual(['a', 'a']);
    expect(manager.list()).toHaveLength(1);
    await manager.stop();
  });

  it('are cancelled while they go on, and while they wait; and resumed', async () => {
    const { manager, going } = managerOf(1);
    await manager.start();
    await manager.create(recordOf('a', 1));
    await manager.create(recordOf('b', 2));
    await until(() => going.has('a'));
    expect((await manager.cancel('b')).reason).toBe('cancelled while it waited');
    const cancelled = await manager.cancel('a');
    expect(cancelled).toMatchObject({ state: 'cancelled', reason: 'cancelled after epoch 3' });
    expect(cancelled.endedAt).not.toBeNull();
    expect((await manager.resume('a')).state).not.toBe('cancelled');
    await until(() => going.has('a'));
    going.get('a')!.end(FINISHED);
    await until(() => statesOf(manager)['a'] === 'succeeded');
    expect((await manager.resume('a')).state).toBe('succeeded');
    await manager.stop();
  });

  it('fail with the reason of the mistake', async () => {
    const { manager, going } = managerOf();
    await manager.start();
    await manager.create(recordOf('a'));
    await until(() => going.has('a'));
    going.get('a')!.fail(new UserError('the data are gone'));
    await until(() => statesOf(manager)['a'] === 'failed');
    expect(manager.get('a')!.reason).toBe('the data are gone');
    await manager.stop();
  });

  it('are taken up by the next coordinator, also when the last one was killed', async () => {
    const first = managerOf(1);
    await first.manager.start();
    await first.manager.create(recordOf('a', 1));
    await first.manager.create(recordOf('b', 2));
    await until(() => first.going.has('a'));
    await first.manager.stop();
    expect(JSON.parse(await readFile(join(dir, 'a', 'run.json'), 'utf8'))).toMatchObject({ state: 'running' });
    const second = managerOf(1);
    await second.manager.start();
    await until(() => second.going.has('a'));
    expect(statesOf(second.manager)).toEqual({ a: 'running', b: 'queued' });
    await second.manager.stop();
  });

  it('tell of every state in their journals', async () => {
    const { manager, going, store } = managerOf();
    await manager.start();
    await manager.create(recordOf('a'));
    await until(() => going.has('a'));
    going.get('a')!.end(FINISHED);
    await until(() => statesOf(manager)['a'] === 'succeeded');
    await manager.stop();
    const lines = (await readFile(join(store.dirOf('a'), 'events.jsonl'), 'utf8')).trim().split('\n');
    const topics = lines.map((line) => (JSON.parse(line) as { topic: string }).topic);
    expect(topics).toEqual(['state.queued', 'state.running', 'state.succeeded']);
  });

  it('are deleted with their folders once they have ended, and their names are free again', async () => {
    const { manager, going, store } = managerOf(1);
    await manager.start();
    await manager.create(recordOf('a', 1));
    await manager.create(recordOf('b', 2));
    await until(() => going.has('a'));
    expect([await manager.delete('a'), await manager.delete('b')]).toEqual([false, false]);
    going.get('a')!.end(FINISHED);
    await until(() => statesOf(manager)['a'] === 'succeeded');
    // All at once: while it reports its end, and twice.
    expect(await Promise.all([manager.delete('a'), manager.delete('a')])).toEqual([true, true]);
    expect(manager.get('a')).toBeUndefined();
    expect(await readdir(dir)).toEqual(['b']);
    expect(await manager.create(recordOf('a', 3))).not.toBeNull();
    await manager.stop();
    expect((await store.readAll(log)).map(({ id }) => id).sort()).toEqual(['a', 'b']);
  });

  it('that were being deleted when the coordinator was killed are gone at its next start', async () => {
    await mkdir(join(dir, '.deleted-a-1234', 'model'), { recursive: true });
    const { manager } = managerOf();
    await manager.start();
    expect(await readdir(dir)).toEqual([]);
    await manager.stop();
  });

  it('are resumed once by one request, even after a second failure', async () => {
    const { manager, going } = managerOf();
    await manager.start();
    await manager.create(recordOf('a'));
    await until(() => going.has('a'));
    going.get('a')!.fail(new UserError('the data are gone'));
    await until(() => statesOf(manager)['a'] === 'failed');
    await manager.resume('a', 'wish');
    await until(() => going.has('a'));
    going.get('a')!.fail(new UserError('the data are gone still'));
    await until(() => statesOf(manager)['a'] === 'failed');
    expect(manager.get('a')!.resumeRequestId).toBe('wish');
    expect((await manager.resume('a', 'wish')).state).toBe('failed');
    expect((await manager.resume('a', 'another wish')).state).not.toBe('failed');
    await manager.stop();
  });

  it('are left as they are to a coordinator that has taken them over', async () => {
    const { manager, going, store } = managerOf();
    await manager.start();
    await manager.create(recordOf('a'));
    await until(() => going.has('a'));
    const files = ['run.json', 'events.jsonl'].map((name) => join(store.dirOf('a'), name));
    const read = () => Promise.all(files.map((file) => readFile(file, 'utf8')));
    await manager.settled('a');
    const before = await read();
    going.get('a')!.fail(new Replaced(store.dirOf('a')));
    await until(() => !going.has('a'));
    await manager.stop();
    expect(await read()).toEqual(before);
  });

  it('are those of the folders of their names: a copy beside one is not another run', async () => {
    const { manager, store } = managerOf();
    await manager.start();
    await manager.create(recordOf('a'));
    await manager.stop();
    await cp(store.dirOf('a'), store.dirOf('copy'), { recursive: true });
    const next = managerOf();
    await next.manager.start();
    expect(next.manager.list().map(({ id }) => id)).toEqual(['a']);
    expect([await next.manager.deleteUnreadable('a'), await next.manager.deleteUnreadable('copy')]).toEqual([
      false,
      true,
    ]);
    await next.manager.stop();
    expect(await readdir(dir)).toEqual(['a']);
  });

  it('leave a damaged record alone, until it is deleted', async () => {
    const { manager, store } = managerOf();
    await manager.start();
    await manager.create(recordOf('a'));
    await manager.stop();
    await writeFile(join(store.dirOf('a'), 'run.json'), '{"form');
    const next = managerOf();
    await next.manager.start();
    expect(next.manager.list()).toEqual([]);
    await mkdir(store.dirOf('no-run'));
    expect(await next.manager.deleteUnreadable('no-run')).toBe(false);
    expect(await next.manager.deleteUnreadable('a')).toBe(true);
    expect(await next.manager.create(recordOf('a'))).not.toBeNull();
    await next.manager.stop();
  });
});
