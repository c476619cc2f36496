/**
 * A process of the object benchmarks. It has its own node and folders, like a machine; or, given a node's address, it
 * is one of several processes on that node. It executes each message, then answers.
 *
 * `raw-serve` and `raw-pull` are the peer of a remote get: the same chunks over a plain gRPC stream with the same
 * window, from memory to nowhere, neither stored nor verified.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { Registry } from 'prom-client';
import { ChannelPool, plainCalls } from '../actors/calls/channels.ts';
import { NodeObjects } from '../actors/objects/node-objects.ts';
import { digestOf } from '../actors/objects/object-ref.ts';
import type { ObjectRef } from '../actors/objects/object-ref.ts';
import { CHUNK_BYTES } from '../actors/proto/chunk-buffers.ts';
import { ObjectStore } from '../actors/objects/objects.ts';
import type { Method } from '../actors/proto/protos.ts';
import { objectService } from '../actors/proto/runtime-services.ts';
import { LOOPBACK } from '../actors/serving/server.ts';
import { ServingProcess } from '../actors/serving/serving-process.ts';
import { silentLog } from '../common/log.ts';

export interface HostSettings {
  readonly name: string;
  /** host:port of the node to use; null creates one here. */
  readonly nodeAddress: string | null;
  /** Folder in which the store creates its folders. */
  readonly folder: string;
  /** Concurrent uploads of one object; Infinity makes every receiver pull from the origin. */
  readonly uploadsPerNode: number;
}

export type HostRequest =
  | { readonly kind: 'open'; readonly settings: HostSettings }
  | {
      readonly kind: 'put';
      readonly sizeBytes: number;
      readonly seed: number;
    }
  | { readonly kind: 'get'; readonly ref: ObjectRef }
  | { readonly kind: 'digest'; readonly sizeBytes: number }
  | { readonly kind: 'free'; readonly ref: ObjectRef }
  | { readonly kind: 'raw-serve'; readonly sizeBytes: number }
  | { readonly kind: 'raw-pull'; readonly address: string }
  | { readonly kind: 'close' };

export interface HostAnswer {
  readonly seconds: number;
  readonly address?: string;
  readonly ref?: ObjectRef;
  /** Part of these seconds spent on verification; null if nothing is verified. */
  readonly digestSeconds?: number;
  readonly bytes?: number;
}

const pool = new ChannelPool();
const registry = new Registry();
const PULL: Method = objectService.methods.get('pull')!;
let node: NodeObjects | null = null;
let store: ObjectStore | null = null;
let content = new Uint8Array(0);

async function open({ name, nodeAddress, folder, uploadsPerNode }: HostSettings): Promise<string> {
  let address = nodeAddress;
  if (address === null) {
    const serving = await ServingProcess.start({ labels: {}, log: silentLog });
    address = serving.address;
    const dirs = { memory: join(folder, name), spill: join(folder, `${name}-spill`) };
    mkdirSync(dirs.memory);
    const capacityBytes = 4 * 1024 ** 3;
    node = new NodeObjects({ nodeId: name, address, pool, registry, dirs, capacityBytes, uploadsPerNode });
    serving.dispatcher.addService(objectService, node.handlers());
    serving.server.expose(objectService);
  }
  // No cache: earlier puts and gets of this process must not bypass the store.
  store = new ObjectStore({
    owner: `${name}/1`,
    nodeAddress: address,
    transport: pool,
    registry: new Registry(),
    cacheBytes: 0,
  });
  return address;
}

function fill(sizeBytes: number, seed: number): Uint8Array {
  if (content.byteLength !== sizeBytes) content = new Uint8Array(sizeBytes).fill(7);
  new DataView(content.buffer).setUint32(0, seed);
  return content;
}

/** Reads a byte of every page, as the peer does, because mapping alone reads nothing. */
function touchPages(bytes: Uint8Array): number {
  let sum = 0;
  for (let offset = 0; offset < bytes.byteLength; offset += 4096) sum += bytes[offset]!;
  return sum;
}

async function digestSeconds(): Promise<number> {
  const metric = await registry.getSingleMetric('ballast_object_digest_seconds_total')?.get();
  return metric?.values[0]?.value ?? 0;
}

async function serveRaw(sizeBytes: number): Promise<string> {
  const bytes = fill(sizeBytes, 0);
  const server = new grpc.Server();
  server.addService(
    { pull: PULL },
    {
      pull: (call: grpc.ServerWritableStream<object, object>) => {
        let start = 0;
        const send = () => {
          while (start < sizeBytes) {
            const chunk = bytes.subarray(start, start + CHUNK_BYTES);
            start += chunk.byteLength;
            if (!call.write({ chunk })) return void call.once('drain', send);
          }
          call.end();
        };
        send();
      },
    },
  );
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync(`${LOOPBACK}:0`, grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  return `${LOOPBACK}:${port}`;
}

async function pullRaw(address: string): Promise<number> {
  let bytes = 0;
  const stream = plainCalls(objectService, pool, address).pull({ id: 'raw' }, { deadlineMs: Infinity });
  for await (const { chunk } of stream) bytes += chunk.byteLength;
  return bytes;
}

async function perform(request: HostRequest): Promise<Omit<HostAnswer, 'seconds'>> {
  switch (request.kind) {
    case 'open':
      return { address: await open(request.settings) };
    case 'put':
      return { ref: await store!.put(content) };
    case 'get': {
      const before = await digestSeconds();
      const content = await store!.get(request.ref);
      touchPages(content);
      return { bytes: content.byteLength, digestSeconds: (await digestSeconds()) - before };
    }
    case 'digest':
      await digestOf(content);
      return {};
    case 'free':
      await store!.free([request.ref]);
      return {};
    case 'raw-serve':
      return { address: await serveRaw(request.sizeBytes) };
    case 'raw-pull':
      return { bytes: await pullRaw(request.address) };
    case 'close':
      node?.close();
      return {};
    default:
      return request satisfies never;
  }
}

/** Handles one request at a time; `seconds` is its time without preparing bytes. */
async function answer(request: HostRequest): Promise<HostAnswer> {
  if (request.kind === 'put') fill(request.sizeBytes, request.seed);
  if (request.kind === 'digest') fill(request.sizeBytes, 0);
  const startMs = performance.now();
  const result = await perform(request);
  return { seconds: (performance.now() - startMs) / 1000, ...result };
}

process.on('message', (request: HostRequest) => {
  answer(request).then(
    (result) => process.send!(result),
    (thrown: unknown) => {
      console.error(thrown);
      process.exit(1);
    },
  );
});
process.on('disconnect', () => process.exit(0));
