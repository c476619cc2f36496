// Class actors under attack and misuse, in real processes: what the fixture prints.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, expect, it } from 'vitest';

const PROGRAM = join(import.meta.dirname, 'fixtures/actors/class-edges.mjs');
const EXPECTED: readonly (readonly [string, unknown])[] = [
  ['methods', ['actorId', 'broken', 'crash', 'echo', 'give', 'greet', 'nothing', 'numbers', 'throwText']],
  ['undefined', ['undefined', 'null']],
  [
    'cannot be sent back',
    {
      name: 'UserError',
      message:
        'The result of Safe.give cannot be sent: () => 1 could not be cloned. (send data: numbers, strings, arrays, objects, Map, Set, Date, bigint, typed arrays, errors)',
      isActorError: false,
    },
  ],
  ['no error', 'a text'],
  ['call _internal', { code: 'UNIMPLEMENTED', message: 'no method /ballast.classes.Safe/_internal' }],
  ['call #hidden', { code: 'UNIMPLEMENTED', message: 'no method /ballast.classes.Safe/#hidden' }],
  ['call constructor', { code: 'UNIMPLEMENTED', message: 'no method /ballast.classes.Safe/constructor' }],
  ['call onStop', { code: 'UNIMPLEMENTED', message: 'no method /ballast.classes.Safe/onStop' }],
  ['call toString', { code: 'UNIMPLEMENTED', message: 'no method /ballast.classes.Safe/toString' }],
  ['call __proto__', { code: 'UNIMPLEMENTED', message: 'no method /ballast.classes.Safe/__proto__' }],
  ['call greeting', { code: 'UNIMPLEMENTED', message: 'no method /ballast.classes.Safe/greeting' }],
  [
    'no list',
    {
      code: 'INVALID_ARGUMENT',
      message: 'the request is not a valid message of /ballast.classes.Safe/greet',
    },
  ],
  [
    'no value',
    {
      code: 'INVALID_ARGUMENT',
      message: 'the request is not a valid message of /ballast.classes.Safe/greet',
    },
  ],
  [
    'empty',
    {
      code: 'INVALID_ARGUMENT',
      message: 'the request is not a valid message of /ballast.classes.Safe/greet',
    },
  ],
  ['plain', { gave: 'J"hi Ann"' }],
  ['still there', 'hi Bob'],
  ['broken stream', { name: 'TypeError', message: 'in the middle', isActorError: false }],
  ['before it broke', [1]],
  ['stream', 499500],
  ['crash', { name: 'ActorError', message: true, code: 'UNAVAILABLE', isActorError: true }],
  ['restarted', 'hi Cid'],
  [
    'never made',
    'Actor U: dead, its process exited with code 78; not restarted: it cannot work with its settings',
  ],
  [
    'not registered',
    {
      name: 'UserError',
      message: 'Stranger is not an actor: write actor(import.meta, class Stranger { … }), or task(…).',
      isActorError: false,
    },
  ],
  [
    'reserved',
    {
      name: 'UserError',
      message: "Actor class Bad: the method name 'then' is reserved; choose another one.",
      isActorError: false,
    },
  ],
  [
    'twice',
    {
      name: 'UserError',
      message: 'Actor class Safe: FILE declares two with this name; rename one.',
      isActorError: false,
    },
  ],
  [
    'no name',
    {
      name: 'UserError',
      message: "Actor class '': give it a name of 1 to 40 letters, digits, '-' and '_'.",
      isActorError: false,
    },
  ],
  [
    'task without a name',
    {
      name: 'UserError',
      message: "Actor class '': give it a name of 1 to 40 letters, digits, '-' and '_'.",
      isActorError: false,
    },
  ],
  [
    'no group method',
    {
      name: 'UserError',
      message: "Actor class G, group io: there is no public method 'x'.",
      isActorError: false,
    },
  ],
  ['variable LD_PRELOAD', 'UserError'],
  ['variable NODE_OPTIONS', 'UserError'],
  ['variable node_options', 'UserError'],
  ['variable BASH_ENV', 'UserError'],
  ['variable a=b', 'UserError'],
  ['variable BALLAST_ACTOR', 'UserError'],
];

let said: ReadonlyMap<string, unknown>;

beforeAll(async () => {
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [PROGRAM], { timeout: 840_000 });
  expect(stderr).toBe('');
  const lines = stdout.trimEnd().replaceAll(PROGRAM, 'FILE').split('\n');
  const rows = lines.map((line) => JSON.parse(line) as { readonly what: string; readonly value: unknown });
  said = new Map(rows.map(({ what, value }) => [what, value]));
});

it.each(EXPECTED)('%s', (what, value) => {
  expect(said.get(what)).toEqual(value);
});

it('the program says nothing else', () => {
  expect([...said.keys()]).toEqual(EXPECTED.map(([what]) => what));
});
