// Any gRPC client reaches actors in threads as it does those in processes: this one is @grpc/grpc-js, which knows nothing
// but what reflection tells it.
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import protoLoader from '@grpc/proto-loader';
import descriptor from 'protobufjs/ext/descriptor/index.js';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually } from '../common/testing/eventually.ts';
import { ActorSystem, ChannelPool, type Node, plainCalls, silentLog, startNode } from '../actors/index.ts';
import { ownTokenFile } from '../actors/security/own-token.ts';
import { healthService } from '../actors/serving/health.ts';
import { packageRoot } from '../common/package-root.ts';
import { echo, FIXTURES } from './fixtures/actors/echo.ts';

const SERVICE = 'ballast.test.EchoService';

interface PlainEcho extends grpc.Client {
  say(
    request: object,
    metadata: grpc.Metadata,
    options: grpc.CallOptions,
    callback: grpc.requestCallback<{ text: string; pid: number }>,
  ): grpc.ClientUnaryCall;
  count(
    request: object,
    metadata: grpc.Metadata,
    options: grpc.CallOptions,
  ): grpc.ClientReadableStream<{ value: number }>;
}

let folder: string;
let node: Node;
let pool: ChannelPool;
let system: ActorSystem;
let address: string;
let client: PlainEcho;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ballast-threads-plain-'));
  node = await startNode({ runDir: folder, log: silentLog, entryRoots: [FIXTURES] });
  pool = new ChannelPool();
  system = new ActorSystem({ node, transport: pool });
  await system.spawn(echo, { actorId: 'one', isolation: 'thread' });
  address = (await system.ready('one')).address!;
  client = make(await reflected(), SERVICE) as PlainEcho;
});

afterAll(async () => {
  client.close();
  await system.close();
  await node.close();
  pool.close();
  await rm(folder, { recursive: true });
});

function make(definition: protoLoader.PackageDefinition, path: string): grpc.Client {
  let found: unknown = grpc.loadPackageDefinition(definition);
  for (const name of path.split('.')) found = (found as Record<string, unknown>)[name];
  return new (found as grpc.ServiceClientConstructor)(address, grpc.credentials.createInsecure());
}

async function reflected(): Promise<protoLoader.PackageDefinition> {
  const folder = join(packageRoot(), 'node_modules/@grpc/reflection/build/proto/grpc/reflection/v1');
  const reflection = make(
    protoLoader.loadSync(join(folder, 'reflection.proto')),
    'grpc.reflection.v1.ServerReflection',
  );
  type Answer = { fileDescriptorResponse: { fileDescriptorProto: Uint8Array[] } };
  const ask = reflection as unknown as { serverReflectionInfo(): grpc.ClientDuplexStream<object, Answer> };
  const stream = ask.serverReflectionInfo();
  const answer = await new Promise<Answer>((resolve, reject) => {
    stream.on('data', resolve).on('error', reject);
    stream.write({ fileContainingSymbol: SERVICE });
  });
  stream.end();
  reflection.close();
  const file = answer.fileDescriptorResponse.fileDescriptorProto.map((bytes) =>
    descriptor.FileDescriptorProto.decode(bytes),
  );
  return protoLoader.loadFileDescriptorSetFromObject({ file }, { defaults: true });
}

/** Metadata that every call needs. */
function shown(): grpc.Metadata {
  const metadata = new grpc.Metadata();
  metadata.set('authorization', `Bearer ${readFileSync(ownTokenFile(), 'utf8').trim()}`);
  return metadata;
}

function say(text: string, actorId?: string, deadlineMs = 10_000, delayMs = 0) {
  const metadata = shown();
  if (actorId !== undefined) metadata.set('ballast-actor', actorId);
  return new Promise<{ text: string; pid: number }>((resolve, reject) =>
    client.say(
      { text, delay_ms: delayMs },
      metadata,
      { deadline: Date.now() + deadlineMs },
      (error, answer) => (error === null ? resolve(answer!) : reject(error)),
    ),
  );
}

const health = () => plainCalls(healthService(), pool, address).check({ service: SERVICE });

it('calls its methods, unary and streaming, with deadlines', async () => {
  const { text, pid } = await say('grüß dich');
  expect(text).toBe('grüß dich');
  expect(pid).toBe((await node.list()).find(({ type }) => type === 'thread-host')!.pid);
  const stream = client.count({ until: 40 }, shown(), { deadline: Date.now() + 10_000 });
  const values: number[] = [];
  for await (const { value } of stream as AsyncIterable<{ value: number }>) values.push(value);
  expect(values).toEqual(Array.from({ length: 40 }, (_, i) => i + 1));
  await expect(say('late', 'one', 200, 20_000)).rejects.toMatchObject({
    code: grpc.status.DEADLINE_EXCEEDED,
  });
});

it('names one of several; a service is healthy as long as one of its actors is', async () => {
  await system.spawn(echo, { actorId: 'two', isolation: 'thread' });
  await system.ready('two');
  await expect(say('who?')).rejects.toMatchObject({
    code: grpc.status.FAILED_PRECONDITION,
    details: `several actors serve /${SERVICE}/Say (one, two): name one in the metadata 'ballast-actor'`,
  });
  expect((await say('you', 'two')).text).toBe('you');
  await system.stop('two');
  await eventually(async () => expect((await say('again')).text).toBe('again'));
  expect(await health()).toEqual({ status: 'SERVING' });
  await system.stop('one');
  await eventually(() => expect(health()).rejects.toMatchObject({ code: 'NOT_FOUND' }));
  await expect(say('nobody')).rejects.toMatchObject({ code: grpc.status.FAILED_PRECONDITION });
});
