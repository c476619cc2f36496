import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { afterAll, expect, it } from 'vitest';
import { countGoneNodes, type MeasuredNode, watchNodeMetrics } from './node-metrics.ts';
import type { ActorStatus, NodeState, NodeStatus } from '../status/status.ts';

const folder = mkdtempSync(join(tmpdir(), 'ballast-disk-'));
afterAll(() => rmSync(folder, { recursive: true }));

const node = (state: NodeState): NodeStatus => ({
  ...{
    nodeId: state,
    address: '',
    metricsAddress: null,
    labels: {},
    reason: '',
    actors: 1,
    startedAt: '',
    pid: 1,
  },
  total: { cpu: 4, gpu: 1 },
  free: { cpu: 2.5, gpu: 0 },
  state,
});

const actor = (actorId: string, change: Partial<ActorStatus>) =>
  ({ actorId, type: 'echo', state: 'alive', incarnation: 1, exitCode: null, exitSignal: null, ...change }) as ActorStatus; // prettier-ignore

const measured: MeasuredNode = {
  ownStatus: node('alive'),
  list: () => Promise.resolve([actor('a', {}), actor('b', {}), actor('c', { state: 'pending' })]),
  listNodes: () => Promise.resolve([node('alive'), node('alive'), node('draining')]),
  // oxlint-disable-next-line typescript/require-await -- stands for a stream
  async *watch() {
    yield actor('a', {});
    yield actor('a', { incarnation: 2, exitSignal: 'SIGKILL' });
    yield actor('b', { incarnation: 3, exitCode: 1 });
    yield actor('b', { incarnation: 3, exitCode: 1 });
  },
};

it('reports the node’s cluster, resources, disks and build', async () => {
  const registry = new Registry();
  watchNodeMetrics(registry, measured, { node: folder, gone: join(folder, 'missing') });
  await new Promise(setImmediate);
  const page = await registry.metrics();
  expect(page).toContain('ballast_actors{type="echo",state="alive"} 2');
  expect(page).toContain('ballast_actors{type="echo",state="pending"} 1');
  expect(page).toContain('ballast_nodes{state="alive"} 2');
  expect(page).toContain('ballast_nodes{state="draining"} 1');
  expect(page).toContain('ballast_nodes{state="lost"} 0');
  expect(page).toContain('ballast_node_capacity{resource="cpu"} 4');
  expect(page).toContain('ballast_node_free{resource="cpu"} 2.5');
  expect(page).toContain('ballast_node_free{resource="gpu"} 0');
  expect(page).toContain('ballast_actor_restarts_total{type="echo",cause="SIGKILL"} 1');
  expect(page).toContain('ballast_actor_restarts_total{type="echo",cause="exit 1"} 1');
  expect(page).toContain('ballast_actor_restarts_total{type="echo",cause="SIGSEGV"} 0');
  expect(page).toMatch(/ballast_build_info\{version="\d+\.\d+\.\d+[^"]*",node_version="v\d+/);
  const bytes = (name: string) =>
    Number(new RegExp(`^${name}\\{folder="node"\\} (\\S+)$`, 'm').exec(page)?.[1]);
  expect(bytes('ballast_disk_bytes')).toBeGreaterThan(1e6);
  expect(bytes('ballast_disk_free_bytes')).toBeGreaterThanOrEqual(0);
  expect(bytes('ballast_disk_free_bytes')).toBeLessThanOrEqual(bytes('ballast_disk_bytes'));
  expect(page).not.toContain('folder="gone"');
});

it('counts nodes that went, by cause, from zero', async () => {
  const registry = new Registry();
  const count = countGoneNodes(registry);
  count('lost');
  count('lost');
  count('left');
  const page = await registry.metrics();
  expect(page).toContain('ballast_nodes_gone_total{cause="left"} 1');
  expect(page).toContain('ballast_nodes_gone_total{cause="lost"} 2');
  expect(page).toContain('ballast_nodes_gone_total{cause="replaced"} 0');
});
