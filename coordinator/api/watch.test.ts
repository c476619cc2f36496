// The end of a stream of a run's events. Streams of real runs: test/api.test.ts.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Journals } from '../runs/journals.ts';
import type { RunRecord, RunState } from '../runs/run-record.ts';
import { watchRun } from './watch.ts';

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'ballast-watch-'))));
afterEach(() => rmSync(folder, { recursive: true }));

/** A run in `state`, with an event for each topic. */
async function runWith(topics: readonly string[], state: RunState) {
  const journals = new Journals((run) => join(folder, run));
  mkdirSync(join(folder, 'a'));
  const publish = (...more: readonly string[]) =>
    journals.use('a', async (bus) => {
      for (const topic of more) await bus.publish(topic, { state: topic.replace('state.', ''), reason: '' });
    });
  await publish(...topics);
  let record = { id: 'a', state } as RunRecord;
  const { signal } = new AbortController();
  const watch = (fromSequence: number, settled = () => Promise.resolve()) =>
    watchRun({ journals, current: () => record, settled, fromSequence, includeProgress: false, signal });
  const end = (now: RunState) => void (record = { ...record, state: now });
  return { publish, watch, end };
}

async function sequencesOf(stream: ReturnType<typeof watchRun>): Promise<number[]> {
  const sequences: number[] = [];
  for await (const { sequence } of stream) sequences.push(Number(sequence));
  return sequences;
}

it('ends after the last event of a run that has ended, even if that is not its end', async () => {
  const { watch } = await runWith(['state.queued', 'state.running'], 'succeeded'); // killed before it told
  expect(await sequencesOf(watch(1))).toEqual([1, 2]);
  expect(await sequencesOf(watch(2))).toEqual([2]);
  expect(await sequencesOf(watch(0))).toEqual([]);
});

it('waits for the end of a run that is just being told', async () => {
  const { watch, publish } = await runWith(['state.queued', 'state.running'], 'succeeded');
  expect(await sequencesOf(watch(1, () => publish('state.succeeded')))).toEqual([1, 2, 3]);
});

it('goes on while the run does, and ends with it', async () => {
  const { watch, publish, end } = await runWith(['state.queued', 'state.running'], 'running');
  const stream = watch(2);
  expect((await stream.next()).value).toMatchObject({ sequence: 2 });
  end('failed');
  await publish('state.failed');
  expect(await sequencesOf(stream)).toEqual([3]);
});
