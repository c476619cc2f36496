// Any gRPC client can call an actor. This one uses only @grpc/grpc-js.
import * as grpc from '@grpc/grpc-js';
import protoLoader from '@grpc/proto-loader';
import { readFileSync } from 'node:fs';
import { ownTokenFile } from 'ballast/actors';
import { counter, folder } from './counter-type.mjs';
import { startLocal } from './local.mjs';

const { system, close } = await startLocal();
const { actorId } = await system.spawn(counter, { args: { from: 12 } });
const { address, metricsAddress } = await system.ready(actorId);

const includeDirs = [folder, `${folder}/../../proto`];
const { example } = grpc.loadPackageDefinition(protoLoader.loadSync('counter.proto', { includeDirs }));
const client = new example.Counter(address, grpc.credentials.createInsecure());
const metadata = new grpc.Metadata();
// Every port requires a token: by default the one in a file that only you can read (~/.local/state/ballast/node-token).
metadata.set('authorization', `Bearer ${readFileSync(ownTokenFile(), 'utf8').trim()}`);
metadata.set('ballast-actor', actorId); // the target actor; needed only if several serve the method
const get = () =>
  new Promise((resolve, reject) =>
    client.get({}, metadata, { deadline: Date.now() + 5000 }, (error, answer) =>
      error ? reject(error) : resolve(answer),
    ),
  );
console.log('count', (await get()).count);
client.close();

// Each process has a page of Prometheus metrics.
const page = await (await fetch(`http://${metricsAddress}/metrics`)).text();
console.log(/ballast_calls_total\{method="example.Counter\/Get",code="OK".*\} 1/.test(page));
await close();
