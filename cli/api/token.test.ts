import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { ApiTokens } from '../../common/tokens.ts';
import { describeToken } from './token.ts';

it('prints a token and an entry that lets it in', () => {
  const dir = mkdtempSync(join(tmpdir(), 'ballast-token-'));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const text = describeToken({ name: 'ci', scope: 'submit', rate: '5', burst: '20' });
  const token = /^blt_\S+$/m.exec(text)![0];
  const entry = text.slice(text.indexOf('  - name'));
  expect(entry).not.toContain(token);
  const path = join(dir, 'tokens.yaml');
  writeFileSync(path, `tokens:\n${entry}`);
  chmodSync(path, 0o600);
  const found = ApiTokens.open(path).find(token);
  expect(found).toMatchObject({ name: 'ci', limit: { ratePerSecond: 5, burst: 20 } });
  expect([...found!.scopes]).toEqual(['read', 'submit']);
});

it('prints one JSON object when asked', () => {
  const { token, entry } = JSON.parse(describeToken({ name: 'a', scope: 'read', json: true })) as {
    token: string;
    entry: object;
  };
  expect(token).toMatch(/^blt_/);
  expect(entry).toMatchObject({ name: 'a', scopes: ['read'] });
  expect(JSON.stringify(entry)).not.toContain(token);
});

it.each([
  [{ name: 'a b', scope: 'read' }, '--name a b: use'],
  [{ name: 'a', scope: 'root' }, '--scope root: it must be one of read, submit, admin'],
  [{ name: 'a', scope: 'read', rate: '0' }, '--rate 0: it must be a number above 0'],
  [{ name: 'a', scope: 'read', rate: '1', burst: '0.5' }, '--burst 0.5: it must be a number of at least 1'],
  [{ name: 'a', scope: 'read', burst: '5' }, '--burst needs --rate'],
])('%j is refused', (flags, message) => {
  expect(() => describeToken(flags)).toThrow(message);
});

it('prints when the token ends', () => {
  const flags = { name: 'a', scope: 'read', expiresDays: '1.5', json: true };
  const { entry } = JSON.parse(describeToken(flags, Date.UTC(2026, 0, 1))) as { entry: { expires: string } };
  expect(entry.expires).toBe('2026-01-02T12:00:00.000Z');
  for (const expiresDays of ['0', '-1', 'soon', '1e9'])
    expect(() => describeToken({ ...flags, expiresDays })).toThrow(`--expires-days ${expiresDays}`);
});
