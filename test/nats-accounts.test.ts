// The accounts of k8s/chart on a real nats-server: each role can do its work, and nothing else.
import { chmodSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect, type NatsConnection, type NatsError } from 'nats';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../common/testing/eventually.ts';
import { ActorSystem, ChannelPool, connectNode, openNatsRegistry } from '../actors/index.ts';
import type { BusEvent, NodeStatus } from '../actors/index.ts';
import { remoteEventBus } from '../actors/control/event-service.ts';
import { packageRoot } from '../common/package-root.ts';
import { echo } from './fixtures/actors/echo.ts';
import { ballast } from './support/cli.ts';
import { jsonOf, sharedFolders, startTestNode, type TestNode } from './support/cluster.ts';
import { hasNats, noNats, type NatsServer, startNats } from './support/nats.ts';
import { operatorMode } from './support/nats-operator.ts';
import { newFolder, readReport, referenceRun, runArgs } from './support/suite.ts';

const CONF = join(packageRoot(), 'k8s', 'chart', 'files', 'ballast-accounts.conf');
const ROLES = ['coordinator', 'trainer', 'worker'] as const;
type Role = (typeof ROLES)[number];

const passwords = Object.fromEntries(ROLES.map((role) => [role, `pw-${role}-${crypto.randomUUID()}`]));

function secretFile(content: string): string {
  const path = join(newFolder('secret'), 'secret');
  writeFileSync(path, content);
  chmodSync(path, 0o600);
  return path;
}

describe.skipIf(!hasNats)(`NATS accounts${noNats}`, () => {
  const prefix = `t${process.pid}acc`;
  const nodes = {} as Record<Role, TestNode>;
  let folder: string;
  let server: NatsServer;
  let pool: ChannelPool;

  const environment = (role: Role): Record<string, string> => ({
    BALLAST_NATS_USER: role,
    BALLAST_NATS_PASSWORD_FILE: secretFile(`${passwords[role]}\n`),
    BALLAST_NATS_INBOX_PREFIX: `_INBOX_${role}`,
  });
  const violations = () => server.log().match(/.*Permissions Violation.*/g) ?? [];

  async function start(role: Role): Promise<void> {
    const flags = ['--join', server.url, '--lease', '10', '--labels', `role=${role}`, '--resources', 'cpu=2'];
    nodes[role] = await startTestNode(folder, `${prefix}-${role}`, flags, { env: environment(role) });
  }

  beforeAll(async () => {
    folder = newFolder('nats-accounts');
    const env = Object.entries(passwords).map(
      ([role, password]) => [`BALLAST_NATS_${role.toUpperCase()}_PASSWORD`, password] as const,
    );
    // A shorter lease than the manifests', as its head says: a lost worker is noticed within the test.
    const conf = join(folder, 'accounts.conf');
    writeFileSync(conf, readFileSync(CONF, 'utf8').replaceAll('lease_60000', 'lease_10000'));
    server = await startNats(['-c', conf, '-js', '-sd', join(folder, 'nats')], Object.fromEntries(env));
    pool = new ChannelPool();
  });

  afterAll(async () => {
    pool.close();
    for (const { cli } of Object.values(nodes)) cli.signal('SIGKILL');
    await Promise.all(Object.values(nodes).map(({ cli }) => cli.ended));
    await server.stop();
  });

  it('a worker that comes before the coordinator says what it may not do', async () => {
    const end = await ballast(['node', '--join', server.url, '--dir', join(folder, 'early')], {
      env: environment('worker'),
    });
    expect(end).toMatchObject({ code: 1, stdout: '' });
    expect(end.stderr).toMatch(
      /^error: .*does not allow this user: Publish to "\$JS\.API\.STREAM\.CREATE\.KV_ballast_default".*start the coordinator first[^\n]*\n$/,
    );
  });

  it('nodes of every role join, see each other, run actors and share events', async () => {
    const before = violations().length;
    for (const role of ROLES) await start(role);
    const listed = await jsonOf<NodeStatus>(['nodes'], nodes.worker);
    expect(listed.map(({ nodeId, state }) => [nodeId, state])).toEqual(
      ROLES.map((role) => [nodes[role].nodeId, 'alive']),
    );
    const system = new ActorSystem({ node: connectNode(pool, nodes.coordinator.address), transport: pool });
    for (const role of ['trainer', 'worker'] as const) {
      const actor = await system.spawn(echo, { labels: { role } });
      expect(await actor.say({ text: role })).toMatchObject({ text: role });
    }
    await remoteEventBus(pool, nodes.coordinator.address).publish('epoch.finished', { epoch: 1 });
    for (const role of ROLES) {
      const seen = await jsonOf<BusEvent>(['events', '--from', '1'], nodes[role]);
      expect(seen).toMatchObject([{ topic: 'epoch.finished', payload: { epoch: 1 } }]);
    }
    await system.close();
    expect(violations().slice(before)).toEqual([]);
  });

  it('a run uses the worker by --join, with the weights of one that was alone', async () => {
    const dir = newFolder('joined');
    const args = await runArgs(dir, '--overwrite', '--join', server.url);
    const end = await ballast(args, { env: environment('coordinator') });
    expect(end).toMatchObject({ code: 0, stderr: '' });
    expect(readReport(dir).weightsDigest).toBe(readReport((await referenceRun()).dir).weightsDigest);
    const made = (['trainer', 'worker'] as const).flatMap((role) =>
      readdirSync(join(nodes[role].dir, 'logs')).filter((name) => name.includes('diffusion-worker')),
    );
    expect(made.length).toBeGreaterThan(0);
  });

  it('a lost worker is noticed, and comes back', async () => {
    nodes.worker.cli.signal('SIGKILL');
    await nodes.worker.cli.ended;
    await eventually(async () => {
      const listed = await jsonOf<NodeStatus>(['nodes'], nodes.trainer);
      expect(listed.filter(({ state }) => state === 'alive')).toHaveLength(2);
    });
    await start('worker');
    nodes.worker.cli.signal('SIGTERM');
    expect(await nodes.worker.cli.ended).toMatchObject({ code: 0, stderr: '' });
    await start('worker');
  });

  it.each(['worker', 'trainer'] as const)(
    'a %s can neither change nor hear what is not its own',
    async (role) => {
      const connection = await connect({
        servers: server.url,
        user: role,
        pass: passwords[role]!,
        inboxPrefix: `_INBOX_${role}`,
      });
      const denied = deniedBy(connection);
      const api = (subject: string) =>
        connection.request(subject, '{}', { timeout: 60_000 }).then(
          () => 'allowed',
          (error: NatsError) => error.code,
        );
      for (const stream of [
        'KV_ballast_default',
        'KV_ballast_default_lease_10000',
        'BALLAST_cluster-default',
      ]) {
        for (const verb of ['DELETE', 'PURGE', 'UPDATE', 'CREATE', 'MSG.DELETE', 'SNAPSHOT']) {
          expect(await api(`$JS.API.STREAM.${verb}.${stream}`)).toBe('PERMISSIONS_VIOLATION');
        }
      }
      for (const subject of [
        '$JS.API.STREAM.LIST',
        '$JS.API.STREAM.NAMES',
        '$JS.API.STREAM.CREATE.OWN',
        '$SYS.REQ.USER.INFO',
      ]) {
        expect(await api(subject)).toBe('PERMISSIONS_VIOLATION');
      }
      const published = ['$KV.ballast_default.k.detached.x', '$KV.ballast_default.k.names.default.x'];
      published.push('ballast.cluster-default.epoch.finished', '_INBOX_coordinator.x', 'anything');
      for (const subject of published) connection.publish(subject, '{}');
      const heard: string[] = [];
      const subjects = ['>', '_INBOX.>', '_INBOX_coordinator.>', '$KV.>', 'ballast.>', '$JS.API.>'];
      for (const subject of subjects) {
        connection.subscribe(subject, { callback: (error) => void (error === null && heard.push(subject)) });
      }
      await connection.flush();
      await eventually(() => expect(denied()).toEqual(expect.arrayContaining([...published, ...subjects])));
      await remoteEventBus(pool, nodes.coordinator.address).publish('epoch.finished', { epoch: 2 });
      expect(heard).toEqual([]);
      await connection.close();
      const events = await jsonOf<BusEvent>(['events', '--from', '1'], nodes.coordinator);
      expect(events.every(({ topic }) => topic === 'epoch.finished')).toBe(true);
      expect(events.some(({ payload }) => JSON.stringify(payload) === '{}')).toBe(false);
    },
  );

  it('the coordinator may delete streams of runs, and none of the cluster', async () => {
    const connection = await connect({
      servers: server.url,
      user: 'coordinator',
      pass: passwords.coordinator!,
      inboxPrefix: '_INBOX_coordinator',
    });
    const remove = (stream: string) =>
      connection.request(`$JS.API.STREAM.DELETE.${stream}`, '{}', { timeout: 60_000 }).then(
        (answer) => answer.json<{ error?: { description: string } }>().error?.description,
        (error: NatsError) => error.code,
      );
    for (const stream of ['KV_ballast_default', 'KV_ballast_default_lease_10000', 'BALLAST_cluster-default'])
      expect(await remove(stream)).toBe('PERMISSIONS_VIOLATION');
    expect(await remove('BALLAST_run-none')).toBe('stream not found');
    await connection.close();
  });

  it('refuses connections without a password or with a wrong one, and shows no password', async () => {
    const wrong = { ...environment('worker'), BALLAST_NATS_PASSWORD_FILE: secretFile('wrong-guess') };
    for (const env of [wrong, {}]) {
      const end = await ballast(['node', '--join', server.url, '--dir', join(folder, 'wrong')], { env });
      expect(end).toMatchObject({ code: 1, stdout: '' });
      expect(end.stderr).toMatch(
        /^error: Cannot reach NATS at 127\.0\.0\.1:\d+ \(AUTHORIZATION_VIOLATION\)[^\n]*\n$/,
      );
      expect(end.stderr).not.toContain('wrong-guess');
    }
    const written = Object.values(nodes).flatMap(({ cli, dir }) => [
      cli.stdout,
      cli.stderr,
      ...readdirSync(join(dir, 'logs')).map((name) => readFileSync(join(dir, 'logs', name), 'utf8')),
    ]);
    for (const password of Object.values(passwords)) expect(written.join()).not.toContain(password);
  });

  it('leaves nothing behind', async () => {
    for (const role of ['worker', 'trainer', 'coordinator'] as const) {
      nodes[role].cli.signal('SIGTERM');
      expect(await nodes[role].cli.ended).toMatchObject({ code: 0, stderr: '' });
    }
    expect(sharedFolders(prefix)).toEqual([]);
  });
});

describe.skipIf(!hasNats)(`other ways to show NATS who one is${noNats}`, () => {
  it('a credentials file and an nkey, each by file', async () => {
    const { config, credentials, nkeySeed, nkeyConfig } = operatorMode();
    for (const [name, text, secrets] of [
      ['operator', config, { credentialsFile: secretFile(credentials) }],
      ['nkey', nkeyConfig, { nkeyFile: secretFile(nkeySeed) }],
    ] as const) {
      const dir = newFolder(`nats-${name}`);
      writeFileSync(join(dir, 'server.conf'), text);
      const server = await startNats(['-c', join(dir, 'server.conf'), '-js', '-sd', join(dir, 'store')]);
      try {
        const registry = await openNatsRegistry({ url: server.url, cluster: 'c', ...secrets });
        await registry.put('a', { b: 1 });
        expect(await registry.get('a')).toMatchObject({ value: { b: 1 } });
        await registry.close();
        await expect(openNatsRegistry({ url: server.url, cluster: 'c' })).rejects.toThrow('AUTHORIZATION');
      } finally {
        await server.stop();
      }
    }
  });
});

/** Subjects that the server refused to this connection. */
function deniedBy(connection: NatsConnection): () => string[] {
  const subjects: string[] = [];
  void (async () => {
    for await (const { permissionContext } of connection.status() as AsyncIterable<{
      permissionContext?: { subject: string };
    }>) {
      if (permissionContext !== undefined) subjects.push(permissionContext.subject);
    }
  })();
  return () => subjects;
}
