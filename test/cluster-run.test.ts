// A run that uses the nodes of a cluster: same weights as alone, images made elsewhere, nothing left behind.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ballast } from './support/cli.ts';
import { livingActors, sharedFolders, startTestNode, type TestNode } from './support/cluster.ts';
import { newFolder, readMetrics, readReport, referenceRun, runArgs } from './support/suite.ts';

let node: TestNode;
const nodeId = `t${process.pid}-run`;

beforeAll(async () => {
  node = await startTestNode(newFolder('cluster'), nodeId, ['--resources', 'cpu=2']);
});

afterAll(async () => {
  node.cli.signal('SIGTERM');
  expect((await node.cli.ended).code).toBe(0);
  expect(sharedFolders(nodeId)).toEqual([]);
});

it('ends with the weights of a run that was alone', async () => {
  const reference = await referenceRun();
  const dir = newFolder('joined');
  const end = await ballast(await runArgs(dir, '--overwrite', '--join', `grpc://${node.address}`));
  expect(end.stderr).toBe('');
  expect(end.code).toBe(0);
  expect(readReport(dir).weightsDigest).toBe(readReport(reference.dir).weightsDigest);
  expect(readMetrics(dir)).toEqual(readMetrics(reference.dir));
  const workers = ['0', '1'].map((i) => `diffusion-worker-${i}.log`);
  const logs = (folder: string) =>
    workers.filter((worker) => readdirSync(folder).some((name) => name.endsWith(worker)));
  expect(logs(join(node.dir, 'logs'))).toHaveLength(1);
  expect(logs(join(dir, 'logs'))).toHaveLength(1);
  expect(livingActors([node])).toEqual([]);
});

it('reports in one line that no registry answers at the address to join', async () => {
  const end = await ballast(
    await runArgs(newFolder('nobody'), '--overwrite', '--join', 'grpc://127.0.0.1:1'),
  );
  expect(end.code).not.toBe(0);
  expect(end.stderr.trim().split('\n')).toHaveLength(1);
  expect(end.stderr).toContain('--join grpc://127.0.0.1:1: no node can be reached there');
});
