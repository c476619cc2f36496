// Calls every public function of the actor library with invalid values: each answers with one clear line, at once, and
// keeps working. Size limits are the same on every path.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  actor,
  ActorError,
  ActorPool,
  Announcer,
  type ActorRuntime,
  type ActorSystem,
  CallError,
  computeThread,
  connectNode,
  type EventBus,
  EmbeddedStore,
  loadService,
  map,
  mapUnordered,
  type Node,
  ObjectStore,
  openEmbeddedRegistry,
  openNatsEventBus,
  openNatsRegistry,
  createRegistry,
  type Registry,
  serveActor,
  serveMetrics,
  silentLog,
  startNode,
  start,
  SupervisionGroup,
  task,
  UserError,
  waitSome,
} from '../actors/index.ts';
import { remoteEventBus } from '../actors/control/event-service.ts';
import { echo } from './fixtures/actors/echo.ts';
import { type EchoNode, startEchoNode } from './support/echo-node.ts';

let echoNode: EchoNode;
let node: Node;
let system: ActorSystem;
let objects: ObjectStore;
let registry: Registry;
let events: EventBus;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ballast-hostile-'));
  echoNode = await startEchoNode();
  ({ node, system } = echoNode);
  const transport = echoNode.pool;
  objects = new ObjectStore({
    owner: 'test',
    nodeAddress: node.address,
    transport,
    registry: createRegistry(),
  });
  registry = openEmbeddedRegistry({ store: new EmbeddedStore() });
  events = remoteEventBus(transport, node.address);
});

afterAll(async () => {
  await registry.close();
  await echoNode.end();
  await rm(folder, { recursive: true });
});

const cyclic: Record<string, unknown> = {};
cyclic.self = cyclic;
const deep = JSON.parse(`${'['.repeat(5000)}${']'.repeat(5000)}`) as unknown;
const withProto = JSON.parse('{"__proto__": 1}') as Record<string, number>;
const MIB = 1024 * 1024;
const any = (value: unknown) => value as never;
const signal = () => new AbortController().signal;
const spawn = (options: object) => system.spawn(echo, { restart: { maxRestarts: 0 }, ...options });
const ref = (change: object) =>
  any({ id: 'a/b', sizeBytes: 1, digest: 'a'.repeat(64), holders: [], ...change });

/** The expected answer of each call: the beginning of its one line. */
const REFUSED: readonly (readonly [what: string, call: () => unknown, answer: RegExp])[] = [
  // Invalid values of the kind.
  ['put text', () => objects.put(any('abc')), /^put of abc: give it bytes/],
  ['put a number', () => objects.put(any(Infinity)), /^put of Infinity: give it bytes/],
  ['put an object', () => objects.put(any(cyclic)), /^put of an object: give it bytes/],
  [
    'put, owner',
    () => objects.put(new Uint8Array(1), { owner: any('__proto__') }),
    /^put, owner = __proto__/,
  ],
  ['put, digest', () => objects.put(new Uint8Array(1), { digest: '../x' }), /^put, digest = \.\.\/x/],
  ['get nothing', () => objects.get(any(undefined)), /^undefined is not a reference/],
  ['get text', () => objects.get(any('abc')), /^abc is not a reference/],
  ['get, id', () => objects.get(ref({ id: '../../etc/passwd' })), /the id is malformed/],
  ['get, digest', () => objects.get(ref({ digest: 'abc' })), /not a SHA-256/],
  ['get, size', () => objects.get(ref({ sizeBytes: -1 })), /is not a reference/],
  ['get, size bigint', () => objects.get(ref({ sizeBytes: 5n })), /is not a reference/],
  ['get, deadline', () => objects.get(ref({}), { deadlineMs: NaN }), /^deadlineMs = NaN/],
  ['get, holders', () => objects.get(ref({ holders: [1] })), /is not a reference/],
  ['free text', () => objects.free(any('abc')), /^abc is not a list/],
  ['free no refs', () => objects.free([any(null)]), /^null is not a reference/],
  ['wait, refs', () => objects.wait(any(7)), /^7 is not a list/],
  ['wait, count', () => objects.wait([], { count: -1 }), /^wait, count = -1/],
  ['wait, count NaN', () => objects.wait([], { count: NaN }), /^wait, count = NaN/],
  ['wait, deadline', () => objects.wait([], { deadlineMs: any(5n) }), /^wait, deadlineMs = 5/],
  ['hand over', () => objects.handOver(any({}), 'x'), /^an object is not a list/],

  ['spawn, id', () => spawn({ actorId: any(5) }), /^Actor id '5'/],
  ['spawn, id of lines', () => spawn({ actorId: 'a\n\u001b[31mb' }), /^Actor id 'a b'/],
  ['spawn, id too long', () => spawn({ actorId: 'a'.repeat(64) }), /^Actor id 'aaa/],
  ['spawn, name', () => spawn({ name: any({}) }), /^Actor name 'an object'/],
  ['spawn, namespace', () => spawn({ namespace: '../x' }), /^Namespace '\.\.\/x'/],
  ['spawn, resource −1', () => spawn({ resources: { cpu: -1 } }), /resources\.cpu = -1/],
  ['spawn, resource ∞', () => spawn({ resources: { cpu: Infinity } }), /resources\.cpu = Infinity/],
  ['spawn, resource bigint', () => spawn({ resources: { cpu: any(1n) } }), /resources\.cpu = 1: /],
  ['spawn, resource text', () => spawn({ resources: { cpu: any('1') } }), /resources\.cpu = 1: /],
  [
    'spawn, resource constructor',
    () => spawn({ resources: { constructor: 1 } }),
    /lacks constructor \(asks for 1, has 0\)/,
  ],
  [
    'spawn, resource __proto__',
    () => spawn({ resources: withProto }),
    /resources: '__proto__' is not a valid name/,
  ],
  ['spawn, resources a list', () => spawn({ resources: any([1]) }), /resources = a list/],
  ['spawn, label toString', () => spawn({ labels: { toString: 'x' } as never }), /lacks label toString=x/],
  ['spawn, label a number', () => spawn({ labels: { a: any(1) } }), /labels\.a = 1/],
  ['spawn, half a card', () => spawn({ resources: { gpu: 1.5 } }), /use whole cards/],
  ['spawn, isolation', () => spawn({ isolation: any('vm') }), /isolation = vm: choose/],
  ['spawn, lifetime', () => spawn({ lifetime: any('constructor') }), /lifetime = constructor: choose/],
  ['spawn, placement', () => spawn({ placement: any(1) }), /placement = 1: choose/],
  ['spawn, concurrency 0', () => spawn({ maxConcurrency: 0 }), /maxConcurrency = 0/],
  ['spawn, concurrency bigint', () => spawn({ maxConcurrency: any(5n) }), /maxConcurrency = 5/],
  ['spawn, concurrency NaN', () => spawn({ maxPendingCalls: NaN }), /maxPendingCalls = NaN/],
  ['spawn, restarts', () => spawn({ restart: { maxRestarts: -1 } }), /maxRestarts = -1/],
  ['spawn, window', () => spawn({ restart: { windowMs: any('x') } }), /windowMs = x/],
  ['spawn, env', () => spawn({ env: { A: any(1) } }), /variable "A" = 1/],
  ['spawn, env null', () => spawn({ env: any('x') }), /env = x/],
  ['spawn, env large', () => spawn({ env: { A: 'x'.repeat(70_000) } }), /variables: 70001 bytes/],
  ['spawn, args bigint', () => spawn({ args: { a: [1n] } }), /arguments: a\[0\] is a bigint/],
  ['spawn, args cyclic', () => spawn({ args: cyclic }), /arguments: self holds itself/],
  ['spawn, args ∞', () => spawn({ args: Infinity }), /arguments: it is Infinity/],
  ['spawn, args a Map', () => spawn({ args: { m: new Map() } }), /arguments: m is a Map/],
  ['spawn, args bytes', () => spawn({ args: Buffer.alloc(3) }), /arguments: it is a Buffer/],
  ['spawn, args a function', () => spawn({ args: () => 1 }), /arguments: it is a function/],
  ['spawn, args deep', () => spawn({ args: deep }), /more than 200 levels deep/],
  [
    'spawn, args large',
    () => spawn({ args: 'x'.repeat(MIB) }),
    /arguments: 1048578 bytes as JSON; at most 1048576/,
  ],
  [
    'spawn, detached large',
    () => spawn({ args: 'x'.repeat(61_440), lifetime: 'detached' }),
    /detached\): \d+ bytes/,
  ],
  ['spawn, gang of none', () => system.spawnGang([]), /^A gang needs at least one actor/],
  [
    'spawn, gang large',
    () => system.spawnGang(any(Array.from({ length: 3 }, () => ({ type: echo, args: 'x'.repeat(MIB - 9) })))),
    /^A gang of 3 actors: \d+ bytes/,
  ],
  ['placement group of none', () => system.placementGroup([]), /^Placement group .* are no bundles/],
  ['placement group, a number', () => system.placementGroup(any(3)), /: 3 are no bundles/],
  ['placement group, null', () => system.placementGroup([any(null)]), /^Bundle .*, resources = null/],
  ['placement group, empty bundle', () => system.placementGroup([{ cpu: 0 }]), /name a resource/],
  ['placement group, −1', () => system.placementGroup([{ cpu: -1 }]), /resources\.cpu = -1/],
  ['placement group, ∞', () => system.placementGroup([{ cpu: Infinity }]), /resources\.cpu = Infinity/],
  ['placement group, id', () => system.placementGroup([{ cpu: 1 }], { id: any({}) }), /^Actor id/],
  [
    'placement group, strategy',
    () => system.placementGroup([{ cpu: 1 }], { strategy: any('constructor') }),
    /strategy = constructor: choose/,
  ],
  [
    'placement group, labels',
    () => system.placementGroup([{ cpu: 1 }], { labels: { a: any(1) } }),
    /labels\.a = 1/,
  ],
  [
    'placement group, too many',
    () => system.placementGroup(Array.from({ length: 1001 }, () => ({ cpu: 0.001 }))),
    /at most 1000/,
  ],
  ['spawn, bundle', () => spawn({ bundle: any(7) }), /bundle/],
  [
    'spawn, gang in a bundle',
    () => system.spawnGang([{ type: echo, bundle: 'g-0' }]),
    /bundle: a gang finds its own room/,
  ],
  ['spawn, strict placement', () => spawn({ placement: any('strict-pack') }), /placement = strict-pack/],
  ['spawn, isolation none', () => spawn({ isolation: any('none') }), /isolation = none: choose/],
  ['find, name', () => system.spawn(echo, { name: '', getIfExists: true }), /^Actor name ''/],
  ['stop, grace', () => system.stop('x', any(-1)), /^graceMs = -1/],
  ['stop, grace NaN', () => system.stop('x', NaN), /^graceMs = NaN/],
  ['stop nobody', () => system.stop('constructor'), /no actor 'constructor'/],
  [
    'ready, deadline',
    () => system.ready('x', { deadlineMs: any('1') }),
    /^deadlineMs = 1|knows no such actor/,
  ],
  ['call, deadline', () => system.handle(echo, 'x').say({}, { deadlineMs: any(1n) }), /^deadlineMs = 1/],
  ['call, deadline NaN', () => system.handle(echo, 'x').say({}, { deadlineMs: NaN }), /^deadlineMs = NaN/],
  ['kill nobody', () => node.kill('__proto__'), /no actor '__proto__'/],
  ['restart nobody', () => node.restart('toString', 'x'), /no actor 'toString'/],
  ['drain', () => node.drain(any('soon')), /^graceMs = soon/],
  ['remote stop', () => connectNode(echoNode.pool, node.address).stop('nobody', 1), /no actor 'nobody'/],

  ['pool, min', () => new ActorPool(system, echo, { min: -1, max: 1 }), /^Pool of echo, min = -1/],
  ['pool, min 1.5', () => new ActorPool(system, echo, { min: 1.5, max: 2 }), /min = 1\.5/],
  ['pool, max', () => new ActorPool(system, echo, { min: 2, max: 1 }), /max = 1: it must be whole, 2/],
  ['pool, max bigint', () => new ActorPool(system, echo, { min: 0, max: any(2n) }), /max = 2: /],
  ['pool, max ∞', () => new ActorPool(system, echo, { min: 0, max: Infinity }), /max = Infinity/],
  [
    'pool, credits',
    () => new ActorPool(system, echo, { min: 0, max: 1, creditsPerMember: 0 }),
    /creditsPerMember = 0/,
  ],
  ['pool, idle', () => new ActorPool(system, echo, { min: 0, max: 1, idleMs: NaN }), /idleMs = NaN/],
  [
    'pool, stragglers',
    () => new ActorPool(system, echo, { min: 0, max: 1, stragglerFactor: -1 }),
    /stragglerFactor = -1/,
  ],
  ['group, strategy', () => new SupervisionGroup(system, { strategy: any('all') }), /^Group, strategy = all/],
  [
    'group, restarts',
    () => new SupervisionGroup(system, { strategy: 'one-for-one', maxRestarts: NaN }),
    /maxRestarts = NaN/,
  ],
  ['map, inFlight', () => first(map([1], (x) => Promise.resolve(x), { inFlight: 0 })), /^map, inFlight = 0/],
  [
    'mapUnordered',
    () => first(mapUnordered([1], (x) => Promise.resolve(x), { inFlight: any(1n) })),
    /inFlight = 1/,
  ],
  ['waitSome, calls', () => waitSome(any('abc')), /^waitSome of abc/],
  ['waitSome, count', () => waitSome([], { count: 1 }), /^waitSome, count 1/],
  ['waitSome, half', () => waitSome([Promise.resolve()], { count: 0.5 }), /count 0\.5/],
  ['waitSome, time', () => waitSome([Promise.resolve()], { timeoutMs: -1 }), /timeoutMs = -1/],

  ['node, resource', () => startNode({ ...nodeOptions(), resources: { cpu: NaN } }), /resources\.cpu = NaN/],
  [
    'node, label',
    () => startNode({ ...nodeOptions(), labels: withProto as never }),
    /'__proto__' is not a valid name/,
  ],
  ['node, id', () => startNode({ ...nodeOptions(), nodeId: '../x' }), /^Node id '\.\.\/x'/],
  ['node, heartbeat', () => startNode({ ...nodeOptions(), heartbeatMs: 0 }), /heartbeatMs = 0/],
  ['node, port', () => startNode({ ...nodeOptions(), port: 70_000 }), /port = 70000/],
  ['node, objects', () => startNode({ ...nodeOptions(), objectBytes: any(1n) }), /objectBytes = 1/],
  ['node, folder', () => startNode({ ...nodeOptions(), runDir: any(7) }), /runDir = 7/],
  ['start, deadline', () => start({ deadlineMs: any('x') }), /^deadlineMs = x/],
  ['an actor of no class', () => actor(import.meta, any(7)), /is not a class/],
  ['an actor of no module', () => actor(any(undefined), class A {}), /first argument is import\.meta/],
  ['a task of no function', () => task(import.meta, any(7)), /is not a function/],
  [
    'idempotent constructor',
    () => actor(import.meta, class B {}, { idempotent: ['constructor'] }),
    /no public method 'constructor'/,
  ],

  ['publish, topic', () => events.publish(any({}), {}), /^Event topic 'an object'/],
  ['publish, topic *', () => events.publish('a.*', {}), /^Event topic 'a\.\*'/],
  ['publish text', () => events.publish('a', any('x')), /use a JSON object/],
  ['publish a list', () => events.publish('a', any([])), /use a JSON object/],
  ['publish bigint', () => events.publish('a', { a: 1n }), /use a JSON object \(.*BigInt/],
  ['publish cyclic', () => events.publish('a', cyclic), /use a JSON object \(Converting circular/],
  ['publish large', () => events.publish('a', { a: 'x'.repeat(MIB) }), /1048584 bytes as JSON/],
  ['publish, id', () => events.publish('a', {}, { id: 'a\nb' }), /id = a b/],
  ['subscribe', () => events.subscribe('a b', {}, signal()), /^Event filter 'a b'/],
  ['subscribe, from 0', () => events.subscribe('a', { fromSequence: 0 }, signal()), /fromSequence = 0/],
  [
    'subscribe, from ∞',
    () => node.events.subscribe('a', { fromSequence: Infinity }, signal()),
    /fromSequence = Infinity/,
  ],
  ['registry, key', () => registry.put(any(7), {}), /^Registry key '7'/],
  ['registry, path', () => registry.get('a//b'), /^Registry key 'a\/\/b'/],
  ['registry, value', () => registry.put('a', any('x')), /use a JSON object/],
  ['registry, cyclic', () => registry.put('a', cyclic), /use a JSON object \(Converting/],
  [
    'registry, large',
    () => registry.put('a', { a: 'x'.repeat(65_536) }),
    /65544 bytes as JSON; at most 65536/,
  ],
  ['registry, prefix', () => registry.list('a'), /^Registry prefix 'a'/],
  ['registry, deadline', () => openEmbeddedRegistry({ deadlineMs: NaN }), /^Registry, deadlineMs = NaN/],
  ['announcer, name', () => announcer({ name: any(7) }), /^Registry key '7'/],
  ['announcer, ttl', () => announcer({ ttlMs: -1 }), /^Lease 'a', ttlMs = -1/],
  ['announcer, key', () => announcing((one) => one.set('a//b', {})), /^Registry key 'a\/\/b'/],
  ['announcer, value', () => announcing((one) => one.set('a', any(1n))), /use a JSON object/],
  ['NATS, address', () => openNatsRegistry({ url: any(7), cluster: 'x' }), /^NATS address '7'/],
  ['NATS, lines', () => openNatsRegistry({ url: 'x\n://', cluster: 'x' }), /^NATS address 'x :\/\/'/],
  ['NATS, user', () => openNatsRegistry({ url: 'nats://%zz@h', cluster: 'x' }), /user: write '%'/],
  ['NATS, cluster', () => openNatsRegistry({ ...nats, cluster: any({}) }), /^Cluster name 'an object'/],
  ['NATS, run', () => openNatsEventBus({ ...nats, runId: any(7) }), /^Events, runId = 7/],
  ['NATS, deadline', () => openNatsEventBus({ ...nats, runId: 'x', deadlineMs: NaN }), /deadlineMs = NaN/],

  [
    'service, file',
    () => loadService('no/such.proto', 'a.B').methods,
    /^Service a\.B of no\/such\.proto: ENOENT/,
  ],
  ['service, no file', () => loadService(any(7), 'a.B').methods, /^Service a\.B of 7: /],
  [
    'service, name',
    () => loadService('ballast/v1/coordinator.proto', 'constructor').methods,
    /^Service constructor of .*: no such/,
  ],
  ['thread, module', () => computeThread(any(7), { log: silentLog }), /^computeThread of 7: /],
  ['thread, path', () => computeThread('x.js', { log: silentLog }), /^computeThread of x\.js: /],
  [
    'thread, data',
    () => computeThread(new URL(import.meta.url), { log: silentLog, data: () => 1 }),
    /^computeThread of file:.* could not be cloned/,
  ],
  ['metrics, port', () => serveMetrics(createRegistry(), { port: NaN }), /^Metrics, port = NaN/],
  ['metrics, large port', () => serveMetrics(createRegistry(), { port: 65_536 }), /largest port is 65535/],
  ['metrics, host', () => serveMetrics(createRegistry(), { host: any(7) }), /^Metrics, host = 7/],
  ['serve nothing', () => serveActor(any(undefined)), /^serveActor of undefined/],
  ['serve no start', () => serveActor({ service: echo.service, start: any(1) }), /^serveActor of an object/],
  ['registry, lease', () => registry.grantLease({ name: 'a', ttlMs: Infinity }), /ttlMs = Infinity/],
];

const nats = { url: 'nats://127.0.0.1:1' };

function announcer(change: object): Announcer {
  return new Announcer({ registry, name: 'a', ttlMs: 1000, ...change });
}

async function announcing(use: (one: Announcer) => void): Promise<void> {
  const one = announcer({});
  try {
    use(one);
  } finally {
    await one.close();
  }
}

function nodeOptions() {
  return { runDir: join(folder, 'never'), log: silentLog };
}

async function refusalOf(call: () => unknown): Promise<unknown> {
  try {
    return new Error(`it was taken, and gave ${String(await call())}`);
  } catch (thrown) {
    return thrown;
  }
}

async function first(items: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of items) return;
}

describe('a value that a function cannot take', () => {
  it.each(REFUSED)('%s', async (_what, call, answer) => {
    const thrown = await refusalOf(call);
    const { message, constructor } = thrown as Error;
    expect(message).toMatch(answer);
    expect(message).not.toContain('\n');
    expect(
      [UserError, CallError, ActorError].some((each) => thrown instanceof each),
      constructor.name,
    ).toBe(true);
  });

  it('leaves other processes unharmed', async () => {
    const handle = await spawn({ args: { text: 'ü'.repeat(100) } });
    expect(await handle.say({ text: 'still here' })).toMatchObject({ text: 'still here' });
  });
});

describe('arguments and state near their limits', () => {
  it.each(['process', 'thread'] as const)('reach an actor in a %s, and its next life', async (isolation) => {
    const options = { isolation, restart: { initialBackoffMs: 1 }, args: { text: 'x'.repeat(MIB - 100) } };
    const handle = await system.spawn(echo, options);
    const text = '"'.repeat(MIB - 100); // twice as long as JSON
    await handle.save({ text });
    await handle.fail({ kind: 'exit' }).catch(() => undefined);
    await system.ready(handle.actorId);
    const { text: restarted } = await handle.restarted({});
    expect((JSON.parse(restarted) as ActorRuntimeRestart).state).toEqual({ text });
    await expect(handle.save({ text: `${text}${'x'.repeat(300)}` })).rejects.toThrow(
      `Actor ${handle.actorId}, state: 2097`,
    );
  });
});

interface ActorRuntimeRestart {
  readonly state: Parameters<ActorRuntime['saveState']>[0];
}
