import { describe, expect, it } from 'vitest';
import { place, placeGang } from './placement.ts';
import type { PlacementAsk } from './placement.ts';
import type { NodeStatus } from '../status/status.ts';

function node(nodeId: string, more: Partial<NodeStatus> = {}): NodeStatus {
  const total = more.total ?? { cpu: 4 };
  return {
    nodeId,
    address: `${nodeId}:1`,
    metricsAddress: null,
    labels: {},
    total,
    free: total,
    state: 'alive',
    reason: '',
    actors: 0,
    startedAt: '',
    pid: 1,
    ...more,
  };
}

function ask(more: Partial<PlacementAsk> = {}): PlacementAsk {
  return { resources: { cpu: 1 }, labels: {}, placement: 'pack', near: null, ...more };
}

describe('place', () => {
  const half = node('half', { free: { cpu: 2 } });
  const empty = node('empty');

  it('packs onto the fullest node with room, or spreads onto the emptiest', () => {
    expect(place(ask(), [empty, half])).toEqual({ kind: 'node', nodeId: 'half' });
    expect(place(ask({ placement: 'spread' }), [half, empty])).toEqual({ kind: 'node', nodeId: 'empty' });
    expect(place(ask({ resources: { cpu: 3 } }), [half, empty])).toEqual({ kind: 'node', nodeId: 'empty' });
  });

  it('prefers the node that an object is on, if it has room', () => {
    expect(place(ask({ near: 'empty:1' }), [half, empty])).toEqual({ kind: 'node', nodeId: 'empty' });
    expect(place(ask({ near: 'half:1', resources: { cpu: 3 } }), [half, empty])).toMatchObject({
      nodeId: 'empty',
    });
  });

  it('waits for room that is taken, and says where', () => {
    expect(place(ask({ resources: { cpu: 3 } }), [half])).toEqual({
      kind: 'wait',
      because: 'node half: cpu (asks for 3, 2 of 4 free)',
    });
  });

  it('says at once what each node lacks when none could ever do', () => {
    const labelled = ask({ resources: { cpu: 8, gpu: 1 }, labels: { zone: 'b' } });
    expect(place(labelled, [empty, node('other', { labels: { zone: 'b' }, total: { cpu: 8 } })])).toEqual({
      kind: 'infeasible',
      because:
        'node empty lacks label zone=b, cpu (asks for 8, has 4), gpu (asks for 1, has 0); ' +
        'node other lacks gpu (asks for 1, has 0)',
    });
    expect(place(ask(), [node('gone', { state: 'draining' })])).toEqual({
      kind: 'infeasible',
      because: 'no node accepts actors',
    });
  });
});

describe('placeGang', () => {
  it('places all or none, counting what each takes', () => {
    const nodes = [node('a', { total: { cpu: 2 } }), node('b', { total: { cpu: 2 } })];
    const two = ask({ resources: { cpu: 2 } });
    expect(placeGang([two, two], nodes)).toEqual(['a', 'b']);
    const busy = [nodes[0]!, { ...nodes[1]!, free: { cpu: 1 } }];
    expect(placeGang([two, two], busy)).toEqual({
      kind: 'wait',
      because: '2 at once: they ask for cpu 4; node a has cpu 2 free; node b has cpu 1 free',
    });
  });

  it('finds the choice in which all fit, where taking the first good node for each would not', () => {
    const nodes = [node('a', { total: { cpu: 3 } }), node('b', { total: { cpu: 2 } })];
    const [one, two] = [ask(), ask({ resources: { cpu: 2 } })];
    expect(placeGang([two, one, two], nodes)).toEqual(['a', 'a', 'b']);
    expect(placeGang([ask({ near: 'a:1' }), ask({ resources: { cpu: 3 } })], nodes)).toEqual(['b', 'a']);
  });

  it('says at once what lacks for a gang that could never be together, though each alone could', () => {
    const nodes = [node('a', { total: { cpu: 2 } }), node('b', { total: { cpu: 3 } })];
    const two = ask({ resources: { cpu: 2 } });
    expect(placeGang([two, two, two], nodes)).toEqual({
      kind: 'infeasible',
      because: '3 at once: they ask for cpu 6; node a has cpu 2 in all; node b has cpu 3 in all',
    });
    expect(placeGang([two, ask({ resources: { gpu: 1 } })], nodes)).toMatchObject({
      kind: 'infeasible',
      because: expect.stringContaining('node a lacks gpu (asks for 1, has 0)') as string,
    });
  });

  it('gives up looking through a large gang that cannot be, and lets it wait', () => {
    const nodes = Array.from({ length: 8 }, (_, i) => node(`n${i}`, { total: { cpu: 3 + i / 10 } }));
    const many = Array.from({ length: 9 }, () => ask({ resources: { cpu: 2 } }));
    expect(placeGang(many, nodes)).toMatchObject({ kind: 'wait' });
    const alike = nodes.map(({ nodeId }) => node(nodeId, { total: { cpu: 3 } }));
    expect(placeGang(many, alike)).toMatchObject({ kind: 'infeasible' });
  });
});
