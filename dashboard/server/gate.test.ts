import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ApiTokens, newToken, type Scope } from '../../common/tokens.ts';
import { PageGate } from './gate.ts';

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'ballast-gate-'))));
afterEach(() => rmSync(folder, { recursive: true }));

/** A gate that knows one token, which the API would let in as `more` says, and the page's own, `own`. */
function gateOf(scope: Scope, more: object = {}) {
  const { token, sha256 } = newToken();
  const file = join(folder, 'tokens.json');
  const tokens = [{ name: 'me', sha256, scopes: [scope], ...more }];
  writeFileSync(file, JSON.stringify({ tokens }), { mode: 0o600 });
  const gate = new PageGate('own', ApiTokens.open(file));
  const admit = (asked: Scope, shown = token) => {
    const request = { headers: { authorization: `Bearer ${shown}` } } as IncomingMessage;
    try {
      gate.admit(request, asked);
      return 200;
    } catch (thrown) {
      return (thrown as { status: number }).status;
    }
  };
  return { admit, gate, token };
}

it('lets a token do what its scopes say, and no more', () => {
  const { admit } = gateOf('submit');
  expect([admit('read'), admit('submit'), admit('admin')]).toEqual([200, 200, 403]);
  expect([admit('read', 'another'), admit('admin', 'own')]).toEqual([401, 200]);
});

it('knows no token that has expired', () => {
  const { admit, gate, token } = gateOf('admin', { expires: '2026-01-01T00:00:00Z' });
  expect([admit('read'), gate.scopesOf(token)]).toEqual([401, null]);
});

it('holds actions to the rate of the token; reading is free', () => {
  const { admit } = gateOf('admin', { ratePerSecond: 0.001, burst: 2 });
  expect([admit('submit'), admit('admin'), admit('admin'), admit('read')]).toEqual([200, 200, 429, 200]);
  expect([admit('submit', 'own'), admit('submit', 'own'), admit('submit', 'own')]).toEqual([200, 200, 200]);
});
