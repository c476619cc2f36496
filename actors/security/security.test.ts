import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { eventually } from '../../common/testing/eventually.ts';
import { createLog, silentLog } from '../../common/log.ts';
import { ChannelPool, plainCalls } from '../calls/channels.ts';
import { healthService } from '../serving/health.ts';
import {
  INSECURE_KEY,
  readSecurity,
  serverCredentials,
  TLS_CA_KEY,
  TLS_CERT_KEY,
  TLS_KEY_KEY,
  TOKEN_KEY,
} from './security.ts';
import { ServingProcess } from '../serving/serving-process.ts';
import { Authority, type CertificateFiles, hasOpenssl, noOpenssl } from '../testing/certificates.ts';
import { serviceCalls } from '../calls/transport.ts';

const DAY_MS = 86_400_000;

let folder: string;
const cleanUps: (() => Promise<void> | void)[] = [];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ballast-security-'));
});

afterAll(() => rmSync(folder, { recursive: true }));

afterEach(async () => {
  vi.unstubAllEnvs();
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

function file(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content, { mode: 0o600 });
  return path;
}

function stub(environment: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
}

async function serve(log = silentLog): Promise<string> {
  const serving = await ServingProcess.start({ labels: {}, log });
  cleanUps.push(() => serving.stop());
  return serving.address;
}

/** Calls health over the shared stream, which wants a token, with what `environment` says. */
function call(
  address: string,
  environment: Readonly<Record<string, string>>,
  nowMs?: number,
): Promise<{ status: string }> {
  const pool = new ChannelPool({ security: readSecurity(environment, nowMs) });
  cleanUps.push(() => pool.close());
  return serviceCalls(healthService(), pool, address).check({ service: '' }, { deadlineMs: 5000 });
}

describe('a token', () => {
  it('is asked for on every call but health checks', async () => {
    const token = { [TOKEN_KEY]: file('token', 'open sesame\n') };
    stub(token);
    const address = await serve();
    expect(await call(address, token)).toMatchObject({ status: 'SERVING' });
    const wrong = { [TOKEN_KEY]: file('wrong', 'open barley') };
    for (const environment of [wrong, {}]) {
      await expect(call(address, environment)).rejects.toMatchObject({
        code: 'UNAUTHENTICATED',
        message: expect.stringContaining('wants a token') as string,
      });
    }
    const pool = new ChannelPool({ security: readSecurity({}) });
    cleanUps.push(() => pool.close());
    expect(await plainCalls(healthService(), pool, address).check({ service: '' })).toMatchObject({
      status: 'SERVING',
    });
  });
});

describe.skipIf(!hasOpenssl)(`TLS${noOpenssl}`, () => {
  let authority: Authority;
  let own: CertificateFiles;
  beforeAll(() => {
    authority = new Authority(folder);
    own = authority.issue('own');
  });

  it('admits only clients with a certificate of the same authority', async () => {
    const other = new Authority(folder).issue('other');
    stub(own);
    const address = await serve();
    expect(await call(address, own)).toMatchObject({ status: 'SERVING' });
    for (const environment of [{}, other, { ...other, [TLS_CA_KEY]: own[TLS_CA_KEY] }]) {
      await expect(call(address, environment)).rejects.toMatchObject({
        code: expect.stringMatching(/UNAVAILABLE|DEADLINE_EXCEEDED/) as string,
      });
    }
  });

  it('refuses a certificate of its own that has expired or is not valid yet', () => {
    const old = authority.issue('old', { fromDays: -2, toDays: -1 });
    expect(() => readSecurity(old)).toThrow(
      /^BALLAST_TLS_CERT=\S+old\.pem: the certificate expired on 20\S+Z: issue a new one\.$/,
    );
    const early = authority.issue('early', { fromDays: 1, toDays: 2 });
    expect(() => readSecurity(early)).toThrow(
      /early\.pem: the certificate is not valid before 20\S+Z: check/,
    );
    expect(readSecurity(old, Date.now() - 1.5 * DAY_MS).tls).not.toBeNull();
    expect(() => readSecurity(own, Date.now() + 30 * DAY_MS)).toThrow('own.pem: the certificate expired');
    const long = authority.issue('long', { toDays: 60 });
    expect(() => readSecurity(long, Date.now() + 30 * DAY_MS)).toThrow(
      /BALLAST_TLS_CA=\S+: the authority's certificate expired/,
    );
  });

  it('refuses files that do not belong together, or are none', () => {
    const second = authority.issue('second');
    expect(() => readSecurity({ ...own, [TLS_KEY_KEY]: second[TLS_KEY_KEY] })).toThrow(
      /second-key\.pem: it is not the key of the certificate in BALLAST_TLS_CERT=\S+own\.pem/,
    );
    const none = file('none', 'hello');
    expect(() => readSecurity({ ...own, [TLS_CERT_KEY]: none })).toThrow('it holds no PEM certificate');
    expect(() => readSecurity({ ...own, [TLS_CA_KEY]: none })).toThrow('it holds no PEM certificate');
    expect(() => readSecurity({ ...own, [TLS_KEY_KEY]: none })).toThrow('it holds no PEM key');
  });

  it("tells an expired certificate of the server to the caller, and the caller's in the server's log", async () => {
    const old = authority.issue('expired', { fromDays: -2, toDays: -1 });
    const then = Date.now() - 1.5 * DAY_MS;
    stub(own);
    const lines: string[] = [];
    const address = await serve(createLog({ write: (line) => lines.push(line) }));
    await expect(call(address, old, then)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await eventually(() =>
      expect(lines.map((line) => JSON.parse(line) as object)).toContainEqual(
        expect.objectContaining({ message: 'TLS refused a caller', reason: 'CERT_HAS_EXPIRED' }),
      ),
    );
    const server = new grpc.Server();
    cleanUps.push(() => server.forceShutdown());
    const port = await new Promise<number>((resolve, reject) =>
      server.bindAsync('127.0.0.1:0', serverCredentials(readSecurity(old, then)), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      ),
    );
    await expect(call(`127.0.0.1:${port}`, own)).rejects.toThrow(/certificate has expired/);
  });
});

describe('readSecurity', () => {
  it('names variable and file of what is missing', () => {
    expect(readSecurity({})).toEqual({ tls: null, token: null });
    expect(() => readSecurity({ [TOKEN_KEY]: '/no/such' })).toThrow(`${TOKEN_KEY}=/no/such: cannot be read`);
    expect(() => readSecurity({ [TLS_CA_KEY]: file('ca', 'x') })).toThrow('TLS needs all three');
    expect(() => readSecurity({ [TOKEN_KEY]: file('empty', '\n') })).toThrow('the file is empty');
  });

  it('keeps a process without TLS on loopback', async () => {
    await expect(ServingProcess.start({ labels: {}, log: silentLog, host: '0.0.0.0' })).rejects.toThrow(
      'Serving on 0.0.0.0 needs TLS',
    );
  });

  it('serves other hosts without TLS only on request, and warns', async () => {
    const lines: string[] = [];
    const log = createLog({ write: (line) => lines.push(line) });
    vi.stubEnv(INSECURE_KEY, '1');
    const serving = await ServingProcess.start({ labels: {}, log, host: '0.0.0.0' });
    await serving.stop();
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0]!)).toMatchObject({
      level: 'warn',
      message: expect.stringContaining('BALLAST_INSECURE=1: serving on 0.0.0.0 without TLS') as string,
    });
    vi.stubEnv(INSECURE_KEY, 'yes');
    const refused = ServingProcess.start({ labels: {}, log, host: '0.0.0.0' });
    await expect(refused).rejects.toThrow('needs TLS');
  });
});
