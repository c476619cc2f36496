// Certificates are renewed under running processes, as kubelet and cert-manager do it: a coordinator, a node, their
// actors and the API keep working, new connections use the new certificates, and the old ones are no longer needed.
import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../common/testing/eventually.ts';
import { ChannelPool, plainCalls } from '../actors/calls/channels.ts';
import { connectNode, openNatsRegistry } from '../actors/index.ts';
import {
  CERTIFICATE_NAME,
  readSecurity,
  TLS_CA_KEY,
  TLS_CERT_KEY,
  TLS_KEY_KEY,
} from '../actors/security/security.ts';
import { Authority, type CertificateFiles, hasOpenssl, noOpenssl } from '../actors/testing/certificates.ts';
import { coordinatorService } from '../coordinator/api/service.ts';
import { startTestNode, type TestNode } from './support/cluster.ts';
import {
  type Api,
  ended,
  startCoordinator,
  type TestCoordinator,
  tinyConfig,
} from './support/coordinator.ts';
import { hasNats, noNats, startNats } from './support/nats.ts';
import { newFolder, readReport, referenceRun } from './support/suite.ts';

const FILES = {
  [TLS_CA_KEY]: 'ca.crt',
  [TLS_CERT_KEY]: 'tls.crt',
  [TLS_KEY_KEY]: 'tls.key',
} as const;

/** A volume of a Secret: `..data` points to the folder of the present version, and is replaced at once. */
class SecretVolume {
  readonly #dir: string;
  #version = 0;

  constructor(dir: string, files: CertificateFiles) {
    this.#dir = dir;
    mkdirSync(dir, { recursive: true });
    this.write(contentOf(files));
    for (const name of Object.values(FILES)) symlinkSync(join('..data', name), join(dir, name));
  }

  get environment(): CertificateFiles {
    return Object.fromEntries(
      Object.entries(FILES).map(([key, name]) => [key, join(this.#dir, name)]),
    ) as CertificateFiles;
  }

  write(content: Readonly<Record<string, string>>): void {
    const before = `..v${this.#version}`;
    const now = `..v${++this.#version}`;
    mkdirSync(join(this.#dir, now));
    for (const [name, text] of Object.entries(content))
      writeFileSync(join(this.#dir, now, name), text, { mode: 0o600 });
    symlinkSync(now, join(this.#dir, '..next'));
    renameSync(join(this.#dir, '..next'), join(this.#dir, '..data'));
    rmSync(join(this.#dir, before), { recursive: true, force: true });
  }
}

function contentOf(files: CertificateFiles): Record<string, string> {
  return Object.fromEntries(
    Object.entries(FILES).map(([key, name]) => [
      name,
      readFileSync(files[key as keyof CertificateFiles], 'utf8'),
    ]),
  );
}

describe.skipIf(!hasOpenssl)(`renewed certificates${noOpenssl}`, () => {
  const authorities: Authority[] = [];
  const volumes: SecretVolume[] = [];
  let callers: CertificateFiles[];
  let coordinator: TestCoordinator;
  let node: TestNode;

  beforeAll(async () => {
    const folder = newFolder('rotation');
    authorities.push(new Authority(folder), new Authority(folder));
    callers = authorities.map((authority) => authority.issue('caller'));
    for (const name of ['coordinator', 'worker'])
      volumes.push(new SecretVolume(join(folder, `tls-${name}`), authorities[0]!.issue(name)));
    const role = 'role=diffusion-worker';
    coordinator = await startCoordinator(folder, ['--worker-labels', role], volumes[0]!.environment);
    node = await startTestNode(
      folder,
      `t${process.pid}rot`,
      ['--join', `grpc://${coordinator.nodeAddress}`, '--labels', role, '--resources', 'cpu=1'],
      { env: volumes[1]!.environment },
    );
  });

  afterAll(async () => {
    coordinator.close();
    node.cli.signal('SIGTERM');
    expect((await node.cli.ended).code).toBe(0);
    coordinator.cli.signal('SIGTERM');
    expect((await coordinator.cli.ended).code).toBe(0);
  });

  const addresses = () => [coordinator.nodeAddress, node.address];
  /** Whether a caller that trusts one authority, with a certificate of it, can open a new connection. */
  const comesIn = async (caller: CertificateFiles, address: string): Promise<boolean> => {
    const pool = new ChannelPool({ security: readSecurity(caller) });
    try {
      return (await connectNode(pool, address).listNodes()).length === 2;
    } catch {
      return false;
    } finally {
      pool.close();
    }
  };
  const withApi = async <Result>(caller: CertificateFiles, work: (api: Api) => Promise<Result>) => {
    const pool = new ChannelPool({ security: readSecurity(caller) });
    try {
      return await work(plainCalls(coordinatorService, pool, coordinator.apiAddress));
    } finally {
      pool.close();
    }
  };
  const run = (caller: CertificateFiles, runId: string) =>
    withApi(caller, async (api) => {
      const { name } = await api.createRun({ runId, config: await tinyConfig() });
      const { state, weightsDigest } = await ended(api, name);
      return { state, weightsDigest };
    });
  /** Lines about its files that the node wrote. */
  const told = ({ dir }: { dir: string }) =>
    readFileSync(join(dir, 'logs', 'node.log'), 'utf8')
      .split('\n')
      .filter((line) => line.includes('TLS or token files cannot be used'));

  it('count for new connections, of clients and servers, and the old ones no more', async () => {
    const [before, after] = callers as [CertificateFiles, CertificateFiles];
    const good = {
      state: 'STATE_SUCCEEDED',
      weightsDigest: readReport((await referenceRun()).dir).weightsDigest,
    };
    expect(await run(before, 'before')).toEqual(good);
    for (const address of addresses()) {
      expect(await comesIn(before, address)).toBe(true);
      expect(await comesIn(after, address)).toBe(false);
    }

    for (const [index, name] of ['coordinator', 'worker'].entries())
      volumes[index]!.write(contentOf(authorities[1]!.issue(`${name}-2`)));
    // Each of the three servers (two nodes, one API) reads its files again in its own time.
    await eventually(async () => {
      for (const address of addresses()) expect(await comesIn(after, address)).toBe(true);
      expect(await withApi(after, (api) => api.listRuns({}))).toBeDefined();
    });
    for (const address of addresses()) expect(await comesIn(before, address)).toBe(false);
    // A new run's trainer is another process: it serves with a new certificate, to callers that must show one too.
    expect(await run(after, 'after')).toEqual(good);
    await expect(withApi(before, (api) => api.listRuns({}))).rejects.toThrow();
    for (const server of [coordinator, node]) expect(told(server)).toEqual([]);
  });

  it('that are incomplete or useless are reported in one line and change nothing', async () => {
    const after = callers[1]!;
    const whole = contentOf(authorities[1]!.issue('third'));
    const seen = await servedSerial(node.address, after);
    volumes[1]!.write({ ...whole, 'tls.key': whole['tls.key']!.slice(0, 80) });
    await eventually(() => expect(told(node)).toHaveLength(1));
    expect(told(node)[0]).toMatch(/BALLAST_TLS_KEY=\S+tls\.key: it holds no PEM key/);
    await new Promise((resolve) => setTimeout(resolve, 2500)); // two more looks
    expect(told(node)).toHaveLength(1);
    expect(await comesIn(after, node.address)).toBe(true);
    expect(await servedSerial(node.address, after)).toBe(seen);

    volumes[1]!.write(whole);
    await eventually(async () => expect(await servedSerial(node.address, after)).not.toBe(seen));
    expect(await comesIn(after, node.address)).toBe(true);
  });
});

describe.skipIf(!hasOpenssl || !hasNats)(`renewed certificates for NATS${noOpenssl || noNats}`, () => {
  it('are read at the next connection', async () => {
    const folder = newFolder('rotation-nats');
    const [first, second] = [new Authority(folder), new Authority(folder)] as const;
    const volume = new SecretVolume(join(folder, 'tls'), first.issue('nats'));
    const { environment } = volume;
    const [caFile, certFile, keyFile] = [TLS_CA_KEY, TLS_CERT_KEY, TLS_KEY_KEY].map(
      (key) => environment[key as keyof CertificateFiles],
    ) as [string, string, string];
    const conf = join(folder, 'nats.conf');
    writeFileSync(
      conf,
      `tls { ca_file: "${caFile}", cert_file: "${certFile}", key_file: "${keyFile}", verify: true }`,
    );
    const server = await startNats(['-c', conf, '-js', '-sd', join(folder, 'store')]);
    const url = server.url.replace('nats://127.0.0.1', 'tls://localhost');
    const registry = await openNatsRegistry({ url, cluster: 'c', tls: { caFile, certFile, keyFile } });
    try {
      await registry.put('a', { version: 1 });
      volume.write(contentOf(second.issue('nats')));
      await server.stop();
      await server.restart();
      await eventually(async () => {
        expect(await registry.get('a')).toMatchObject({ value: { version: 1 } });
      });
      await registry.put('a', { version: 2 });
    } finally {
      await registry.close();
      await server.stop();
    }
  });
});

/** The serial number of the certificate that a server shows. */
function servedSerial(address: string, caller: CertificateFiles): Promise<string> {
  const { ca, cert, key } = readSecurity(caller).tls!;
  const [host, port] = address.split(':') as [string, string];
  return new Promise((resolve, reject) => {
    const socket = connect({
      ...{ host, port: Number(port), ca, cert, key },
      ...{ servername: CERTIFICATE_NAME, ALPNProtocols: ['h2'] },
    });
    socket.once('error', reject);
    socket.once('secureConnect', () => {
      resolve(socket.getPeerCertificate().serialNumber);
      socket.destroy();
    });
  });
}
