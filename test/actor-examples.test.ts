// Runs every example of docs/actors.md and docs/actors-reference.md, as its reader would, and compares what it prints.
import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const FOLDER = join(import.meta.dirname, '../examples/actors');
/** Those in TypeScript, as `npm run build` made them. */
const BUILT = join(import.meta.dirname, '../dist/examples/actors');
/** Parts of the examples, not programs. */
const PARTS = ['counter.mjs', 'counter-type.mjs', 'local.mjs'];

const EXPECTED: Readonly<Record<string, readonly string[]>> = {
  'calls.mjs': [
    'count 42',
    'down 3 2 1',
    'all 50',
    'asked 7 true',
    'DEADLINE_EXCEEDED false',
    'changed my mind',
    'UserError Add something.',
    'true OUT_OF_RANGE 1 false',
  ],
  'cluster.mjs': ['on worker count 5', 'same actor 5'],
  'control-plane.mjs': ['1:1 2:2', 'ALREADY_EXISTS', 'RevisionConflict', 'lost false', 'leader null'],
  'gang.mjs': ['counts 0 5', 'UserError true', 'pending true cpu 3', 'alive'],
  'group.mjs': ['both anew true true', 'true', 'source dead, sink dead'],
  'hello.mjs': ['Hello, world!'],
  'hello-typed.js': ['count 42', 'left 42', 'left 41'],
  'mailbox.mjs': ['one by one true', 'together true', '1 RESOURCE_EXHAUSTED true'],
  'methods.mjs': [
    'pear plum 1180591620717411303424n 0 1.5',
    'true none left 3 true',
    'true',
    'pear 2',
    'plum 5',
    'DEADLINE_EXCEEDED',
    'enough',
    'tries 3',
    'same true',
    'UserError An argument of Shop.buy cannot be sent:',
  ],
  'objects.mjs': ['5000000 true', 'read 5000000', 'ready 1 failed 1', 'NOT_FOUND'],
  'options.mjs': [
    'one actor true',
    'found true',
    'status meanwhile true',
    'at once 4',
    'process small',
    'thread small',
    'UserError Actor W, variable "NODE_OPTIONS" may not be set by a caller: set it where the node is started.',
    'cards 0 1',
    'pooled 0',
  ],
  'placement-groups.js': [
    'card 0',
    'task 49',
    'waits for room: bundle lab-0: gpu (asks for 1, 0 of 1 free)',
    'bundle lab-1 lacks gpu (asks for 1, has 0).',
    'true',
    'left 2',
  ],
  'placement.mjs': [
    'same true',
    'found true',
    'cards 0 of node true',
    'UserError true',
    'pending true',
    'alive',
    'one process true',
  ],
  'plain-grpc.mjs': ['count 12', 'true'],
  'pool.mjs': ['members true true'],
  'restarts.mjs': ['UNAVAILABLE true true', 'count 41 true', 'alive 2 SIGKILL'],
  'state.mjs': ['kept 700n'],
  'tasks.mjs': ['one 9', 'in order 9 1 4', 'as they end 1 3000', 'first 1 pending 1'],
  'values.mjs': ['read by another 50003', 'read here 3 kept there 3', 'mine 0.5 true', 'NOT_FOUND'],
};

const programs = readdirSync(FOLDER)
  .filter((name) => /\.(mjs|ts)$/.test(name) && !PARTS.includes(name))
  .map(
    (name) =>
      [basename(name), join(name.endsWith('.ts') ? BUILT : FOLDER, name).replace(/\.ts$/, '.js')] as const,
  );

it.each(programs)('%s prints what it should, and ends by itself', async (_name, path) => {
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [path], { timeout: 840_000 });
  expect(stderr).toBe('');
  expect(stdout.trimEnd().split('\n')).toEqual(EXPECTED[basename(path)]);
});
