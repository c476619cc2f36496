// Objects with real processes: nodes as machines, each with a store of its own; actors that put and get.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../common/testing/eventually.ts';
import { ActorSystem, ChannelPool, connectNode, silentLog, startNode } from '../actors/index.ts';
import type { ActorHandle, Node, ObjectRef } from '../actors/index.ts';
import { ECHO_ENTRY, echo, FIXTURES } from './fixtures/actors/echo.ts';
import type { EchoServiceClient } from './fixtures/actors/echo.ts';

type Echo = ActorHandle<EchoServiceClient>;

const MB = 1_000_000;
const SHARED_MEMORY = '/dev/shm';

let folder: string;
let node: Node;
let pool: ChannelPool;
let system: ActorSystem;
let count = 0;

async function openNode(name: string, objectBytes?: number): Promise<Node> {
  const limit = objectBytes === undefined ? {} : { objectBytes };
  return startNode({ runDir: join(folder, name), log: silentLog, entryRoots: [FIXTURES], ...limit });
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ballast-objects-'));
  node = await openNode('main');
  pool = new ChannelPool();
  system = new ActorSystem({ node, transport: pool });
});

afterAll(async () => {
  await system.close();
  await node.close();
  pool.close();
  expect(existsSync(node.objects.folder)).toBe(false);
  await rm(folder, { recursive: true });
});

async function spawnEcho(on: ActorSystem = system): Promise<{ actor: Echo; actorId: string }> {
  const actorId = `echo-${++count}`;
  const actor = await on.spawn(echo, { actorId, restart: { initialBackoffMs: 50 } });
  await on.ready(actorId);
  return { actor, actorId };
}

async function putIn(actor: Echo, sizeBytes: number): Promise<ObjectRef> {
  const { object } = await actor.put({ sizeBytes });
  if (object === null) throw new Error('no object');
  return object;
}

/** SHA-256 of what the test actor puts. */
function digestOf(sizeBytes: number): string {
  return createHash('sha256').update(new Uint8Array(sizeBytes).fill(7)).digest('hex');
}

/** Names of objects in a node's memory. */
function filesOf({ objects }: Node): string[] {
  return readdirSync(objects.folder).filter((name) => /\.[0-9a-f]{64}$/.test(name));
}

/** A node in another process, with one actor. */
async function startOtherNode(name: string) {
  const runDir = join(folder, name);
  const child = spawn(process.execPath, [join(FIXTURES, 'objects-node.mjs'), runDir, ECHO_ENTRY], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const line = await new Promise<string>((resolve) =>
    child.stdout.once('data', (text) => resolve(String(text))),
  );
  const { address, folder: objects } = JSON.parse(line) as { address: string; folder: string };
  const remote = new ActorSystem({ node: connectNode(pool, address), transport: pool });
  const kill = async () => {
    await remote.close();
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  };
  return { address, objects, actor: remote.handle(echo, 'echo') as Echo, kill };
}

describe('on one node', () => {
  it('an object put by one actor is read by another from its file, which goes with its owner', async () => {
    const [{ actor: owner, actorId }, { actor: reader }] = [await spawnEcho(), await spawnEcho()];
    const ref = await putIn(owner, 5 * MB);
    expect(ref).toMatchObject({ sizeBytes: 5 * MB, digest: digestOf(5 * MB), holders: [node.address] });
    expect((await reader.fetch({ object: ref })).text).toBe(ref.digest);
    expect(filesOf(node)).toHaveLength(1);
    await node.kill(actorId);
    await eventually(() => expect(filesOf(node)).toEqual([]));
    const { actor: late } = await spawnEcho();
    await expect(late.fetch({ object: ref })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('objects beyond memory go to disk and come back; one that fits nowhere is refused with use and limit', async () => {
    const small = await openNode('small', 10 * MB);
    const own = new ActorSystem({ node: small, transport: pool });
    const [{ actor: owner }, { actor: reader }] = [await spawnEcho(own), await spawnEcho(own)];
    const refs: ObjectRef[] = [];
    for (const sizeBytes of [4 * MB, 4 * MB, 4 * MB]) refs.push(await putIn(owner, sizeBytes));
    expect(filesOf(small)).toHaveLength(2);
    for (const ref of refs) expect((await reader.fetch({ object: ref })).text).toBe(digestOf(4 * MB));
    const refused = putIn(owner, 11 * MB);
    await expect(refused).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    await expect(refused).rejects.toThrow(`11000000 bytes do not fit: 8000000 of 10000000 bytes are used`);
    expect((await reader.fetch({ object: refs[0]! })).text).toBe(digestOf(4 * MB));
    await own.close();
    await small.close();
    expect(existsSync(small.objects.folder)).toBe(false);
    expect(existsSync(join(folder, 'small', 'objects'))).toBe(false);
  });
});

describe('between nodes', () => {
  it('an object outlives its killed node where another holds it', async () => {
    const other = await startOtherNode('other');
    const third = await openNode('third');
    const thirdSystem = new ActorSystem({ node: third, transport: pool });
    const { actor: here } = await spawnEcho();
    const { actor: elsewhere } = await spawnEcho(thirdSystem);

    const given = await putIn(here, 3 * MB);
    expect((await other.actor.fetch({ object: given })).text).toBe(digestOf(3 * MB));
    const ref = await putIn(other.actor, 9 * MB);
    const lost = await putIn(other.actor, 2 * MB);
    expect(ref.holders).toEqual([other.address]);
    expect((await here.fetch({ object: ref })).text).toBe(digestOf(9 * MB));

    await other.kill();
    const known = { ...ref, holders: [...ref.holders, node.address] };
    expect((await elsewhere.fetch({ object: known })).text).toBe(digestOf(9 * MB));
    await expect(elsewhere.fetch({ object: lost })).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await thirdSystem.close();
    await third.close();
  });

  it('a receiver goes on with another holder when its source is killed amid the transfer', async () => {
    const other = await startOtherNode('killed');
    const third = await openNode('goes-on');
    const thirdSystem = new ActorSystem({ node: third, transport: pool });
    const { actor: here } = await spawnEcho();
    const { actor: elsewhere } = await spawnEcho(thirdSystem);
    const size = 300 * MB;
    const ref = await putIn(other.actor, size);
    expect((await here.fetch({ object: ref }, { deadlineMs: 280_000 })).text).toBe(digestOf(size));

    const known = { ...ref, holders: [...ref.holders, node.address] };
    const fetching = elsewhere.fetch({ object: known }, { deadlineMs: 280_000 });
    await eventually(() => expect(readdirSync(third.objects.folder).join()).toContain('writing-'));
    await other.kill();
    expect((await fetching).text).toBe(digestOf(size));
    await thirdSystem.close();
    await third.close();
  });

  it.skipIf(!existsSync(SHARED_MEMORY))(
    'what a killed node left in memory goes when the next one starts (Linux)',
    async () => {
      const other = await startOtherNode('left');
      await putIn(other.actor, MB);
      await other.kill();
      expect(existsSync(other.objects)).toBe(true);
      const next = await openNode('next');
      expect(existsSync(other.objects)).toBe(false);
      expect(existsSync(node.objects.folder)).toBe(true);
      await next.close();
      expect(existsSync(next.objects.folder)).toBe(false);
    },
  );
});
