import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { UserError } from './errors.ts';
import { allows, ApiTokens, bearerToken, newToken, SCOPES, hasExpired } from './tokens.ts';

let dir: string;
let path: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'ballast-tokens-'));
  path = join(dir, 'tokens.yaml');
});
afterEach(() => rmSync(dir, { recursive: true }));

function write(name: string, content: string, mode = 0o600): string {
  const file = join(dir, name);
  writeFileSync(file, content);
  chmodSync(file, mode);
  return file;
}

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

/** Two tokens: `one` may submit, five calls a second; `two`, named by file, may read. */
function writeTwo(): void {
  write('two.token', 'token-two\n', 0o440);
  write(
    'tokens.yaml',
    `tokens:
  - {name: one, sha256: ${sha256('token-one')}, scopes: [submit], ratePerSecond: 5}
  - name: two
    tokenFile: two.token
    scopes: [read]
`,
    0o640,
  );
}

function refusal(content: string, mode = 0o600): string {
  write('tokens.yaml', content, mode);
  try {
    ApiTokens.open(path);
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(UserError);
    return (thrown as UserError).message.replaceAll(dir, 'DIR');
  }
  throw new Error('it was accepted');
}

describe('a tokens file', () => {
  it('admits tokens whose digest or file it names', () => {
    writeTwo();
    const tokens = ApiTokens.open(path);
    expect(tokens.names).toEqual(['one', 'two']);
    const one = tokens.find('token-one')!;
    expect(one).toMatchObject({ name: 'one', limit: { ratePerSecond: 5, burst: 5 } });
    expect(SCOPES.map((scope) => allows(one, scope))).toEqual([true, true, false]);
    const two = tokens.find('token-two')!;
    expect(two).toMatchObject({ name: 'two', limit: null });
    expect(SCOPES.map((scope) => allows(two, scope))).toEqual([true, false, false]);
    for (const wrong of ['', 'token-on', 'token-one ', 'token-two\n', sha256('token-one')]) {
      expect(tokens.find(wrong)).toBeNull();
    }
  });

  it('may say when a token ends', () => {
    const entry = {
      name: 'guest',
      sha256: sha256('t'),
      scopes: ['read'],
      expires: '2026-01-31T12:00:00+02:00',
    };
    write('tokens.yaml', JSON.stringify({ tokens: [entry] }));
    const token = ApiTokens.open(path).find('t')!;
    const endMs = Date.UTC(2026, 0, 31, 10);
    expect([hasExpired(token, endMs - 1), hasExpired(token, endMs)]).toEqual([false, true]);
  });

  it('may be JSON, and gives admin everything', () => {
    const entry = { name: 'root', sha256: sha256('t').toUpperCase(), scopes: ['admin'] };
    write('tokens.yaml', JSON.stringify({ tokens: [entry] }));
    const token = ApiTokens.open(path).find('t')!;
    expect(SCOPES.map((scope) => allows(token, scope))).toEqual([true, true, true]);
  });

  it('takes what newToken makes, and no two are alike', () => {
    const made = [newToken(), newToken()];
    expect(made[0]!.token).toMatch(/^blt_[A-Za-z0-9_-]{43}$/);
    expect(made[0]!.token).not.toBe(made[1]!.token);
    const entries = made.map(({ sha256: digest }, i) => ({
      name: `n${i}`,
      sha256: digest,
      scopes: ['read'],
    }));
    write('tokens.yaml', JSON.stringify({ tokens: entries }));
    const tokens = ApiTokens.open(path);
    expect(made.map(({ token }) => tokens.find(token)?.name)).toEqual(['n0', 'n1']);
  });
});

describe('a tokens file that changes', () => {
  let nowMs = 0;
  const problems: string[] = [];
  const open = () =>
    ApiTokens.open(path, { now: () => nowMs, onProblem: ({ message }) => problems.push(message) });
  beforeEach(() => {
    nowMs = 0;
    problems.length = 0;
  });

  /** As an editor or a mounted Secret does it: another file takes the place. */
  function replace(name: string, content: string, mode = 0o600): void {
    write(`${name}.new`, content, mode);
    renameSync(join(dir, `${name}.new`), join(dir, name));
  }

  it('revokes and adds tokens within a second, also those in files of their own', () => {
    writeTwo();
    const tokens = open();
    replace('tokens.yaml', 'tokens: [{name: two, tokenFile: two.token, scopes: [read]}]');
    nowMs += 999;
    expect(tokens.find('token-one')).not.toBeNull();
    nowMs += 1;
    expect(tokens.find('token-one')).toBeNull();
    replace('two.token', 'another');
    nowMs += 1000;
    expect(tokens.find('token-two')).toBeNull();
    expect(tokens.find('another')).toMatchObject({ name: 'two' });
    expect(problems).toEqual([]);
  });

  it('keeps the last good list while the file holds a mistake, reports it once, and recovers', () => {
    writeTwo();
    const tokens = open();
    replace('tokens.yaml', 'tokens: 5');
    for (let i = 0; i < 5; i++) {
      nowMs += 1000;
      expect(tokens.find('token-one')).toMatchObject({ name: 'one' });
    }
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain('tokens.yaml: tokens: it is missing, or of the wrong kind');
    rmSync(path);
    nowMs += 1000;
    expect(tokens.find('token-one')).toMatchObject({ name: 'one' });
    expect(problems[1]).toContain('cannot be read (ENOENT)');
    replace('tokens.yaml', 'tokens: []');
    nowMs += 1000;
    expect(tokens.find('token-one')).toBeNull();
    expect(problems).toHaveLength(2);
  });
});

describe('refused', () => {
  const entry = (more: string) => `tokens: [{name: a, ${more}}]`;
  const digest = `sha256: ${sha256('t')}`;

  it.each([
    ['no list', 'hello', 'DIR/tokens.yaml: the file: it is missing, or of the wrong kind'],
    ['broken YAML', 'tokens: [', 'DIR/tokens.yaml: it is neither valid YAML nor JSON'],
    ['no scopes', entry(digest), 'tokens[0].scopes: it is missing'],
    ['an unknown scope', entry(`${digest}, scopes: [root]`), 'it must be one of read, submit, admin'],
    ['an unknown field', entry(`${digest}, scopes: [read], token: x`), 'tokens[0]: it has an unknown field'],
    ['no digest', entry('scopes: [read]'), 'needs either sha256 or tokenFile'],
    ['both', entry(`${digest}, tokenFile: x, scopes: [read]`), 'needs either sha256 or tokenFile'],
    [
      'a token in clear',
      entry('sha256: blt_hunter2, scopes: [read]'),
      'tokens[0].sha256: must be 64 hex digits',
    ],
    ['burst alone', entry(`${digest}, scopes: [read], burst: 3`), 'has burst without ratePerSecond'],
    [
      'a day without a time',
      entry(`${digest}, scopes: [read], expires: "2026-01-31"`),
      'must be a time with its zone',
    ],
    ['a missing file', entry('tokenFile: none, scopes: [read]'), 'DIR/none: cannot be read (ENOENT)'],
    ['a folder', entry('tokenFile: ., scopes: [read]'), 'DIR: it is not a file'],
    [
      'one token twice',
      `tokens: [{name: a, ${digest}, scopes: [read]}, {name: b, ${digest}, scopes: [admin]}]`,
      'a and b have the same token',
    ],
    [
      'one name twice',
      `tokens: [{name: a, ${digest}, scopes: [read]}, {name: a, sha256: ${sha256('u')}, scopes: [read]}]`,
      'a and a have the same name',
    ],
    [
      'aliases that unfold',
      `a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b]\ntokens: [*c,*c,*c]`,
      'it uses too many aliases',
    ],
  ])('%s', (_what, content, message) => {
    expect(refusal(content)).toContain(message);
  });

  it('never repeats what may be a token', () => {
    expect(refusal(entry('sha256: blt_hunter2, scopes: [read]'))).not.toContain('hunter2');
    expect(refusal('tokens: [{name: a, blt_hunter2')).not.toContain('hunter2');
    expect(refusal(entry(`${digest}, scopes: [read], blt_hunter2: 1`))).not.toContain('hunter2');
    expect(refusal('tokens: [{name: "blt hunter2", scopes: [read]}]')).not.toContain('hunter2');
  });

  it.each([0o644, 0o604, 0o602, 0o666])('mode %o', (mode) => {
    expect(refusal('tokens: []', mode)).toMatch(
      /^DIR\/tokens\.yaml: everybody on this machine can read or change it \(mode 0\d{3}\); set it to 0640 or less$/,
    );
  });

  it('a token file that everybody can read, or that holds more than a token', () => {
    write('loose', 'token', 0o644);
    expect(refusal(entry('tokenFile: loose, scopes: [read]'))).toContain('DIR/loose: everybody');
    write('two', 'token\ntoken');
    expect(refusal(entry('tokenFile: two, scopes: [read]'))).toContain('DIR/two: it must hold one token');
    mkdirSync(join(dir, 'empty'));
    write('empty/x', '\n');
    expect(refusal(entry('tokenFile: empty/x, scopes: [read]'))).toContain('it must hold one token');
  });

  it('a file without end', () => {
    expect(refusal('#'.repeat(2 ** 20 + 1))).toContain('larger than 1048576 bytes');
    expect(() => ApiTokens.open('/dev/zero')).toThrow('/dev/zero: it is not a file');
  });
});

it('reads a bearer token from its header, and nothing else', () => {
  expect(bearerToken('Bearer abc')).toBe('abc');
  expect(bearerToken('bearer  abc')).toBe('abc');
  for (const other of ['abc', 'Basic abc', 'Bearer', 'Bearer a b', '', undefined, Buffer.from('Bearer a')]) {
    expect(bearerToken(other)).toBeNull();
  }
});
