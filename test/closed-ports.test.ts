// Every port of the runtime asks for the token of its user's own file, on loopback too, although nothing was set up.
import { execFile, execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  ActorSystem,
  ChannelPool,
  EmbeddedStore,
  openEmbeddedRegistry,
  plainCalls,
  serviceCalls,
  silentLog,
  startNode,
} from '../actors/index.ts';
import type { Node } from '../actors/index.ts';
import {
  eventService,
  nodeService,
  objectService,
  registryService,
} from '../actors/proto/runtime-services.ts';
import { ownTokenFile } from '../actors/security/own-token.ts';
import { bundleRoot } from '../common/package-root.ts';
import { echo, FIXTURES } from './fixtures/actors/echo.ts';

const folder = mkdtempSync(join(tmpdir(), 'ballast-closed-'));
let node: Node;
let owner: ChannelPool;
let system: ActorSystem;
/** As a caller without a token, or with an invented one. */
const strangers = {
  nobody: new ChannelPool({ security: { tls: null, token: null } }),
  guesser: new ChannelPool({ security: { tls: null, token: 'guess' } }),
};
const addresses = { process: '', thread: '' };

beforeAll(async () => {
  const store = new EmbeddedStore();
  node = await startNode({
    ...{ runDir: folder, log: silentLog, entryRoots: [FIXTURES] },
    ...{ registryStore: store, cluster: openEmbeddedRegistry({ store }) },
  });
  owner = new ChannelPool();
  system = new ActorSystem({ node, transport: owner });
  for (const isolation of ['process', 'thread'] as const) {
    await system.spawn(echo, { actorId: isolation, isolation });
    addresses[isolation] = (await system.ready(isolation)).address!;
  }
});

afterAll(async () => {
  for (const pool of [...Object.values(strangers), owner]) pool.close();
  await system.close();
  await node.close();
  rmSync(folder, { recursive: true });
});

/** One harmless call to each service, as a plain gRPC call and over the shared stream. */
const CALLS: Readonly<Record<string, (pool: ChannelPool, calls: typeof plainCalls) => Promise<unknown>>> = {
  'the node': (pool, calls) => calls(nodeService, pool, node.address).listActors({}),
  'the registry': (pool, calls) => calls(registryService, pool, node.address).listEntries({ prefix: '' }),
  'the objects': (pool, calls) => calls(objectService, pool, node.address).listObjects({}),
  'the events': (pool, calls) => calls(eventService, pool, node.address).getLastSequence({}),
  'an actor': (pool, calls) => calls(echo.service, pool, addresses.process).say({ text: 'hi' }),
  'an actor in a thread': (pool, calls) => calls(echo.service, pool, addresses.thread).say({ text: 'hi' }),
};

describe.each(Object.keys(CALLS))('%s', (what) => {
  const call = CALLS[what]!;
  const overStream = serviceCalls as unknown as typeof plainCalls;

  it('answers its owner without any set-up', async () => {
    await expect(call(owner, plainCalls)).resolves.toBeDefined();
  });

  it.each(['nobody', 'guesser'] as const)('keeps out %s, by a plain call and over a stream', async (name) => {
    await expect(call(strangers[name], plainCalls)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    await expect(call(strangers[name], overStream)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  });
});

const isRoot = process.geteuid?.() === 0;
describe.skipIf(!isRoot)(`another user of the machine${isRoot ? '' : ' (skipped: not root)'}`, () => {
  const theirs = mkdtempSync(join(tmpdir(), 'ballast-theirs-'));
  chmodSync(theirs, 0o777);
  afterAll(() => rmSync(theirs, { recursive: true }));
  const AS_NOBODY = ['--reuid=65534', '--regid=65534', '--clear-groups'];

  it('cannot read the token', () => {
    expect(() => execFileSync('setpriv', [...AS_NOBODY, 'cat', ownTokenFile()], { stdio: 'pipe' })).toThrow(
      /Permission denied/,
    );
  });

  it('is refused by the node, with a token of its own', async () => {
    const command = [join(bundleRoot(), 'cli/main.js'), 'status', '--node', node.address];
    const env = { PATH: process.env.PATH, HOME: '/nonexistent', TMPDIR: theirs };
    const run = promisify(execFile)('setpriv', [...AS_NOBODY, process.execPath, ...command], { env });
    await expect(run).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('wants a token') as string,
    });
  });
});
