import { expect, it } from 'vitest';
import type { ActorStatus, NodeStatus } from '../../actors/status/status.ts';
import { actorTable, nodeTable, objectTable, statusText } from './tables.ts';

const NOW_MS = Date.parse('2026-01-02T03:04:05Z');

const NODE: NodeStatus = {
  nodeId: 'gpu-1',
  address: '10.0.0.7:4700',
  metricsAddress: null,
  labels: { gpu: 'a100' },
  total: { cpu: 4, gpu: 2 },
  free: { cpu: 3, gpu: 1 },
  state: 'alive',
  reason: 'takes actors',
  actors: 1,
  startedAt: '2026-01-02T03:00:00Z',
  pid: 1,
};

const ACTOR: ActorStatus = {
  actorId: 'trainer',
  type: 'trainer',
  serviceName: 'Trainer',
  incarnation: 2,
  pid: 7,
  address: '10.0.0.7:5000',
  metricsAddress: null,
  state: 'alive',
  reason: 'serving',
  exitCode: null,
  exitSignal: null,
  lastLogLines: [],
  nodeId: 'gpu-1',
  name: null,
  namespace: 'default',
  isolation: 'process',
  group: null,
  bundle: null,
  resources: { cpu: 1, gpu: 1 },
  gpuIds: [1],
  owner: 'coordinator/1',
  lifetime: 'owner',
  createdAt: '2026-01-02T03:03:05Z',
};

it('shows nodes, and why one takes no actors', () => {
  const leaving: NodeStatus = { ...NODE, nodeId: 'old', state: 'draining', reason: 'takes no new actors' };
  expect(nodeTable([NODE, leaving]).split('\n')).toEqual([
    'NODE   STATE     ADDRESS        ACTORS  FREE              LABELS',
    'gpu-1  alive     10.0.0.7:4700       1  cpu 3/4, gpu 1/2  gpu=a100',
    'old    draining  10.0.0.7:4700       1  cpu 3/4, gpu 1/2  gpu=a100',
    '  takes no new actors',
    '',
  ]);
});

it('shows actors, and why one does not serve', () => {
  const waiting: ActorStatus = {
    ...ACTOR,
    ...{ actorId: 'worker', state: 'pending', nodeId: null, gpuIds: [], lifetime: 'detached' },
    reason: 'waits for room: node gpu-1: gpu (asks for 2, 1 of 2 free)',
  };
  const dead: ActorStatus = {
    ...ACTOR,
    ...{ actorId: 'gone', state: 'dead', isolation: 'thread', owner: null },
    reason: 'exited with code 1; not restarted: its limit of 0 restarts is reached',
    lastLogLines: ['begin', 'out of memory'],
  };
  expect(actorTable([ACTOR, waiting, dead], NOW_MS).split('\n')).toEqual([
    'ACTOR    STATE    NODE   INC  IN       RESOURCES     GPUS  OWNER           AGE',
    'trainer  alive    gpu-1    2  process  cpu 1, gpu 1  1     coordinator/1  60 s',
    'worker   pending           2  process  cpu 1, gpu 1        detached       60 s',
    '  waits for room: node gpu-1: gpu (asks for 2, 1 of 2 free)',
    'gone     dead     gpu-1    2  thread   cpu 1, gpu 1  1                    60 s',
    '  exited with code 1; not restarted: its limit of 0 restarts is reached; last log line: out of',
    '  memory',
    '',
  ]);
});

it('shows the bundles of placement groups, and who is in one', () => {
  const bundle: ActorStatus = { ...ACTOR, actorId: 'g-0', isolation: 'none', group: 'g', owner: null };
  const lost: ActorStatus = { ...bundle, actorId: 'g-1', state: 'pending', nodeId: null, reason: 'waits' };
  const inside: ActorStatus = { ...ACTOR, bundle: 'g-0' };
  expect(actorTable([bundle, inside], NOW_MS).split('\n')).toEqual([
    'ACTOR    STATE  NODE   INC  IN              RESOURCES     GPUS  OWNER           AGE',
    'g-0      alive  gpu-1    2  bundle          cpu 1, gpu 1  1                    60 s',
    'trainer  alive  gpu-1    2  process in g-0  cpu 1, gpu 1  1     coordinator/1  60 s',
    '',
  ]);
  const text = statusText({ nodes: [NODE], actors: [bundle, lost, inside], objects: [] }, NOW_MS);
  expect(text).toContain('1 actor: 1 alive\n1 placement group of 2 bundles: 1 alive, 1 pending\n0 objects\n');
  expect(text).toMatch(/Not serving:\n\n.*\ng-1 .*\n {2}waits\n$/);
});

it('shows objects with their holders', () => {
  const object = { id: 'a/t/1/1-1', nodeId: 'a', sizeBytes: 100, digest: '', owner: 't/1' };
  const held = { ...object, kind: 'primary', pins: 2, holders: ['h:1', 'h:2'] } as const;
  expect(objectTable([held]).split('\n')).toEqual([
    'OBJECT     ON  BYTES  KIND     OWNER  PINS  HOLDERS',
    'a/t/1/1-1  a     100  primary  t/1       2  h:1,h:2',
    '',
  ]);
});

it('says in short how all is, and lists what does not serve', () => {
  const dead: ActorStatus = { ...ACTOR, actorId: 'gone', state: 'dead', reason: 'stopped' };
  const text = statusText({ nodes: [NODE, NODE], actors: [ACTOR, dead], objects: [] }, NOW_MS);
  expect(text).toContain('2 nodes; free: cpu 6/8, gpu 2/4\n2 actors: 1 alive, 1 dead\n0 objects\n');
  expect(text.slice(text.indexOf('Not serving:'))).toMatch(
    /^Not serving:\n\nACTOR .*\ngone +dead .*\n {2}stopped\n$/,
  );
  expect(text.slice(0, text.indexOf('Not serving:'))).not.toContain('trainer');
});
