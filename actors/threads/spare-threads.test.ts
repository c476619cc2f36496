import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { eventually } from '../../common/testing/eventually.ts';
import { SpareThreads } from './spare-threads.ts';

/** Says when it is a spare; echoes. */
const PROGRAM = `
import { parentPort, workerData } from 'node:worker_threads';
parentPort.on('message', (message) => {
  parentPort.postMessage({ message, isSpare: workerData.isSpare });
});
if (workerData.isSpare) parentPort.postMessage('ready');
`;

let folder: string;
let threads: SpareThreads;
let errors: unknown[] = [];
const taken: Worker[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ballast-spares-'));
  const program = join(folder, 'program.mjs');
  await writeFile(program, PROGRAM);
  errors = [];
  threads = new SpareThreads(program, reporter());
});

afterEach(async () => {
  await Promise.all([threads.close(), ...taken.splice(0).map((worker) => worker.terminate())]);
  await rm(folder, { recursive: true });
});

/** Reports to the test that asks, also of a thread that ends when another test has begun. */
function reporter(): (error: unknown) => void {
  const own = errors;
  return (error) => own.push(error);
}

function take(): Worker {
  const worker = threads.take();
  taken.push(worker);
  return worker;
}

async function echoOf(worker: Worker): Promise<unknown> {
  worker.postMessage('hello');
  return ((await once(worker, 'message')) as unknown[])[0];
}

const waitFor = (count: number) => eventually(() => expect(threads.waiting).toBe(count));

it('keeps none until one is wanted, then as many as were wanted at once', async () => {
  expect(threads.waiting).toBe(0);
  const cold = [take(), take()];
  expect(await Promise.all(cold.map(echoOf))).toEqual([
    { message: 'hello', isSpare: false },
    { message: 'hello', isSpare: false },
  ]);
  await waitFor(2);
  const warm = take();
  expect(threads.waiting).toBe(1);
  expect(await echoOf(warm)).toEqual({ message: 'hello', isSpare: true });
  expect(warm.listenerCount('error')).toBe(0);
});

it('forgets one that ends while it waits, and says why', async () => {
  const short = join(folder, 'short.mjs');
  await writeFile(
    short,
    `${PROGRAM}\nif (workerData.isSpare) setTimeout(() => { throw new Error('too long'); }, 200);`,
  );
  await threads.close();
  threads = new SpareThreads(short, reporter());
  take();
  await waitFor(1);
  await waitFor(0);
  expect(errors).toMatchObject([{ message: 'too long' }]);
  expect(await echoOf(take())).toEqual({ message: 'hello', isSpare: false });
});

it('a program that cannot be loaded is reported, and not tried for ever', async () => {
  const broken = join(folder, 'broken.mjs');
  await writeFile(broken, 'throw new Error("cannot be loaded")');
  await threads.close();
  threads = new SpareThreads(broken, reporter());
  await expect(once(take(), 'exit')).rejects.toThrow('cannot be loaded');
  await eventually(() => expect(errors).toMatchObject([{ message: 'cannot be loaded' }]));
  await new Promise((resolve) => setTimeout(resolve, 400));
  expect(errors).toHaveLength(1);
  expect(threads.waiting).toBe(0);
});
