// Attacks on the public API: without a token, with insufficient scopes, with paths that lead elsewhere, with invalid
// messages. Each is refused in one clear line, and the coordinator keeps working.
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newToken } from '../common/tokens.ts';
import { readErrorInfo } from '../coordinator/api/errors.ts';
import { coordinatorService } from '../coordinator/api/service.ts';
import { toStruct } from '../coordinator/api/struct.ts';
import { startCoordinator, type TestCoordinator } from './support/coordinator.ts';
import { expectLintedMetrics, hasPrometheus, MISSING } from './support/prometheus.ts';
import { writeShape } from './support/shapes.ts';
import { newFolder } from './support/suite.ts';

const SCOPES = ['read', 'submit', 'admin'] as const;
const FUZZ_CASES = 300;

let server: TestCoordinator;
let client: grpc.Client;
let folder: string;
const tokens = Object.fromEntries([...SCOPES, 'slow', 'old'].map((name) => [name, newToken()])) as Record<
  'read' | 'submit' | 'admin' | 'slow' | 'old',
  ReturnType<typeof newToken>
>;

beforeAll(async () => {
  folder = newFolder('api-security');
  const file = join(folder, 'tokens.yaml');
  const entries = SCOPES.map((name) => ({ name, sha256: tokens[name].sha256, scopes: [name] }));
  const slow = { name: 'slow', sha256: tokens.slow.sha256, scopes: ['read'], ratePerSecond: 0.5, burst: 2 };
  const old = { name: 'old', sha256: tokens.old.sha256, scopes: ['admin'], expires: '2026-01-31T00:00:00Z' };
  writeFileSync(file, JSON.stringify({ tokens: [...entries, slow, old] }));
  chmodSync(file, 0o600);
  const data = join(folder, 'data');
  for (const name of ['good', 'linked'])
    for (let i = 0; i < 3; i++) await writeShape(join(data, name, 'disc', `${i}.png`), 'disc', i);
  mkdirSync(join(folder, 'secret'));
  await writeShape(join(folder, 'secret', 'x.png'), 'disc', 9);
  symlinkSync(join(folder, 'secret', 'x.png'), join(data, 'linked', 'disc', 'out.png'));
  server = await startCoordinator(folder, ['--tokens', file, '--data', data, '--metrics-port', '0']);
  client = new grpc.Client(server.apiAddress, grpc.credentials.createInsecure());
});

afterAll(async () => {
  client.close();
  server.close();
  server.cli.signal('SIGTERM');
  expect((await server.cli.ended).code).toBe(0);
});

interface Refusal {
  readonly code: string;
  readonly reason: string | undefined;
  readonly message: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/** A unary call of raw bytes; resolves to how it was refused, or to null when it was answered. */
function call(method: string, bytes: Uint8Array, authorization?: string): Promise<Refusal | null> {
  const metadata = new grpc.Metadata();
  if (authorization !== undefined) metadata.set('authorization', authorization);
  const path = `/ballast.v1.CoordinatorService/${method}`;
  const raw = (message: Uint8Array) => message as Buffer;
  return new Promise((resolve) =>
    client.makeUnaryRequest(path, raw, raw, bytes, metadata, { deadline: Date.now() + 20_000 }, (error) => {
      if (error === null) return resolve(null);
      const info = readErrorInfo(error);
      const code = grpc.status[error.code];
      resolve({ code, reason: info?.reason, message: error.details, metadata: info?.metadata ?? {} });
    }),
  );
}

const bearer = (name: keyof typeof tokens) => `Bearer ${tokens[name].token}`;
const encode = (method: string, request: object) =>
  coordinatorService.methods.get(method)!.requestSerialize(request);
const createRun = (config: object) =>
  call('CreateRun', encode('createRun', { config: toStruct(config) }), bearer('submit'));

describe('a caller', () => {
  const listRuns = () => encode('listRuns', {});

  it.each([
    ['no token', undefined, 'TOKEN_MISSING'],
    ['another kind of authorization', 'Basic YTpi', 'TOKEN_MISSING'],
    ['a token that nobody has', 'Bearer blt_guess', 'TOKEN_UNKNOWN'],
  ])('with %s is not let in', async (_, authorization, reason) => {
    const refusal = await call('ListRuns', listRuns(), authorization);
    expect(refusal).toMatchObject({ code: 'UNAUTHENTICATED', reason });
  });

  it('may do what its scope includes, and no more', async () => {
    expect(await call('ListRuns', listRuns(), bearer('read'))).toBeNull();
    expect(await call('ListRuns', listRuns(), bearer('admin'))).toBeNull();
    const cancel = encode('cancelRun', { name: 'runs/none' });
    expect(await call('CancelRun', cancel, bearer('read'))).toEqual({
      code: 'PERMISSION_DENIED',
      reason: 'SCOPE_MISSING',
      message: "the token 'read' lacks the scope 'submit'",
      metadata: { token: 'read', scope: 'submit' },
    });
    expect(await call('CancelRun', cancel, bearer('submit'))).toMatchObject({ code: 'NOT_FOUND' });
    const remove = encode('deleteRun', { name: 'runs/none' });
    expect(await call('DeleteRun', remove, bearer('submit'))).toMatchObject({ reason: 'SCOPE_MISSING' });
    expect(await call('DeleteRun', remove, bearer('admin'))).toMatchObject({ reason: 'RUN_NOT_FOUND' });
  });

  it('whose token has expired is told the reason', async () => {
    expect(await call('ListRuns', listRuns(), bearer('old'))).toEqual({
      code: 'UNAUTHENTICATED',
      reason: 'TOKEN_EXPIRED',
      message: "the token 'old' has expired; ask for a new one",
      metadata: { token: 'old' },
    });
  });

  it('that calls too often is asked to wait', async () => {
    const answers = [];
    for (let i = 0; i < 4; i++) answers.push(await call('ListRuns', listRuns(), bearer('slow')));
    expect(answers.slice(0, 2)).toEqual([null, null]);
    expect(answers.at(-1)).toMatchObject({ code: 'RESOURCE_EXHAUSTED', reason: 'RATE_LIMITED' });
    expect(await call('ListRuns', listRuns(), bearer('read'))).toBeNull();
  });

  it('sees health without a token', async () => {
    const path = '/grpc.health.v1.Health/Check';
    const raw = (message: Uint8Array) => message as Buffer;
    const answer = await new Promise<Buffer>((resolve, reject) =>
      client.makeUnaryRequest(path, raw, raw, Buffer.alloc(0), (error, value) =>
        error === null ? resolve(value!) : reject(error),
      ),
    );
    expect([...answer]).toEqual([8, 1]); // status: SERVING
  });
});

describe('a path of a configuration', () => {
  const config = (source: string) => ({ method: 'erm', data: { source } });

  it.each([
    '/etc/passwd',
    '../secret',
    'good/../../secret',
    '/etc',
    'good\0/etc',
    join('..', '..', '..', '..', 'etc'),
  ])('that leads elsewhere is refused: %j', async (source) => {
    const refusal = await createRun(config(source));
    expect(refusal).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'INVALID_FIELD' });
    expect(refusal!.metadata['field']).toBe('config.data.source');
    expect(refusal!.message).toContain('it is in none of the folders that this server may read');
  });

  it('whose folder has a link that leads elsewhere is refused', async () => {
    const refusal = await createRun(config('linked'));
    expect(refusal!.message).toContain(
      'disc/out.png is a link that leads nowhere, or out of the readable folders',
    );
    expect(refusal!.message).not.toContain('secret');
  });

  it('is the server’s own where it says where to write', async () => {
    expect(await createRun({ ...config('good'), out: '/tmp/x' })).toMatchObject({
      metadata: { field: 'config.out' },
    });
    expect(await createRun({ ...config('good'), eventsUrl: 'nats://evil:1' })).toMatchObject({
      metadata: { field: 'config.eventsUrl' },
    });
  });
});

describe('a message', () => {
  it('that is too large is refused before it is read', async () => {
    for (const bytes of [300 * 1024, 5 * 1024 * 1024]) {
      const refusal = await call('GetRun', Buffer.alloc(bytes, 'x'), bearer('read'));
      // No code that invites another try.
      expect(refusal).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'REQUEST_TOO_LARGE' });
    }
  });

  it('that is cut short is refused', async () => {
    const whole = encode('getRun', { name: 'runs/photos' });
    expect(await call('GetRun', whole, bearer('read'))).toMatchObject({ reason: 'RUN_NOT_FOUND' });
    for (let length = 1; length < whole.length; length++)
      expect(await call('GetRun', whole.subarray(0, length), bearer('read'))).toMatchObject({
        reason: 'MALFORMED_REQUEST',
      });
  });

  it('with a filter of a quarter of a mebibyte of spaces is refused while others are answered', async () => {
    const filter = encode('listRuns', { filter: `state${' '.repeat(250_000)}` });
    const slow = Array.from({ length: 20 }, () => call('ListRuns', filter, bearer('read')));
    expect(await call('ListRuns', encode('listRuns', {}), bearer('read'))).toBeNull();
    for (const refusal of await Promise.all(slow))
      expect(refusal).toMatchObject({ reason: 'INVALID_FIELD', metadata: { field: 'filter' } });
  });

  it('that is nested without end is refused', async () => {
    let config: object = {};
    for (let i = 0; i < 25; i++) config = { inner: config };
    expect(await createRun(config)).toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it('of random bytes never brings the coordinator down, nor shows its insides', async () => {
    let state = 20261125;
    const random = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
    const good = encode('createRun', {
      runId: 'x',
      config: toStruct({ method: 'erm', seed: 1 }),
      labels: { a: 'b' },
    });
    const codes = new Set<string>();
    for (let i = 0; i < FUZZ_CASES; i++) {
      const bytes = i % 2 === 0 ? Buffer.from(good) : Buffer.alloc(Math.floor(random() * 200));
      const flips = i % 2 === 0 ? 1 + Math.floor(random() * 6) : bytes.length;
      for (let k = 0; k < flips; k++) bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
      const method = ['GetRun', 'ListImages', 'ResumeRun', 'GetEpoch'][i % 4]!;
      const refusal = await call(method, bytes, bearer('admin'));
      codes.add(refusal?.code ?? 'OK');
      expect(refusal?.message ?? '').not.toMatch(/node_modules|\.ts:|\.js:|at Object/);
    }
    expect([...codes].filter((code) => code === 'INTERNAL' || code === 'UNKNOWN')).toEqual([]);
    expect(codes).toContain('INVALID_ARGUMENT');
    expect(await call('ListRuns', encode('listRuns', {}), bearer('read'))).toBeNull();
  });
});

it.skipIf(!hasPrometheus)(`its metrics pass promtool${hasPrometheus ? '' : ` (${MISSING})`}`, async () => {
  const [, url = ''] = await server.cli.waitFor(/^metrics: (\S+)$/m);
  const page = await (await fetch(url)).text();
  expect(page).toContain('ballast_api_requests_total');
  expectLintedMetrics(page);
});
