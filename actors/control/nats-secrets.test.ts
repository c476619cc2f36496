import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { natsSecrets, secretOptions } from './nats-secrets.ts';

it('takes from the environment what it names, by file', () => {
  expect(natsSecrets({ BALLAST_NATS_USER: '', PATH: '/bin' })).toEqual({});
  expect(
    natsSecrets({
      BALLAST_NATS_USER: 'worker',
      BALLAST_NATS_PASSWORD_FILE: '/p',
      BALLAST_NATS_CREDS_FILE: '/c',
      BALLAST_NATS_NKEY_FILE: '/n',
      BALLAST_NATS_TOKEN_FILE: '/t',
      BALLAST_NATS_INBOX_PREFIX: '_INBOX_worker',
      BALLAST_NATS_CA: '/ca',
      BALLAST_NATS_CERT: '/cert',
      BALLAST_NATS_KEY: '/key',
    }),
  ).toEqual({
    user: 'worker',
    passwordFile: '/p',
    credentialsFile: '/c',
    nkeyFile: '/n',
    tokenFile: '/t',
    inboxPrefix: '_INBOX_worker',
    tls: { caFile: '/ca', certFile: '/cert', keyFile: '/key' },
  });
});

it.each([
  [{ BALLAST_NATS_USER: 'me' }, 'BALLAST_NATS_USER is set, but not BALLAST_NATS_PASSWORD_FILE'],
  [{ BALLAST_NATS_PASSWORD_FILE: '/p' }, 'BALLAST_NATS_PASSWORD_FILE is set, but not BALLAST_NATS_USER'],
  [{ BALLAST_NATS_KEY: '/k' }, 'BALLAST_NATS_KEY is set, but not BALLAST_NATS_CERT'],
])('half of a pair is refused: %j', (environment, message) => {
  expect(() => natsSecrets(environment)).toThrow(message);
});

it('reads a password again at every connection', () => {
  const dir = mkdtempSync(join(tmpdir(), 'ballast-nats-'));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const passwordFile = join(dir, 'password');
  writeFileSync(passwordFile, 'first\n', { mode: 0o600 });
  const { authenticator } = secretOptions({ user: 'me', passwordFile });
  const [authenticate] = authenticator as ((nonce?: string) => object)[];
  expect(authenticate!()).toEqual({ user: 'me', pass: 'first' });
  writeFileSync(passwordFile, 'second');
  expect(authenticate!()).toEqual({ user: 'me', pass: 'second' });
});
