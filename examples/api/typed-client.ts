// Trains a classifier on a coordinator: a typed client that submits a run, watches it through broken connections, and
// fetches the model. It uses @grpc/grpc-js, @grpc/proto-loader and the types that proto-loader-gen-types generates from
// the proto (the command is in README.md beside this file), and nothing of Ballast itself.
//
//   node dist/examples/api/typed-client.js 127.0.0.1:4800 run.json photos photos.safetensors
import { createHash } from 'node:crypto';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import * as grpc from '@grpc/grpc-js';
import protoLoader from '@grpc/proto-loader';
import type { CoordinatorServiceClient } from '../../gen/ballast/v1/CoordinatorService.ts';
import type { CreateRunRequest } from '../../gen/ballast/v1/CreateRunRequest.ts';
import type { ModelChunk__Output } from '../../gen/ballast/v1/ModelChunk.ts';
import type { Run__Output } from '../../gen/ballast/v1/Run.ts';
import type { RunEvent__Output } from '../../gen/ballast/v1/RunEvent.ts';
import type { ProtoGrpcType } from '../../gen/coordinator.ts';
import type { ErrorInfo__Output } from '../../gen/google/rpc/ErrorInfo.ts';
import type { Status__Output } from '../../gen/google/rpc/Status.ts';
import type { Struct } from '../../gen/google/protobuf/Struct.ts';
import type { Value } from '../../gen/google/protobuf/Value.ts';

// The options with which the types were generated.
const options = {
  ...{ longs: Number, enums: String, defaults: true, oneofs: true },
  includeDirs: [process.env['BALLAST_PROTO'] ?? 'proto'],
};
const files = ['ballast/v1/coordinator.proto', 'google/rpc/status.proto', 'google/rpc/error_details.proto'];
const definition = protoLoader.loadSync(files, options);
const { ballast } = grpc.loadPackageDefinition(definition) as unknown as ProtoGrpcType;

const [address = '', configFile = '', runId = '', modelFile = ''] = process.argv.slice(2);
const client = new ballast.v1.CoordinatorService(address, grpc.credentials.createInsecure());
const metadata = new grpc.Metadata();
const tokenFile = process.env['BALLAST_API_TOKEN_FILE'];
if (tokenFile) metadata.set('authorization', `Bearer ${readFileSync(tokenFile, 'utf8').trim()}`);

try {
  const config = JSON.parse(readFileSync(configFile, 'utf8')) as object;
  const run = await createRun({ runId, config: toStruct(config), requestId: `example-${runId}` });
  console.log(`${run.name}: ${run.state}`);
  await watch(client, run.name);
  await getModel(client, run.name, modelFile);
  console.log(`model: ${modelFile}`);
} catch (error) {
  const { code, details } = error as grpc.ServiceError;
  if (code === undefined) throw error;
  console.error(`${grpc.status[code]}: ${details}`);
  const info = errorInfoOf(error as grpc.ServiceError);
  if (info) console.error(info.reason, info.domain, JSON.stringify(info.metadata));
  process.exitCode = 1;
} finally {
  client.close();
}

/** A unary call as a promise. A repeated request_id creates no second run, so the call may be retried. */
function createRun(request: CreateRunRequest): Promise<Run__Output> {
  return new Promise((resolve, reject) => {
    client.createRun(request, metadata, { deadline: Date.now() + 30_000 }, (error, run) =>
      error ? reject(error) : resolve(run!),
    );
  });
}

/** Prints the run's events until it has ended. A broken stream resumes after the last event seen. */
async function watch(api: CoordinatorServiceClient, name: string): Promise<void> {
  let next = 1;
  for (;;) {
    try {
      for await (const event of api.watchRun({ name, fromSequence: next }, metadata)) {
        const { sequence, stateChanged, epochFinished } = event as RunEvent__Output;
        next = sequence + 1;
        if (epochFinished?.epoch)
          console.log(`${epochFinished.epoch.name}: loss ${epochFinished.epoch.trainLoss.toFixed(3)}`);
        if (stateChanged) console.log(`${name}: ${stateChanged.state}: ${stateChanged.reason}`);
        if (stateChanged?.state === 'STATE_FAILED' || stateChanged?.state === 'STATE_CANCELLED')
          throw new Error(`${name} has no model: ${stateChanged.reason}`);
      }
      return;
    } catch (error) {
      if ((error as grpc.ServiceError).code !== grpc.status.UNAVAILABLE) throw error;
      console.log(`connection lost; watching again from event ${next}`);
      await delay(1000);
    }
  }
}

/** Downloads the model; a broken download resumes where it stopped. */
async function getModel(api: CoordinatorServiceClient, name: string, path: string): Promise<void> {
  const parts: Uint8Array[] = [];
  let offset = 0;
  for (;;) {
    try {
      let digest = '';
      for await (const chunk of api.getModel({ name, format: 'FORMAT_SAFETENSORS', offset }, metadata)) {
        const { data, sha256 } = chunk as ModelChunk__Output;
        parts.push(data);
        offset += data.length;
        digest = sha256;
      }
      const file = Buffer.concat(parts);
      if (createHash('sha256').update(file).digest('hex') !== digest)
        throw new Error('the downloaded model is damaged');
      writeFileSync(`${path}.part`, file);
      return renameSync(`${path}.part`, path);
    } catch (error) {
      if ((error as grpc.ServiceError).code !== grpc.status.UNAVAILABLE) throw error;
      await delay(1000);
    }
  }
}

/** The part of an error that is meant for programs: google.rpc.ErrorInfo, in the status's details. */
function errorInfoOf(error: grpc.ServiceError): ErrorInfo__Output | undefined {
  const [encoded] = error.metadata.get('grpc-status-details-bin');
  if (!(encoded instanceof Buffer)) return undefined;
  const { details } = messageType('google.rpc.Status').deserialize(encoded) as Status__Output;
  const any = details as unknown as { type_url: string; value: Buffer }[];
  const found = any.find(({ type_url: type }) => type.endsWith('/google.rpc.ErrorInfo'));
  return found && (messageType('google.rpc.ErrorInfo').deserialize(found.value) as ErrorInfo__Output);
}

function messageType(name: string): protoLoader.MessageTypeDefinition<object, object> {
  return definition[name] as protoLoader.MessageTypeDefinition<object, object>;
}

function toStruct(object: object): Struct {
  return {
    fields: Object.fromEntries(Object.entries(object).map(([name, value]) => [name, toValue(value)])),
  };
}

function toValue(value: unknown): Value {
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value === 'number') return { numberValue: value };
  if (typeof value === 'boolean') return { boolValue: value };
  if (Array.isArray(value)) return { listValue: { values: value.map(toValue) } };
  if (value === null) return { nullValue: 'NULL_VALUE' };
  return { structValue: toStruct(value as object) };
}
