// Processes of a run killed with SIGKILL in mid-epoch: the run ends as if nothing had happened, to the last bit.
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import type { EpochRecord } from '../report/records.ts';
import { ballast, Cli, type CliEnd } from './support/cli.ts';
import { actorsOf } from './support/processes.ts';
import {
  eventsOf,
  type FinishedRun,
  newFolder,
  readMetrics,
  readReport,
  referenceRun,
  runArgs,
} from './support/suite.ts';

/** In the middle of epoch 2's synthesis: some shards are done, others are with the workers. */
const SYNTHESIZING = /"type":"synthesis","epoch":2,"done":(?!0,|48,)/;
/** In the middle of epoch 2's training: 10 of its 26 steps are done. */
const TRAINING = /"type":"training","epoch":2,"step":10,/;

let reference: FinishedRun;

beforeAll(async () => {
  reference = await referenceRun();
});

interface Killed {
  readonly dir: string;
  readonly end: CliEnd;
  /** `actor` events, as `diffusion-worker-0 restarting`. */
  readonly deaths: readonly string[];
}

/** A run whose `actorId` is killed when its output first shows `moment`. */
async function killAt(actorId: string, moment: RegExp): Promise<Killed> {
  const dir = join(newFolder(actorId), 'run');
  const cli = Cli.start(await runArgs(dir, '--json'));
  await cli.waitFor(moment);
  process.kill((await cli.actor(dir, actorId)).pid, 'SIGKILL');
  const end = await cli.ended;
  expect(actorsOf(dir)).toEqual([]);
  return { dir, end, deaths: deathsIn(end.stdout) };
}

function deathsIn(stdout: string): string[] {
  return eventsOf(stdout).flatMap((event) =>
    event.type === 'actor' ? [`${event.actor} ${event.state}`] : [],
  );
}

function withoutRedone(records: readonly Partial<EpochRecord>[]) {
  return records.map(({ shardsRedone: _redone, ...record }) => record);
}

function expectSameResult(dir: string): void {
  expect(readReport(dir).weightsDigest).toBe(readReport(reference.dir).weightsDigest);
  expect(withoutRedone(readMetrics(dir))).toEqual(withoutRedone(readMetrics(reference.dir)));
}

it('a killed diffusion worker: its shards are made again elsewhere, and it is started again', async () => {
  const { dir, end, deaths } = await killAt('diffusion-worker-0', SYNTHESIZING);
  expect(end).toMatchObject({ code: 0, stderr: '' });
  expect(deaths[0]).toBe('diffusion-worker-0 restarting');
  expect(readReport(dir).epochs[1]!.shardsRedone).toBeGreaterThanOrEqual(1);
  expectSameResult(dir);
});

it('the only diffusion worker killed: the run waits for its successor', async () => {
  const dir = join(newFolder('only-worker'), 'run');
  const cli = Cli.start(await runArgs(dir, '--json', '--workers', '1'));
  await cli.waitFor(SYNTHESIZING);
  process.kill((await cli.actor(dir, 'diffusion-worker-0')).pid, 'SIGKILL');
  const end = await cli.ended;
  expect(end).toMatchObject({ code: 0, stderr: '' });
  expect(deathsIn(end.stdout)).toEqual(['diffusion-worker-0 restarting', 'diffusion-worker-0 alive']);
  expectSameResult(dir);
});

it('a killed trainer: the epoch is done again from its checkpoint', async () => {
  const { dir, end, deaths } = await killAt('classifier-trainer', TRAINING);
  expect(end).toMatchObject({ code: 0, stderr: '' });
  expect(deaths).toEqual(['classifier-trainer restarting', 'classifier-trainer alive']);
  expectSameResult(dir);
});

it('a trainer killed while workers synthesise: the same', async () => {
  const { dir, end } = await killAt('classifier-trainer', SYNTHESIZING);
  expect(end).toMatchObject({ code: 0, stderr: '' });
  expectSameResult(dir);
});

it('a killed coordinator: another takes the run up again', async () => {
  const { dir, end, deaths } = await killAt('coordinator', SYNTHESIZING);
  expect(end).toMatchObject({ code: 0, stderr: '' });
  expect(deaths[0]).toBe('coordinator restarting');
  expectSameResult(dir);
});

it('a coordinator killed again and again: one clear error, and --resume ends the run', async () => {
  const dir = join(newFolder('coordinator-again'), 'run');
  const cli = Cli.start(await runArgs(dir, '--json'));
  await cli.waitFor(SYNTHESIZING);
  const killed = new Set<number>();
  let isOver = false;
  void cli.ended.then(() => (isOver = true));
  while (!isOver) {
    const next = await cli
      .poll('the next coordinator', () =>
        actorsOf(dir).find(({ actorId, pid }) => actorId === 'coordinator' && !killed.has(pid)),
      )
      .catch(() => null);
    if (next === null) break;
    killed.add(next.pid);
    process.kill(next.pid, 'SIGKILL');
  }
  const end = await cli.ended;
  expect(end.code).toBe(1);
  const [first, second] = end.stderr.split('\n');
  expect(first).toMatch(/^error: .*coordinator.*SIGKILL/);
  expect(second).toContain(join(dir, 'logs'));
  expect(end.stderr).not.toMatch(/\n\s+at /);
  expect(actorsOf(dir)).toEqual([]);

  expect(await ballast(['run', '--resume', dir])).toMatchObject({ code: 0, stderr: '' });
  expectSameResult(dir);
});
