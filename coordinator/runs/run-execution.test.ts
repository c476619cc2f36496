import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { UserError } from '../../common/errors.ts';
import { createLog } from '../../common/log.ts';
import { parseRunConfig } from '../../config/run-config.ts';
import { Journals } from './journals.ts';
import { executeRun, type ExecutionOptions } from './run-execution.ts';
import type { RunRecord } from './run-record.ts';

let dir: string;
beforeEach(async () => (dir = await mkdtemp(join(tmpdir(), 'execution-'))));
afterEach(() => rm(dir, { recursive: true }));

const times = { createdAt: new Date(0).toISOString(), startedAt: null, endedAt: null };
const record: RunRecord = {
  ...{ id: 'a', state: 'running', reason: '', config: parseRunConfig({ method: 'erm' }) },
  ...{ weight: 1, labels: {}, request: null, ...times },
};

/** Executes a run whose mirror never opens. */
async function executeWithoutMirror() {
  const waits: number[] = [];
  const lines: string[] = [];
  const node = { listNodes: () => Promise.resolve([{ state: 'alive', labels: {} }]) };
  const options = {
    runtime: { system: { node } },
    trainerLabels: {},
    journals: new Journals(() => dir),
    dirOf: () => dir,
    mirror: { open: () => Promise.reject(new UserError('Cannot reach NATS: start it.')) },
    log: createLog({ write: (line) => lines.push(line) }),
  } as unknown as ExecutionOptions;
  const wait = (ms: number) => Promise.resolve(void waits.push(ms));
  const end = executeRun(record, new AbortController().signal, options, wait);
  return { thrown: await end.catch((error: unknown) => error), waits, lines };
}

it('a run whose mirror cannot be opened is taken up again five times, and then fails with the reason', async () => {
  const { thrown, waits, lines } = await executeWithoutMirror();
  expect(waits).toEqual([1000, 2000, 4000, 8000, 16_000]);
  expect(lines).toHaveLength(5);
  expect(thrown).toBeInstanceOf(UserError);
  expect((thrown as UserError).message).toBe('Cannot reach NATS: start it.');
});
