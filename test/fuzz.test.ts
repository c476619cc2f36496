// Garbage at a node's gRPC port: the node answers with a clean status, leaks nothing, and keeps working.
import { readFileSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ChannelPool, connectNode } from '../actors/index.ts';
import {
  eventService,
  nodeService,
  objectService,
  registryService,
} from '../actors/proto/runtime-services.ts';
import { CONNECT_PATH, encodeFrame, type Frame } from '../actors/calls/transport/frames.ts';
import { ownTokenFile } from '../actors/security/own-token.ts';
import { packageRoot } from '../common/package-root.ts';
import { foldIn, keyFromSeed, uniform } from '../tensor/random.ts';
import { startTestNode, type TestNode } from './support/cluster.ts';
import { residentBytes } from '../common/process-tree.ts';
import { framed, RawClient, rawBytes, type RawEnd, type RawHeaders } from './support/raw-grpc.ts';
import { newFolder } from './support/suite.ts';

const SEED = keyFromSeed(20_240_611);
const MIB = 2 ** 20;
const CODES = { INVALID_ARGUMENT: 3, RESOURCE_EXHAUSTED: 8, UNIMPLEMENTED: 12, INTERNAL: 13 };
/** Texts that must never leak: stacks, and where the code or the data lie. */
const LEAK = /\p{Cc}|\bat \S+ \(|node_modules|node:internal|\.[jt]s:\d/u;

let node: TestNode;
let pool: ChannelPool;
let client: RawClient;
let startBytes: number;

beforeAll(async () => {
  node = await startTestNode(newFolder('fuzz'), `t${process.pid}fuzz`, []);
  pool = new ChannelPool();
  client = new RawClient(node.address, shownToken());
  await alive();
  startBytes = residentBytes(node.cli.pid);
});

afterAll(async () => {
  pool.close();
  client.close();
  node.cli.signal('SIGTERM');
  expect(await node.cli.ended).toMatchObject({ code: 0, stderr: '' });
});

/** As the owner of the node: a caller without a token is refused at once (closed-ports.test.ts). */
function shownToken(): RawHeaders {
  return { authorization: `Bearer ${readFileSync(ownTokenFile(), 'utf8').trim()}` };
}

/** The node does its work still. */
async function alive(): Promise<void> {
  const nodes = await connectNode(pool, node.address).listNodes();
  expect(nodes).toMatchObject([{ nodeId: node.nodeId, state: 'alive' }]);
}

function expectClean({ message }: RawEnd): void {
  expect(message).not.toMatch(LEAK);
  expect(message).not.toContain(packageRoot());
  expect(message).not.toContain(node.dir);
  expect(message.length).toBeLessThanOrEqual(2000);
}

function draws(name: string, round: number, count: number): number[] {
  return [...uniform(foldIn(SEED, name, round), count)];
}

function randomBytes(name: string, round: number): Buffer {
  const [size = 0] = draws(`${name}-size`, round, 1);
  return Buffer.from(
    draws(name, round, Math.ceil(size * size * 400)).map((value) => Math.floor(value * 256)),
  );
}

function mutated(good: Uint8Array, name: string, round: number): Buffer {
  const bytes = Buffer.from(good);
  const [count = 0, ...rest] = draws(name, round, 13);
  for (let i = 0; i < 1 + count * 5 && bytes.length > 0; i++)
    bytes[Math.floor(rest[2 * i]! * bytes.length)] = Math.floor(rest[2 * i + 1]! * 256);
  return rest[11]! < 0.2 ? bytes.subarray(0, Math.floor(rest[10]! * bytes.length)) : bytes;
}

const LIST = nodeService.methods.get('listNodes')!;

function frame(fields: Partial<Frame>): Frame {
  const hello = { processId: 'p', address: '' };
  return { hello, requests: [], replies: [], answeredBelow: 0, callerId: 'fuzz', connection: 1, ...fields };
}

function call(callId: number, more: object = {}) {
  const request = LIST.requestSerialize({});
  const whole = {
    actorId: '',
    incarnation: 0,
    method: LIST.path,
    request,
    timeoutMs: 100,
    allowed: 16,
    received: 0,
    streamsRequests: false,
    chain: [],
    isRepeated: false,
  };
  return { callId, call: { ...whole, ...more } };
}

const more = (callId: number, index: number) => ({ callId, index, message: Buffer.from('request') });

it('frames that are no frames, and good ones with bytes changed', async () => {
  const good = framed(encodeFrame(frame({ requests: [call(1), call(2), { callId: 1, cancel: true }] })));
  for (let from = 0; from < 300; from += 50) {
    const ends = Array.from({ length: 50 }, (_, i) => {
      const round = from + i;
      const bytes = round % 3 === 0 ? framed(randomBytes('frame', round)) : mutated(good, 'frame', round);
      return client.call(CONNECT_PATH, bytes, {}, 500);
    });
    for (const end of await Promise.all(ends)) expectClean(end);
    await alive();
  }
});

const ODD = [NaN, Infinity, -Infinity, -1, 0.5, 2 ** 53, 1e308];
it.each([
  ['call ids that are none', { requests: ODD.map((callId) => call(callId)) }],
  ['deadlines that are none', { requests: ODD.map((timeoutMs, i) => call(i, { timeoutMs })) }],
  ['one call a thousand times', { requests: Array.from({ length: 1000 }, () => call(1)) }],
  ['ten thousand calls', { requests: Array.from({ length: 10_000 }, (_, i) => call(i + 1)) }],
  ['requests that ask nothing', { requests: [{ callId: 1 }, { callId: 2, allowed: 4_294_967_295 }] }],
  ['cancellations of nothing', { requests: [{ callId: 7, cancel: true }] }],
  [
    'methods that are none',
    {
      requests: ['', '/', '../x', 'constructor', '__proto__', '/a/b\0'].map((method, i) =>
        call(i, { method }),
      ),
    },
  ],
  [
    'actors that are none',
    { requests: ['__proto__', 'x'.repeat(100_000), '\0', '../..'].map((actorId, i) => call(i, { actorId })) },
  ],
  [
    'requests of calls that take none, or are none',
    { requests: [call(1, { streamsRequests: true }), more(1, 0), more(9, 0)] },
  ],
  [
    'requests in no order, too many, and after their end',
    {
      requests: [
        call(1, { streamsRequests: true }),
        ...[7, 0, 0, 4_294_967_295, 16, 1].map((index) => more(1, index)),
        { callId: 1, endAt: 1 },
        { callId: 1, endAt: 0 },
        more(1, 2),
      ],
    },
  ],
  ['messages that are none', { requests: [call(1, { request: Buffer.from([255, 255, 255]) })] }],
  [
    'replies to nothing',
    {
      replies: [
        {
          callId: 5,
          index: 4_294_967_295,
          message: Buffer.alloc(3),
          end: true,
          failure: { code: 99_999, message: 'x', detail: { kind: 77 } },
        },
      ],
    },
  ],
  ['answers to calls that never were', { answeredBelow: NaN }],
  ['an answer to everything', { answeredBelow: Infinity, requests: [call(1)] }],
  ['a caller without a name', { callerId: '', requests: [call(1)] }],
  ['a caller with a long one', { callerId: 'x'.repeat(MIB), requests: [call(1)] }],
  ...['not an address', '\0', '127.0.0.1:1', 'unix:/etc/passwd', `${'x'.repeat(100_000)}:1`].map(
    (address) =>
      [
        `a caller at ${JSON.stringify(address.slice(0, 20))}`,
        { hello: { processId: 'p', address }, requests: [call(1)] },
      ] as const,
  ),
] satisfies readonly (readonly [string, object])[])('%s', async (_what, fields) => {
  expectClean(await client.call(CONNECT_PATH, framed(encodeFrame(frame(fields))), {}, 700));
  await alive();
});

const MENDABLE = new Set(['drain']); // an empty message is a good one, and empties the node
const METHODS = [nodeService, objectService, eventService, registryService].flatMap(({ methods }) =>
  [...methods].filter(([name]) => !MENDABLE.has(name)).map(([, method]) => method.path),
);

it('messages that are none, to every method', async () => {
  const unforeseen: string[] = [];
  for (const path of METHODS) {
    const ends = Array.from({ length: 25 }, (_, round) =>
      client.call(path, framed(randomBytes(path, round)), {}, 300).then((end) => ({ ...end, round })),
    );
    for (const end of await Promise.all(ends)) {
      expectClean(end);
      if (end.code === CODES.INTERNAL) unforeseen.push(`${path} round ${end.round}: ${end.message}`);
    }
  }
  expect(unforeseen).toEqual([]);
  const garbage = await client.call(LIST.path, framed(Buffer.from([0x0a, 0xff, 0xff])));
  expect(garbage).toMatchObject({
    code: CODES.INVALID_ARGUMENT,
    message: 'the request is not a valid message of /ballast.runtime.v1.NodeService/ListNodes',
  });
  await alive();
});

const SPEC = { actorId: 'x', type: 'x', entry: '/etc/passwd', argsJson: '{}' };
it.each([
  [nodeService, 'spawn', {}],
  [nodeService, 'spawn', { spec: SPEC }],
  [nodeService, 'spawn', { spec: { ...SPEC, argsJson: '{' } }],
  [nodeService, 'spawn', { spec: { ...SPEC, actorId: '../../x', entry: '../../../etc/passwd' } }],
  [nodeService, 'spawn', { spec: { ...SPEC, entry: 'node:child_process' } }],
  [nodeService, 'spawn', { spec: { ...SPEC, entry: join(packageRoot(), 'dist', '..', '..', 'x.js') } }],
  [nodeService, 'place', { spec: SPEC, stateJson: '{' }],
  [nodeService, 'place', { spec: SPEC, firstIncarnation: 4_294_967_295 }],
  [nodeService, 'saveState', { actorId: '__proto__', stateJson: 'x' }],
  [nodeService, 'register', { actorId: 'constructor', address: 'x' }],
  [nodeService, 'readLog', { actorId: '../../../../../../etc/passwd', lastLines: 4_294_967_295 }],
  [nodeService, 'kill', { actorId: '../x' }],
  [eventService, 'publish', { topic: 'a.b', payloadJson: '[1]' }],
  [eventService, 'publish', { topic: '../x', payloadJson: '{}' }],
  [eventService, 'subscribe', { topicFilter: '>.>', fromSequence: -5 }],
  [registryService, 'writeEntry', { key: '../x', valueJson: '{}' }],
  [registryService, 'writeEntry', { key: 'x', valueJson: '{' }],
  [registryService, 'writeEntry', { key: 'x', valueJson: '{"__proto__": 1}', leaseId: '__proto__' }],
  [registryService, 'grantLease', { name: 'x', ttlMs: -1 }],
  [objectService, 'pull', { id: '../../etc/passwd' }],
  [objectService, 'locate', { id: '__proto__' }],
] as const)('$1 of $2', async ({ methods }, name, request) => {
  const method = methods.get(name)!;
  const end = await client.call(method.path, framed(method.requestSerialize(request)), {}, 1500);
  expectClean(end);
  expect(end.code).not.toBe(CODES.INTERNAL);
  expect(end.body.toString('latin1')).not.toContain('root:');
  await alive();
});

it.each([
  ['five mebibytes', framed(Buffer.alloc(5 * MIB)), {}, CODES.RESOURCE_EXHAUSTED],
  [
    'a length of four gibibytes',
    framed(Buffer.alloc(10), { length: 0xffffffff }),
    {},
    CODES.RESOURCE_EXHAUSTED,
  ],
  [
    'a gzip bomb',
    framed(gzipSync(Buffer.alloc(512 * MIB), { level: 1 }), { flag: 1 }),
    { 'grpc-encoding': 'gzip' },
    CODES.RESOURCE_EXHAUSTED,
  ],
  [
    'an unknown compression',
    framed(Buffer.alloc(3), { flag: 1 }),
    { 'grpc-encoding': 'x' },
    CODES.UNIMPLEMENTED,
  ],
  ['a compressed message without its name', framed(Buffer.alloc(3), { flag: 1 }), {}, null],
  ['half a message', framed(Buffer.alloc(10), { length: 20 }), {}, null],
  ['half a head', Buffer.alloc(3), {}, null],
  ['two messages', Buffer.concat([framed(Buffer.alloc(0)), framed(Buffer.alloc(0))]), {}, null],
] as const)('%s to a method of one message', async (_what, bytes, headers, code) => {
  const before = residentBytes(node.cli.pid);
  const end = await client.call(LIST.path, bytes, headers, 5000);
  expectClean(end);
  if (code !== null) expect(end.code).toBe(code);
  expect(residentBytes(node.cli.pid) - before).toBeLessThan(128 * MIB);
  await alive();
});

it('too large a frame on the shared stream', async () => {
  const end = await client.call(CONNECT_PATH, framed(Buffer.alloc(5 * MIB)), {}, 3000);
  expect(end.code).toBe(CODES.RESOURCE_EXHAUSTED);
  await alive();
});

it('reflection that is asked for nonsense', async () => {
  const path = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';
  for (let round = 0; round < 60; round++)
    expectClean(await client.call(path, framed(randomBytes('reflection', round)), {}, 300));
  await alive();
});

it('headers that are wrong', async () => {
  const wrong: RawHeaders[] = [
    { 'content-type': 'text/plain' },
    { 'grpc-timeout': 'soon' },
    { 'grpc-timeout': '99999999999999H' },
    { 'ballast-actor': 'x'.repeat(1000) },
    { 'ballast-actor': '__proto__' },
    { authorization: 'Bearer '.padEnd(10_000, 'x') },
    { 'x-bin': '!!! not base64' },
  ];
  for (const headers of wrong) expectClean(await client.call(LIST.path, framed(Buffer.alloc(0)), headers));
  for (const path of [
    '/',
    '//',
    '/a',
    '/../etc/passwd',
    `/${'x'.repeat(1000)}`,
    '/ballast.runtime.v1.NodeService/constructor',
  ]) {
    const end = await client.call(path, framed(Buffer.alloc(0)));
    expectClean(end);
    expect(end.code).toBe(CODES.UNIMPLEMENTED);
  }
  await alive();
});

it('bytes that are not HTTP/2', async () => {
  const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
  const sent = [
    Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'),
    Buffer.from('160301020001000', 'hex'), // the beginning of TLS
    preface,
    ...Array.from({ length: 20 }, (_, round) => randomBytes('tcp', round)),
    ...Array.from({ length: 40 }, (_, round) => Buffer.concat([preface, randomBytes('http2', round)])),
    // A frame of 16 MiB, settings of a stream, data on no stream, a header block without end.
    ...[
      'ffffff000000000000',
      '000006040000000001000000000000',
      '000001000000000063aa',
      '00000101000000000188',
    ].map((hex) =>
      Buffer.concat([preface, Buffer.from('000000040000000000', 'hex'), Buffer.from(hex, 'hex')]),
    ),
  ];
  const answers = await Promise.all(sent.map((bytes) => rawBytes(node.address, bytes)));
  for (const answer of answers) expect(answer.toString('latin1')).not.toMatch(/node_modules|\.[jt]s:\d/);
  await alive();
});

it('connections that say nothing, or half of it, while others work', async () => {
  const [host, port] = node.address.split(':');
  const sockets = Array.from({ length: 200 }, (_, i): Socket => {
    const socket = createConnection(Number(port), host, () => i % 2 === 0 && socket.write('PRI * HT'));
    return socket.on('error', () => undefined);
  });
  await alive();
  expect((await client.call(LIST.path, framed(Buffer.alloc(0)))).code).toBe(0);
  for (const socket of sockets) socket.destroy();
  await alive();
});

it('streams that are opened and reset at once', async () => {
  const own = new RawClient(node.address, shownToken());
  await Promise.all(
    Array.from({ length: 1000 }, () => own.call(CONNECT_PATH, framed(encodeFrame(frame({}))), {}, 1)),
  );
  own.close();
  await alive();
});

it('leave the node as it was', async () => {
  expect(residentBytes(node.cli.pid) - startBytes).toBeLessThan(300 * MIB);
  expect(node.cli.stderr).toBe('');
  const log = readFileSync(join(node.dir, 'logs', 'node.log'), 'utf8');
  expect(log).not.toContain('handler failed');
  await alive();
});
