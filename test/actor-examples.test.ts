// Runs every example of docs/actors.md, as its reader would, and compares what it prints.
import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const FOLDER = join(import.meta.dirname, '../examples/actors');
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
  'mailbox.mjs': ['one by one true', 'together true', '1 RESOURCE_EXHAUSTED true'],
  'objects.mjs': ['5000000 64 true', 'read 5000000', 'ready 1 failed 1', 'NOT_FOUND'],
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
};

const programs = readdirSync(FOLDER).filter((name) => name.endsWith('.mjs') && !PARTS.includes(name));

it.each(programs)('%s prints what it should, and ends by itself', async (name) => {
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [join(FOLDER, name)], {
    timeout: 120_000,
  });
  expect(stderr).toBe('');
  expect(stdout.trimEnd().split('\n')).toEqual(EXPECTED[name]);
});
