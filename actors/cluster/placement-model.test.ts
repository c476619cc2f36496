// Placement and a node's room against models: all ways to place a gang or a placement group, and cards as numbers.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { NodeStatus, Resources } from '../status/status.ts';
import { NodeRoom } from '../supervisor/node-room.ts';
import { place, placeGang } from './placement.ts';
import type { GroupRule, PlacementAsk } from './placement.ts';

const cores = fc.nat(4);
const zone = fc.constantFrom('a', 'b');
const ask: fc.Arbitrary<PlacementAsk> = fc.record({
  resources: fc.record({ cpu: cores, gpu: fc.nat(2) }),
  labels: fc.oneof(fc.constant({}), fc.record({ zone })),
  placement: fc.constantFrom('pack' as const, 'spread' as const),
  near: fc.constantFrom(null, 'n0:1', 'n1:1'),
});
/** Consistent nodes: the free amounts do not exceed the totals. */
const nodes: fc.Arbitrary<NodeStatus[]> = fc
  .array(
    fc.record({
      cpu: cores,
      gpu: fc.nat(2),
      usedCpu: cores,
      usedGpu: fc.nat(2),
      zone,
      isDraining: fc.boolean(),
    }),
    { maxLength: 3 },
  )
  .map((list) =>
    list.map(({ cpu, gpu, usedCpu, usedGpu, zone: where, isDraining }, i) => ({
      ...{ nodeId: `n${i}`, address: `n${i}:1`, metricsAddress: null, reason: '', startedAt: '', pid: 1 },
      ...{
        labels: { zone: where },
        state: isDraining ? ('draining' as const) : ('alive' as const),
        actors: 0,
      },
      ...{ total: { cpu, gpu }, free: { cpu: Math.max(0, cpu - usedCpu), gpu: Math.max(0, gpu - usedGpu) } },
    })),
  );

/** Whether each actor fits on the node of its index, all together. */
function fits(
  asks: readonly PlacementAsk[],
  chosen: readonly NodeStatus[],
  which: 'free' | 'total',
): boolean {
  return chosen.every((node) => {
    const here = asks.filter((_, i) => chosen[i] === node);
    const sum = (name: string) => here.reduce((total, { resources }) => total + (resources[name] ?? 0), 0);
    return ['cpu', 'gpu'].every((name) => sum(name) <= node[which][name]!);
  });
}

/** All ways to put `count` actors on nodes. */
function ways(count: number, on: readonly NodeStatus[]): NodeStatus[][] {
  if (count === 0) return [[]];
  return ways(count - 1, on).flatMap((rest) => on.map((node) => [...rest, node]));
}

/** Whether members lie as they have to, with the others of their group on `held`. */
function isTogether(chosen: readonly NodeStatus[], held: readonly string[]): boolean {
  const on = new Set(chosen.map(({ nodeId }) => nodeId));
  return on.size === 1 && (held.length === 0 || held.includes([...on][0]!));
}

function isApart(chosen: readonly NodeStatus[], held: readonly string[]): boolean {
  const on = new Set(chosen.map(({ nodeId }) => nodeId));
  return on.size === chosen.length && held.every((nodeId) => !on.has(nodeId));
}

function canPlace(
  asks: readonly PlacementAsk[],
  all: readonly NodeStatus[],
  which: 'free' | 'total',
  lies: (chosen: readonly NodeStatus[]) => boolean = () => true,
): boolean {
  const open = all.filter(({ state }) => state === 'alive');
  const isAllowed = (chosen: readonly NodeStatus[]) =>
    asks.every(
      ({ labels }, i) => labels['zone'] === undefined || labels['zone'] === chosen[i]!.labels['zone'],
    );
  return ways(asks.length, open).some(
    (chosen) => isAllowed(chosen) && fits(asks, chosen, which) && lies(chosen),
  );
}

it('places one actor where it fits, near what it is near to, and says when it never can', () => {
  const property = fc.property(ask, nodes, (one, all) => {
    const placement = place(one, all);
    expect(placement.kind).toBe(
      canPlace([one], all, 'free') ? 'node' : canPlace([one], all, 'total') ? 'wait' : 'infeasible',
    );
    if (placement.kind !== 'node') return;
    const chosen = all.find(({ nodeId }) => nodeId === placement.nodeId)!;
    expect(canPlace([one], [chosen], 'free')).toBe(true);
    const near = all.filter(({ address }) => address === one.near);
    if (canPlace([one], near, 'free')) expect(chosen.address).toBe(one.near);
  });
  fc.assert(property, { seed: 13, numRuns: 300 });
});

it('places a gang if there is any way to, and only then', () => {
  const property = fc.property(fc.array(ask, { minLength: 1, maxLength: 4 }), nodes, (asks, all) => {
    const placement = placeGang(asks, all);
    if (Array.isArray(placement)) {
      const chosen = placement.map((id) => all.find(({ nodeId }) => nodeId === id)!);
      expect(fits(asks, chosen, 'free')).toBe(true);
      chosen.forEach((node, i) => expect(canPlace([asks[i]!], [node], 'free')).toBe(true));
    } else {
      expect(canPlace(asks, all, 'free')).toBe(false);
      expect(placement.kind).toBe(canPlace(asks, all, 'total') ? 'wait' : 'infeasible');
    }
  });
  fc.assert(property, { seed: 13, numRuns: 300 });
});

it('places the bundles of a group as its strategy says: all or none, the strict ones never otherwise', () => {
  const rule: fc.Arbitrary<GroupRule> = fc.record({
    strategy: fc.constantFrom(
      'pack' as const,
      'spread' as const,
      'strict-pack' as const,
      'strict-spread' as const,
    ),
    held: fc.constantFrom([], ['n0'], ['n1']),
  });
  const bundles = fc.array(ask, { minLength: 1, maxLength: 4 });
  const property = fc.property(bundles, nodes, rule, (asks, all, { strategy, held }) => {
    const isStrict = strategy.startsWith('strict');
    const lies = (chosen: readonly NodeStatus[]) =>
      strategy.endsWith('pack') ? isTogether(chosen, held) : isApart(chosen, held);
    const placement = placeGang(asks, all, { strategy, held });
    if (Array.isArray(placement)) {
      const chosen = placement.map((id) => all.find(({ nodeId }) => nodeId === id)!);
      expect(fits(asks, chosen, 'free')).toBe(true);
      chosen.forEach((node, i) => expect(canPlace([asks[i]!], [node], 'free')).toBe(true));
      // The others make do only where it cannot be as it should.
      expect(lies(chosen)).toBe(isStrict || canPlace(asks, all, 'free', lies));
    } else {
      const needed = isStrict ? lies : undefined;
      expect(canPlace(asks, all, 'free', needed)).toBe(false);
      expect(placement.kind).toBe(canPlace(asks, all, 'total', needed) ? 'wait' : 'infeasible');
    }
  });
  fc.assert(property, { seed: 13, numRuns: 500 });
});

it('never gives a card, or anything else, twice', () => {
  const command = fc.record({
    kind: fc.constantFrom('take', 'claim', 'giveBack', 'leave'),
    actorId: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
    cpu: fc.nat(3),
    gpu: fc.constantFrom(0, 0.25, 0.5, 1, 2),
  });
  const property = fc.property(fc.array(command, { maxLength: 30 }), (commands) => {
    const room = new NodeRoom('n', { cpu: 4, gpu: 2 });
    /** Holders of resources: an actor that is here, or one that is expected. */
    const held = new Map<string, { resources: Resources; isHere: boolean; gpuIds: readonly number[] }>();
    for (const { kind, actorId, cpu, gpu } of commands) {
      const resources = { cpu, gpu };
      const present = held.get(actorId);
      if (kind === 'leave' && present?.isHere === true) {
        room.leave(actorId);
        held.delete(actorId);
      } else if (kind === 'giveBack') {
        room.giveBack([actorId]);
        if (present?.isHere === false) held.delete(actorId);
      } else if (kind === 'take' && present?.isHere !== true) {
        const mine = present?.resources ?? resources;
        const gpuIds = attempt(() => room.take({ actorId, resources }));
        if (present !== undefined) expect(gpuIds).not.toBeNull(); // what was promised is kept
        if (gpuIds !== null) held.set(actorId, { resources: mine, isHere: true, gpuIds });
      } else if (kind === 'claim' && present === undefined) {
        if (attempt(() => (room.claim([{ actorId, resources }], 60_000), [])) !== null)
          held.set(actorId, { resources, isHere: false, gpuIds: [] });
      }
      const sum = (name: string) =>
        [...held.values()].reduce((total, holding) => total + holding.resources[name]!, 0);
      expect(room.free).toEqual({ cpu: 4 - sum('cpu'), gpu: 2 - sum('gpu') });
      expect(Math.min(...Object.values(room.free))).toBeGreaterThanOrEqual(0);
      for (const card of [0, 1]) {
        const users = [...held.values()].filter(({ gpuIds }) => gpuIds.includes(card));
        expect(
          users.reduce((total, user) => total + Math.min(1, user.resources['gpu']!), 0),
        ).toBeLessThanOrEqual(1);
      }
    }
    room.giveBack([...held.keys()]);
  });
  fc.assert(property, { seed: 13, numRuns: 200 });
});

/** Null when there is no room. */
function attempt<Result>(take: () => Result): Result | null {
  try {
    return take();
  } catch (thrown) {
    expect(thrown).toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    return null;
  }
}

it('never gives more of a bundle than it holds, and gives it back when all in it have ended', () => {
  const command = fc.record({
    kind: fc.constantFrom('take', 'leave', 'leave bundle', 'take bundle'),
    actorId: fc.constantFrom('a', 'b', 'c', 'd'),
    cpu: fc.nat(3),
    gpu: fc.constantFrom(0, 0.25, 0.5, 1),
  });
  const property = fc.property(
    fc.constantFrom({ cpu: 3, gpu: 2 }, { cpu: 2, gpu: 0.5 }),
    fc.array(command, { maxLength: 30 }),
    (holds, commands) => {
      const room = new NodeRoom('n', { cpu: 4, gpu: 3 });
      room.take({ actorId: 'first', resources: { gpu: 0.75 } }); // so that the bundle's cards are not the first ones
      const inside = new Map<string, { cpu: number; gpu: number; gpuIds: readonly number[] }>();
      let cards = room.take({ actorId: 'bundle', resources: holds });
      let state: 'here' | 'leaving' | 'gone' = 'here';
      const left = (name: 'cpu' | 'gpu') =>
        [...inside.values()].reduce<number>((rest, actor) => rest - actor[name], holds[name]);
      for (const { kind, actorId, cpu, gpu } of commands) {
        if (kind === 'take' && !inside.has(actorId)) {
          const claim = { actorId, resources: { cpu, gpu }, bundle: 'bundle' };
          if (state !== 'here') expect(() => room.take(claim)).toThrow('node n has no bundle bundle');
          else {
            const isEnough = cpu <= left('cpu') && gpu <= left('gpu');
            const gpuIds = attempt(() => room.take(claim));
            if (!isEnough) expect(gpuIds).toBeNull();
            // Parts of cards may not fit though their sum does.
            else if (gpu === 0) expect(gpuIds).toEqual([]);
            if (gpuIds !== null) inside.set(actorId, { cpu, gpu, gpuIds });
          }
        } else if (kind === 'leave' && inside.delete(actorId)) {
          room.leave(actorId);
          if (state === 'leaving' && inside.size === 0) state = 'gone';
        } else if (kind === 'leave bundle' && state === 'here') {
          room.leave('bundle');
          state = inside.size === 0 ? 'gone' : 'leaving';
        } else if (kind === 'take bundle' && state !== 'here') {
          const taken = attempt(() => room.take({ actorId: 'bundle', resources: holds }));
          expect(taken !== null).toBe(state === 'gone');
          if (taken !== null) [cards, state] = [taken, 'here'];
        }
        const isHeld = state !== 'gone';
        const usedGpu = 0.75 + (isHeld ? holds.gpu : 0);
        expect(room.free).toEqual({ cpu: 4 - (isHeld ? holds.cpu : 0), gpu: 3 - usedGpu });
        for (const { gpuIds } of inside.values()) expect(cards).toEqual(expect.arrayContaining([...gpuIds]));
        for (const card of cards) {
          const users = [...inside.values()].filter(({ gpuIds }) => gpuIds.includes(card));
          expect(users.reduce((sum, user) => sum + user.gpu, 0)).toBeLessThanOrEqual(1);
        }
      }
    },
  );
  fc.assert(property, { seed: 13, numRuns: 300 });
});
