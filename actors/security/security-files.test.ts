import { mkdtempSync, rmSync, writeFileSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLog } from '../../common/log.ts';
import { SecurityFiles } from './security-files.ts';
import {
  callMetadata,
  isAuthorized,
  readSecurity,
  TLS_CA_KEY,
  TLS_CERT_KEY,
  TLS_KEY_KEY,
  TOKEN_KEY,
} from './security.ts';
import { Authority, type CertificateFiles, hasOpenssl, noOpenssl } from '../testing/certificates.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ballast-security-files-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, content: string | Buffer): string {
  const path = join(folder, name);
  writeFileSync(path, content, { mode: 0o600 });
  return path;
}

/** Files as somebody changes them, on a clock that the test moves. */
function watched(environment: Readonly<Record<string, string>>) {
  const lines: { level: string; message: string; problem?: string }[] = [];
  const log = createLog({ write: (line) => lines.push(JSON.parse(line) as (typeof lines)[number]) });
  let nowMs = 0;
  const files = new SecurityFiles(environment, { log, now: () => nowMs });
  return { files, lines, pass: (ms: number) => void (nowMs += ms) };
}

const shown = (token: string) => {
  const metadata = new grpc.Metadata();
  metadata.set('authorization', `Bearer ${token}`);
  return metadata;
};

describe('a token file', () => {
  it('is read again; the first of several is shown, and all are let in', () => {
    const environment = { [TOKEN_KEY]: file('token', 'first\n') };
    const { files, pass, lines } = watched(environment);
    file('token', 'second\nfirst\n');
    expect(isAuthorized(files, shown('second'))).toBe(false); // not looked at yet
    pass(1000);
    for (const token of ['first', 'second']) expect(isAuthorized(files, shown(token))).toBe(true);
    expect(callMetadata(files).get('authorization')).toEqual(['Bearer second']);
    file('token', 'second');
    pass(1000);
    expect(isAuthorized(files, shown('first'))).toBe(false);
    expect(isAuthorized(files, shown('second'))).toBe(true);
    expect(lines.map(({ level }) => level)).toEqual(['info', 'info']);
  });

  it('keeps its content when the file is emptied or removed, and reports each once', () => {
    const path = file('gone', 'only');
    const { files, pass, lines } = watched({ [TOKEN_KEY]: path });
    file('gone', '');
    for (let looks = 0; looks < 3; looks++) {
      pass(1000);
      expect(isAuthorized(files, shown('only'))).toBe(true);
      expect(isAuthorized(files, shown(''))).toBe(false);
    }
    rmSync(path);
    for (let looks = 0; looks < 3; looks++) {
      pass(1000);
      expect(files.token).toBe('only');
    }
    expect(lines).toMatchObject([
      { level: 'warn', problem: `${TOKEN_KEY}=${path}: the file is empty.` },
      { level: 'warn', problem: expect.stringContaining(`${TOKEN_KEY}=${path}: cannot be read`) as string },
    ]);
  });
});

describe.skipIf(!hasOpenssl)(`certificates${noOpenssl}`, () => {
  let first: CertificateFiles;
  let second: CertificateFiles;
  beforeAll(() => {
    first = new Authority(folder).issue('first');
    second = new Authority(folder).issue('second');
  });

  /** Puts the content of one certificate's files where another's are. */
  const put = (
    to: CertificateFiles,
    from: CertificateFiles,
    keys = [TLS_CA_KEY, TLS_CERT_KEY, TLS_KEY_KEY],
  ) => {
    for (const key of keys as (keyof CertificateFiles)[])
      writeFileSync(to[key], readFileSync(from[key]), { mode: 0o600 });
  };

  it('are taken when all three are there, and listeners are notified', async () => {
    const own = {
      [TLS_CA_KEY]: join(folder, 'ca'),
      [TLS_CERT_KEY]: join(folder, 'cert'),
      [TLS_KEY_KEY]: join(folder, 'key'),
    } as CertificateFiles;
    put(own, first);
    const { files, pass, lines } = watched(own);
    const heard: string[] = [];
    const contentOf = (named: CertificateFiles) => readFileSync(named[TLS_CERT_KEY], 'utf8');
    const listener: grpc.experimental.IdentityCertificateUpdateListener = (update) =>
      void heard.push(update!.certificate.toString());
    files.addIdentityCertificateListener(listener);
    await new Promise<void>((resolve) => process.nextTick(resolve));
    expect(heard).toEqual([contentOf(first)]);

    put(own, second, [TLS_CERT_KEY]); // the key is still the first one's
    for (let looks = 0; looks < 3; looks++) {
      pass(1000);
      expect(files.tls).toEqual(readSecurity(first).tls);
    }
    expect(heard).toHaveLength(1);
    expect(lines).toMatchObject([
      { level: 'warn', problem: expect.stringContaining('it is not the key of the certificate') as string },
    ]);

    put(own, second);
    pass(1000);
    expect(files.tls).toEqual(readSecurity(second).tls);
    expect(heard).toEqual([first, second].map(contentOf));
    files.removeIdentityCertificateListener(listener);
    put(own, first);
    pass(1000);
    expect(files.tls).toEqual(readSecurity(first).tls);
    expect(heard).toHaveLength(2);
  });
});
