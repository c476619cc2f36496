// Actors may compute for longer than heartbeats may be missing. Reports name the actors that hang, that were killed,
// and the calls that wait for each other; processes that an actor started end with it. Real processes and threads: the
// output of the fixture.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, expect, it } from 'vitest';
import { eventually } from '../common/testing/eventually.ts';

const PROGRAM = join(import.meta.dirname, 'fixtures/actors/busy.mjs');
const both = (isolation: string): readonly (readonly [string, unknown])[] => [
  [
    `${isolation}: busy`,
    'busy with ballast.classes.Worker/compute since TIME, and answers nothing else meanwhile',
  ],
  [`${isolation}: computes on`, 'gave computed in process PID'],
  [`${isolation}: incarnation`, 1],
  [
    `${isolation}: a call that hangs`,
    `Actor w-${isolation}: the call took longer than its deadline (the deadline passed); it is busy with ballast.classes.Worker/hang since TIME, and answers nothing else meanwhile`,
  ],
  [
    `${isolation}: whoever waits hears why`,
    `Actor w-${isolation}: its process ended during the call: was ended by SIGKILL (kill was asked for); not restarted: its limit of 0 restarts in 600 s is reached`,
  ],
];
const EXPECTED: readonly (readonly [string, unknown])[] = [
  ...both('process'),
  ...both('thread'),
  ['what it starts is no actor', [null, 'hello']],
  ['kill: its process lives', true],
  ['kill: its process ends with it', true],
  ['stop: its process lives', true],
  ['stop: its process ends with it', true],
  [
    'a circle',
    'Actor a: calls wait for each other in a circle: a callBack → b callBack → a callBack; let the actor answer more calls at a time (maxConcurrency), or call back later',
  ],
  ['still there', 'gave down'],
  ['a circle that may be', 'gave down'],
  [
    'a circle without end',
    '64 calls wait for each other: … → c callBack → d callBack → c callBack → d callBack',
  ],
];

let said: ReadonlyMap<string, unknown>;

beforeAll(async () => {
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [PROGRAM], { timeout: 840_000 });
  expect(stderr).toBe('');
  const rows = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { readonly what: string; readonly value: unknown });
  said = new Map(rows.map(({ what, value }) => [what, value]));
});

it.each(EXPECTED)('%s', (what, value) => {
  expect(said.get(what)).toEqual(value);
});

it('a busy actor, what it started, and one that is still being made end when their node is killed', async () => {
  const program = spawn(process.execPath, [PROGRAM, 'wait-for-death'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(program.stdout, 'data')) as [Buffer];
  const { value: pids } = JSON.parse(line.toString()) as { readonly value: readonly number[] };
  expect(pids.every(isRunning)).toBe(true);
  program.kill('SIGKILL');
  await eventually(() => expect(pids.filter(isRunning)).toEqual([]));
});

function isRunning(pid: number): boolean {
  try {
    return !/\) [ZX]/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
