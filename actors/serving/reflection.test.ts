// Asks a server for its services, as grpcurl does, and calls a method with only that information.
import * as grpc from '@grpc/grpc-js';
import protoLoader from '@grpc/proto-loader';
import descriptor from 'protobufjs/ext/descriptor/index.js';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { silentLog } from '../../common/log.ts';
import { packageRoot } from '../../common/package-root.ts';
import { eventService, nodeService, objectService } from '../proto/runtime-services.ts';
import { ServingProcess } from './serving-process.ts';

interface Answer {
  readonly listServicesResponse?: { readonly service: { readonly name: string }[] };
  readonly fileDescriptorResponse?: { readonly fileDescriptorProto: Uint8Array[] };
  readonly errorResponse?: { readonly errorCode: number };
}

let serving: ServingProcess;
beforeAll(async () => {
  serving = await ServingProcess.start({ labels: {}, log: silentLog });
  for (const service of [objectService, nodeService]) serving.server.expose(service);
});
afterAll(() => serving.stop());

function client(definition: protoLoader.PackageDefinition, path: string): grpc.Client {
  let found: unknown = grpc.loadPackageDefinition(definition);
  for (const name of path.split('.')) found = (found as Record<string, unknown>)[name];
  return new (found as grpc.ServiceClientConstructor)(serving.address, grpc.credentials.createInsecure());
}

async function ask(version: 'v1' | 'v1alpha', question: object): Promise<Answer> {
  const folder = join(packageRoot(), 'node_modules/@grpc/reflection/build/proto');
  const file = `${folder}/grpc/reflection/${version}/reflection.proto`;
  const reflection = client(protoLoader.loadSync(file), `grpc.reflection.${version}.ServerReflection`);
  const stream = (
    reflection as unknown as { serverReflectionInfo(): grpc.ClientDuplexStream<object, Answer> }
  ).serverReflectionInfo();
  try {
    return await new Promise((resolve, reject) => {
      stream.on('data', resolve).on('error', reject);
      stream.write(question);
    });
  } finally {
    stream.end();
    reflection.close();
  }
}

describe.each(['v1', 'v1alpha'] as const)('reflection %s', (version) => {
  it('lists what is exposed, and what is exposed later', async () => {
    const names = async () => {
      const { listServicesResponse } = await ask(version, { listServices: '*' });
      return listServicesResponse?.service.map(({ name }) => name).sort();
    };
    const before = await names();
    expect(before).toContain('grpc.health.v1.Health');
    expect(before).toContain('ballast.runtime.v1.NodeService');
    expect(before).toContain('ballast.runtime.v1.ObjectService');
    serving.server.expose(eventService);
    expect(await names()).toContain('ballast.runtime.v1.EventService');
  });

  it('describes a service well enough to call it', async () => {
    const { fileDescriptorResponse } = await ask(version, { fileContainingSymbol: 'grpc.health.v1.Health' });
    const file = (fileDescriptorResponse?.fileDescriptorProto ?? []).map((bytes) =>
      descriptor.FileDescriptorProto.decode(bytes),
    );
    const definition = protoLoader.loadFileDescriptorSetFromObject({ file }, { enums: String });
    const health = client(definition, 'grpc.health.v1.Health') as unknown as {
      check(request: object, callback: (error: Error | null, answer: object) => void): void;
      close(): void;
    };
    const answer = await new Promise((resolve, reject) =>
      health.check({ service: '' }, (error, value) => (error === null ? resolve(value) : reject(error))),
    );
    health.close();
    expect(answer).toEqual({ status: 'SERVING' });
  });

  it('knows the messages of every service of a package, and says what it does not know', async () => {
    for (const name of ['SpawnRequest', 'LocateRequest']) {
      const { fileDescriptorResponse } = await ask(version, {
        fileContainingSymbol: `ballast.runtime.v1.${name}`,
      });
      expect(fileDescriptorResponse?.fileDescriptorProto.length).toBeGreaterThan(0);
    }
    expect((await ask(version, { fileContainingSymbol: 'no.Such' })).errorResponse?.errorCode).toBe(5);
  });
});
