// Attacks: each attempt ends with a clean error, and nothing leaks. The public API's own are tried in
// the same way (`attempt`), with the scopes of its tokens.
import { chmodSync, existsSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deflateRawSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Authority, type CertificateFiles, hasOpenssl, noOpenssl } from '../actors/testing/certificates.ts';
import { ChannelPool, connectNode, plainCalls } from '../actors/index.ts';
import { healthService } from '../actors/serving/health.ts';
import { readSecurity } from '../actors/security/security.ts';
import { packageRoot } from '../common/package-root.ts';
import { npyBytes, pngBytes, writeImage, zipBytes } from '../data/fixtures.ts';
import { ballast, Cli, type CliEnd } from './support/cli.ts';
import { startTestNode, type TestNode } from './support/cluster.ts';
import { newFolder } from './support/suite.ts';

type Environment = Readonly<Record<string, string>>;

const DAY_MS = 86_400_000;
const LEAK = /\bat \S+ \(|node_modules|node:internal|\.[jt]s:\d|BEGIN [A-Z ]*KEY|unforeseen/;
const TOKEN = `token-${crypto.randomUUID()}`;

function secretFile(content: string, mode = 0o600): string {
  const path = join(newFolder('secret'), 'secret');
  writeFileSync(path, content);
  chmodSync(path, mode);
  return path;
}

/** Expects one line on stderr that matches, and nothing that should not be read. */
function expectRefusal({ code, stdout, stderr }: CliEnd, line: RegExp): void {
  expect(stderr).toMatch(line);
  expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  expect(stderr).not.toMatch(LEAK);
  expect(stderr).not.toContain(TOKEN);
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
}

/** The error of a caller that lists the nodes with the files in `environment`; `nowMs` for one whose clock is wrong. */
async function attempt(address: string, environment: Environment, nowMs?: number): Promise<string> {
  const pool = new ChannelPool({ security: readSecurity(environment, nowMs) });
  try {
    const nodes = await connectNode(pool, address).listNodes();
    return `in: ${nodes.map(({ state }) => state).join()}`;
  } catch (thrown) {
    const { message } = thrown as Error;
    expect(message).not.toMatch(LEAK);
    expect(message).not.toContain(TOKEN);
    expect(message).not.toContain(packageRoot());
    return `${(thrown as { code?: string }).code}: ${message}`;
  } finally {
    pool.close();
  }
}

/** Whether health answers a caller without certificate and token. */
async function health(address: string, service = ''): Promise<string> {
  const pool = new ChannelPool({ security: { tls: null, token: null } });
  try {
    return (await plainCalls(healthService(), pool, address).check({ service }, { deadlineMs: 60_000 }))
      .status;
  } catch (thrown) {
    return (thrown as { code: string }).code;
  } finally {
    pool.close();
  }
}

/** Empty while nothing was worth a line. */
function logOf({ dir }: TestNode): string {
  const path = join(dir, 'logs', 'node.log');
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}

async function stop(node: TestNode | undefined): Promise<void> {
  node?.cli.signal('SIGTERM');
  if (node !== undefined) expect(await node.cli.ended).toMatchObject({ code: 0, stderr: '' });
}

describe('a node with a token', () => {
  let node: TestNode;
  const token = { BALLAST_TOKEN_FILE: secretFile(`${TOKEN}\n`) };
  beforeAll(async () => {
    node = await startTestNode(newFolder('token'), `t${process.pid}tok`, [], { env: token });
  });
  afterAll(() => stop(node));

  it('lets in who shows it', async () => {
    expect(await attempt(node.address, token)).toBe('in: alive');
  });

  it.each([
    ['no token', {}],
    ['another', { BALLAST_TOKEN_FILE: secretFile('guess') }],
    ['its beginning', { BALLAST_TOKEN_FILE: secretFile(TOKEN.slice(0, -1)) }],
    ['more than it', { BALLAST_TOKEN_FILE: secretFile(`${TOKEN}x`) }],
  ])('keeps out who shows %s', async (_what, environment) => {
    expect(await attempt(node.address, environment)).toMatch(
      /^UNAUTHENTICATED: .*this process wants a token: 'authorization: Bearer TOKEN'$/,
    );
  });

  it('keeps out a command and a node without it, in one line', async () => {
    const status = await ballast(['status', '--node', node.address]);
    expectRefusal(status, /^error: Node \S+ refuses: .*wants a token/);
    const joining = await ballast(['node', '--join', `grpc://${node.address}`, '--dir', newFolder('join')]);
    expectRefusal(joining, /^error: .*wants a token/);
  });

  it('never writes it down', () => {
    for (const text of [logOf(node), node.cli.stdout, node.cli.stderr]) expect(text).not.toContain(TOKEN);
  });
});

describe.skipIf(!hasOpenssl)(`a node with TLS${noOpenssl}`, () => {
  let node: TestNode;
  let authority: Authority;
  let own: CertificateFiles;
  let healthAddress: string;
  beforeAll(async () => {
    authority = new Authority(newFolder('authority'));
    own = authority.issue('node');
    node = await startTestNode(newFolder('tls'), `t${process.pid}tls`, ['--health-port', '0'], { env: own });
    [, healthAddress = ''] = await node.cli.waitFor(/^health: (\S+)$/m);
  });

  it('admits clients with a certificate of its authority', async () => {
    expect(await attempt(node.address, authority.issue('caller'))).toBe('in: alive');
  });

  it('keeps out who has none, one of another authority, or one that is over', async () => {
    const other = new Authority(newFolder('authority')).issue('other');
    const old = authority.issue('old', { fromDays: -2, toDays: -1 });
    const then = Date.now() - 1.5 * DAY_MS;
    expect(await attempt(node.address, {})).toMatch(/^UNAVAILABLE: no connection to/);
    expect(await attempt(node.address, other)).toMatch(
      /^UNAVAILABLE: no connection to .*self.signed certificate/,
    );
    const mixed = { ...other, BALLAST_TLS_CA: own.BALLAST_TLS_CA };
    expect(await attempt(node.address, mixed)).toMatch(/^UNAVAILABLE: no connection to/);
    expect(await attempt(node.address, old, then)).toMatch(/^UNAVAILABLE: no connection to/);
    const log = logOf(node);
    expect(log).toContain('"message":"TLS refused a caller"');
    expect(log).not.toMatch(/BEGIN|PRIVATE/);
  });

  it('does not start with a certificate that is over, of another key, or that is none', async () => {
    const old = authority.issue('old-node', { fromDays: -2, toDays: -1 });
    const start = (env: Environment) => Cli.start(['node', '--dir', newFolder('no-start')], { env }).ended;
    expectRefusal(
      await start(old),
      /^error: BALLAST_TLS_CERT=\S+: the certificate expired on \S+Z: issue a new one/,
    );
    const wrongKey = { ...own, BALLAST_TLS_KEY: old.BALLAST_TLS_KEY };
    expectRefusal(
      await start(wrongKey),
      /^error: BALLAST_TLS_KEY=\S+: it is not the key of the certificate in/,
    );
    const none = { ...own, BALLAST_TLS_CERT: secretFile('hello') };
    expectRefusal(await start(none), /^error: BALLAST_TLS_CERT=\S+: it holds no PEM certificate/);
  });

  it('reports its health to probes on the health port, and nothing else', async () => {
    expect(await health(healthAddress)).toBe('SERVING');
    expect(await health(healthAddress, 'liveness')).toBe('SERVING');
    expect(await attempt(healthAddress, {})).toMatch(/^UNIMPLEMENTED|^UNAVAILABLE/);
    expect(await health(node.address)).toBe('UNAVAILABLE');
  });

  it('says NOT_SERVING there while it drains', async () => {
    const pool = new ChannelPool({ security: { tls: null, token: null } });
    const seen: string[] = [];
    const watching = (async () => {
      const statuses = plainCalls(healthService(), pool, healthAddress).watch(
        { service: '' },
        { deadlineMs: 60_000 },
      );
      for await (const { status } of statuses) {
        seen.push(status);
        if (seen.length === 1) node.cli.signal('SIGTERM');
      }
    })().catch(() => undefined);
    expect(await node.cli.ended).toMatchObject({ code: 0, stderr: '' });
    await watching;
    pool.close();
    expect(seen).toEqual(['SERVING', 'NOT_SERVING']);
  });
});

describe('a node without TLS', () => {
  it('serves on loopback only', async () => {
    const end = await ballast(['node', '--host', '0.0.0.0', '--dir', newFolder('open')]);
    expectRefusal(end, /^error: Serving on 0\.0\.0\.0 needs TLS: set BALLAST_TLS_CA, .*BALLAST_INSECURE=1/);
  });

  it('unless it is told to, which its log warns of', async () => {
    const node = await startTestNode(
      newFolder('insecure'),
      `t${process.pid}ins`,
      ['--host', '0.0.0.0', '--advertise', '127.0.0.1'],
      { env: { BALLAST_INSECURE: '1' } },
    );
    const log = logOf(node);
    expect(log).toMatch(/"level":"warn","message":"BALLAST_INSECURE=1: serving on 0\.0\.0\.0 without TLS/);
    await stop(node);
  });
});

describe('data that somebody else made', () => {
  const data = (source: string, ...more: string[]) => ballast(['data', source, '--image-size', '8', ...more]);
  const npz = (member: { name: string; packed: Uint8Array; bytes: number }): string => {
    const file = join(newFolder('npz'), 'x.npz');
    const labels = npyBytes('|u1', [1], Uint8Array.of(0));
    const packed = deflateRawSync(labels);
    writeFileSync(file, zipBytes([member, { name: 'train_labels.npy', packed, bytes: labels.length }]));
    return file;
  };

  it('an NPZ that unpacks to more than it promises', async () => {
    const packed = deflateRawSync(Buffer.alloc(2 ** 27), { level: 1 });
    const end = await data(npz({ name: 'train_images.npy', packed, bytes: 200 }));
    expectRefusal(end, /^error: \S+x\.npz: .*train_images\.npy: too many bytes in the stream\. expected 200/);
  });

  it('an NPZ that promises too much', async () => {
    const end = await data(npz({ name: 'train_images.npy', packed: Buffer.alloc(9), bytes: 2 ** 31 + 1 }));
    expectRefusal(end, /^error: \S+x\.npz: array train_images\.npy .*above the limit of 2147483648/);
  });

  it('a PNG of a billion pixels, a link round in a circle, a device', async () => {
    const folder = newFolder('images');
    for (const name of ['a/1', 'a/2', 'b/1', 'b/2']) await writeImage(join(folder, `${name}.png`));
    const bad = join(folder, 'b', '3.png');
    writeFileSync(bad, pngBytes(32_000, 32_000));
    expectRefusal(await data(folder), /^error: \S+3\.png: cannot be decoded \(.*pixel limit/);
    writeFileSync(bad, '<svg xmlns="http://www.w3.org/2000/svg"><image href="/etc/passwd"/></svg>');
    expectRefusal(await data(folder), /^error: \S+3\.png: cannot be decoded \(unsupported image format/);
    symlinkSync('/dev/zero', join(folder, 'b', '4.png'));
    writeFileSync(bad, readFileSync(join(folder, 'b', '2.png')));
    expectRefusal(
      await data(folder),
      /^error: \S+4\.png: cannot be decoded \(is not a file but a pipe, socket or device/,
    );
    symlinkSync('..', join(folder, 'b', 'up'));
    expectRefusal(await data(folder), /^error: \S+b\/up\S*: is a link to a folder that contains it/);
  });

  it('a configuration that unfolds without end', async () => {
    const file = join(newFolder('config'), 'run.yaml');
    const level = (name: string, of: string) => `${name}: &${name} [${Array<string>(9).fill(of).join(',')}]`;
    const names = [...'abcdefghi'];
    writeFileSync(file, names.map((name, i) => level(name, i === 0 ? 'x' : `*${names[i - 1]}`)).join('\n'));
    const out = join(newFolder('unfolds'), 'run');
    const end = await ballast(['run', '--config', file, '--out', out]);
    expectRefusal(end, /^error: \S+run\.yaml: not valid YAML: Excessive alias count/);
    expect(existsSync(out)).toBe(false);
  });
});
