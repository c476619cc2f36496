import { expect, it } from 'vitest';
import { CallError } from '../base/call-errors.ts';
import { Gang } from './gang.ts';
import { type Home, newHome } from './home.ts';
import { NodeRoom } from '../supervisor/node-room.ts';
import type { ActorSpec, NodeStatus } from '../status/status.ts';

/** Nodes that really count what they hold, as far from the gang as an await. */
class Nodes {
  readonly rooms: Readonly<Record<string, NodeRoom>>;
  readonly log: string[] = [];
  /** Nodes that refuse to start what they hold room for. */
  readonly failing = new Set<string>();
  readonly #total: Readonly<Record<string, number>>;

  constructor(total: Readonly<Record<string, number>>) {
    this.#total = total;
    this.rooms = Object.fromEntries(
      Object.entries(total).map(([id, cpu]) => [id, new NodeRoom(id, { cpu })]),
    );
  }

  free(): number[] {
    return Object.values(this.rooms).map((room) => room.free['cpu']!);
  }

  gang(homes: readonly Home[], seen = () => this.statuses()): Gang {
    return new Gang(homes, {
      nodes: seen,
      rule: () => null,
      claim: async (nodeId, claims, holdMs) => {
        await Promise.resolve();
        this.rooms[nodeId]!.claim(claims, holdMs);
        this.log.push(`${claims.map(({ actorId }) => actorId).join('+')} on ${nodeId}`);
      },
      giveBack: async (nodeId, ids) => {
        await Promise.resolve();
        this.rooms[nodeId]!.giveBack(ids);
      },
      placeOn: async (home, nodeId) => {
        await Promise.resolve();
        if (this.failing.has(nodeId)) throw new CallError('UNAVAILABLE', `node ${nodeId} went away`);
        this.rooms[nodeId]!.take(home.spec);
        home.nodeId = nodeId;
      },
      wait: (home, reason) => (home.status = { ...home.status, reason }),
      end: (home, reason) => {
        if (home.nodeId !== null) this.rooms[home.nodeId]!.leave(home.spec.actorId);
        home.nodeId = null;
        home.status = { ...home.status, state: 'dead', reason };
      },
    });
  }

  statuses(): NodeStatus[] {
    return Object.entries(this.#total).map(([nodeId, cpu]) => ({
      ...{
        nodeId,
        address: `${nodeId}:1`,
        metricsAddress: null,
        labels: {},
        reason: '',
        startedAt: '',
        pid: 1,
      },
      ...{ total: { cpu }, free: this.rooms[nodeId]!.free, state: 'alive', actors: 0 },
    }));
  }
}

function members(prefix: string, ...cpus: number[]): Home[] {
  return cpus.map((cpu, i) => {
    const asks = { resources: { cpu }, labels: {}, placement: 'pack', near: null, group: null };
    return newHome({ actorId: `${prefix}${i}`, ...asks } as unknown as ActorSpec);
  });
}

it('starts all on nodes that hold their room', async () => {
  const nodes = new Nodes({ a: 2, b: 3 });
  const homes = members('m', 2, 1, 2);
  await nodes.gang(homes).tryPlace();
  expect(homes.map(({ nodeId }) => nodeId)).toEqual(['a', 'b', 'b']);
  expect(nodes.free()).toEqual([0, 0]);
});

it('holds nothing while it waits, and starts when there is room for all', async () => {
  const nodes = new Nodes({ a: 2, b: 2 });
  nodes.rooms['b']!.take({ actorId: 'other', resources: { cpu: 1 } });
  const homes = members('m', 2, 2);
  const gang = nodes.gang(homes);
  await gang.tryPlace();
  expect(nodes.free()).toEqual([2, 1]);
  expect(homes[0]!.status.reason).toBe(
    'waits for room with its gang: 2 at once: they ask for cpu 4; node a has cpu 2 free; node b has cpu 1 free',
  );
  nodes.rooms['b']!.leave('other');
  await gang.tryPlace();
  expect(nodes.free()).toEqual([0, 0]);
});

it('of two gangs that want the same room at once one starts, and the other holds nothing', async () => {
  const nodes = new Nodes({ a: 2, b: 2 });
  const [first, second] = [members('m', 2, 2), members('n', 2, 2)];
  const empty = nodes.statuses();
  // Each believes once that the nodes are empty.
  const seenBy = () => {
    let looks = 0;
    return () => (looks++ === 0 ? empty : nodes.statuses());
  };
  const gangs = [nodes.gang(first, seenBy()), nodes.gang(second, seenBy())];
  await Promise.all(gangs.map((gang) => gang.tryPlace()));
  expect(first.map(({ nodeId }) => nodeId)).toEqual(['a', 'b']);
  expect(second.map(({ nodeId }) => nodeId)).toEqual([null, null]);
  expect(gangs[1]!.isTogether).toBe(true);
  expect(nodes.log).toEqual(['m0 on a', 'm1 on b']);
  for (const home of first) nodes.rooms[home.nodeId!]!.leave(home.spec.actorId);
  await gangs[1]!.tryPlace();
  expect(second.map(({ nodeId }) => nodeId)).toEqual(['a', 'b']);
});

it('ends all when one cannot start, and frees what they held', async () => {
  const nodes = new Nodes({ a: 2, b: 2 });
  nodes.failing.add('b');
  const homes = members('m', 2, 2);
  await nodes.gang(homes).tryPlace();
  expect(homes.map(({ status: { state, reason } }) => `${state}: ${reason}`)).toEqual([
    'dead: its gang did not start: node b went away',
    'dead: its gang did not start: node b went away',
  ]);
  expect(nodes.free()).toEqual([2, 2]);
});

it('is a gang until all have served, then each is on its own', async () => {
  const nodes = new Nodes({ a: 2 });
  const [one, two] = members('m', 1, 1);
  const gang = nodes.gang([one!, two!]);
  await gang.tryPlace();
  gang.born('m0');
  expect(one!.gang).toBe(gang);
  gang.born('m1');
  expect([one!.gang, two!.gang]).toEqual([null, null]);

  const [three, four] = members('n', 0, 0);
  const other = nodes.gang([three!, four!]);
  await other.tryPlace();
  other.born('n0');
  other.end('n1 is dead');
  expect([three!.status.state, four!.status.reason]).toEqual(['dead', 'n1 is dead']);
});
