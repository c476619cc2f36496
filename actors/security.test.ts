import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { silentLog } from '../common/log.ts';
import { ChannelPool, plainCalls } from './channels.ts';
import { healthService } from './health.ts';
import { readSecurity, TLS_CA_KEY, TLS_CERT_KEY, TLS_KEY_KEY, TOKEN_KEY } from './security.ts';
import { ServingProcess } from './serving-process.ts';
import { serviceCalls } from './transport.ts';

let folder: string;
const cleanUps: (() => Promise<void> | void)[] = [];
const hasOpenssl = spawnSync('openssl', ['version']).status === 0;

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
  writeFileSync(path, content);
  return path;
}

/** An authority, and a certificate of it with the cluster's name; what the environment says of them. */
function makeAuthority(name: string): Record<string, string> {
  const path = (suffix: string) => join(folder, `${name}-${suffix}.pem`);
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe' });
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const subject = ['-subj', `/CN=${name}`];
  openssl('req', '-x509', ...newKey, ...subject, '-keyout', path('ca-key'), '-out', path('ca'), '-days', '1');
  openssl('req', ...newKey, '-subj', '/CN=ballast', '-keyout', path('key'), '-out', path('request'));
  const extensions = file(`${name}-extensions`, 'subjectAltName=DNS:ballast');
  const signing = ['-CA', path('ca'), '-CAkey', path('ca-key'), '-CAcreateserial', '-days', '1'];
  openssl('x509', '-req', '-in', path('request'), ...signing, '-extfile', extensions, '-out', path('cert'));
  return { [TLS_CA_KEY]: path('ca'), [TLS_CERT_KEY]: path('cert'), [TLS_KEY_KEY]: path('key') };
}

function stub(environment: Record<string, string>): void {
  for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
}

async function serve(): Promise<string> {
  const serving = await ServingProcess.start({ labels: {}, log: silentLog });
  cleanUps.push(() => serving.stop());
  return serving.address;
}

/** Calls health over the shared stream, which wants a token, with what `environment` says. */
function call(address: string, environment: Record<string, string>): Promise<{ status: string }> {
  const pool = new ChannelPool({ security: readSecurity(environment) });
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

describe.skipIf(!hasOpenssl)('TLS', () => {
  it('lets in who has a certificate of the same authority, and nobody else', async () => {
    const own = makeAuthority('own');
    const other = makeAuthority('other');
    stub(own);
    const address = await serve();
    expect(await call(address, own)).toMatchObject({ status: 'SERVING' });
    for (const environment of [{}, other, { ...other, [TLS_CA_KEY]: own[TLS_CA_KEY]! }]) {
      await expect(call(address, environment)).rejects.toMatchObject({
        code: expect.stringMatching(/UNAVAILABLE|DEADLINE_EXCEEDED/) as string,
      });
    }
  }, 40_000);
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
});
