// Compares a node's handling of actors that are started through it, alone, as gangs or in the bundles of placement
// groups, with a model of its room: real cluster and supervisor, processes in memory.
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { silentLog } from '../../common/log.ts';
import type { ActorSpec } from '../status/status.ts';
import type { ActorProcess, ProcessEnd } from '../supervisor/actor-process.ts';
import { Supervisor } from '../supervisor/supervisor.ts';
import { bundleSpecs } from '../system/placement-group.ts';
import { Cluster } from './cluster.ts';

const TOTAL = 4;
const IDS = ['a', 'b', 'c', 'd', 'e', 'f'];
const GROUPS = ['g', 'h'];
const BUNDLES = GROUPS.flatMap((group) => [`${group}-0`, `${group}-1`]);
const id = fc.constantFrom(...IDS);
const cpu = fc.integer({ min: 1, max: TOTAL + 1 });
const spawning = fc.record({ kind: fc.constant('spawn' as const), id, cpu, owner: fc.option(id) });
const change = fc.constantFrom('serve' as const, 'stop' as const, 'crash' as const);
const command = fc.oneof(
  { weight: 4, arbitrary: spawning },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('gang' as const),
      members: fc.array(fc.record({ id, cpu }), { minLength: 2, maxLength: 3 }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: change, id }) },
);
const groupCommand = fc.oneof(
  { weight: 1, arbitrary: spawning },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('group' as const),
      group: fc.constantFrom(...GROUPS),
      strategy: fc.constantFrom('spread' as const, 'strict-pack' as const, 'strict-spread' as const),
      cpus: fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 2 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('in' as const),
      id,
      cpu: fc.integer({ min: 1, max: 2 }),
      bundle: fc.constantFrom(...BUNDLES),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: change, id }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('stop' as const), id: fc.constantFrom(...BUNDLES) }),
  },
);
type ValueOf<Arbitrary> = Arbitrary extends fc.Arbitrary<infer Value> ? Value : never;
type Command = ValueOf<typeof command> | ValueOf<typeof groupCommand>;

type State = 'waiting' | 'running' | 'dead';

interface Modelled {
  readonly cpu: number;
  /** The actor, and its life, that it ends with. */
  readonly owner: string | null;
  state: State;
  incarnation: number;
  serves: boolean;
  /** Those that it starts with, while not all serve. */
  gang: string[] | null;
  /** The bundle that it is in. */
  readonly bundle: string | null;
  readonly isBundle: boolean;
}

interface Member {
  readonly id: string;
  readonly cpu: number;
  readonly bundle?: string | null;
}

/** The expected state: which actors run, which wait in which order, which are dead. */
class Model {
  readonly actors = new Map<string, Modelled>();

  get free(): number {
    return TOTAL - sumOf([...this.actors.values()].filter(isRunning).filter(({ bundle }) => bundle === null));
  }

  freeIn(bundle: string): number {
    const { cpu: holds, state } = this.actors.get(bundle)!;
    const inside = [...this.actors.values()].filter(isRunning).filter((actor) => actor.bundle === bundle);
    return state === 'running' ? holds - sumOf(inside) : 0;
  }

  isLiving(actorId: string): boolean {
    return (this.actors.get(actorId)?.state ?? 'dead') !== 'dead';
  }

  spawn(members: readonly Member[], owner: string | null, kind: Command['kind']): void {
    const ids = members.map((member) => member.id);
    for (const member of members) {
      const incarnation = (this.actors.get(member.id)?.incarnation ?? 0) + 1;
      this.actors.delete(member.id); // the latest waits last
      const isBundle = kind === 'group';
      const gang = isBundle || kind === 'gang' ? ids : null;
      const { cpu: cores, bundle = null } = member;
      const fresh = { cpu: cores, owner, incarnation, serves: false, gang, bundle, isBundle };
      this.actors.set(member.id, { ...fresh, state: 'waiting' });
    }
    if (this.#start(ids)) this.#startWaiting();
  }

  serve(actorId: string): void {
    const actor = this.actors.get(actorId)!;
    actor.serves = true;
    const gang = (actor.gang ?? []).map((member) => this.actors.get(member)!);
    if (gang.every(({ serves }) => serves)) for (const member of gang) member.gang = null;
  }

  end(actorId: string): void {
    this.#bury(actorId);
    this.#startWaiting();
  }

  /** In order of arrival; again when a bundle has started, for those that are to be in it. */
  #startWaiting(): void {
    for (let goesOn = true; goesOn;) {
      goesOn = false;
      for (const [waiting, { state, gang, isBundle }] of this.actors)
        if (state === 'waiting' && this.#start(gang ?? [waiting]) && isBundle) goesOn = true;
    }
  }

  #bury(actorId: string): void {
    const actor = this.actors.get(actorId)!;
    if (actor.state === 'dead') return;
    actor.state = 'dead';
    for (const member of actor.gang ?? []) this.#bury(member);
    for (const [other, { owner }] of this.actors)
      if (owner === `${actorId}/${actor.incarnation}`) this.#bury(other);
    for (const [other, { bundle }] of this.actors) if (bundle === actorId) this.#bury(other);
  }

  #start(ids: readonly string[]): boolean {
    const together = ids.map((member) => this.actors.get(member)!);
    const { bundle, isBundle } = together[0]!;
    if (sumOf(together) > (bundle === null ? this.free : this.freeIn(bundle))) return false;
    for (const actor of together) actor.state = 'running';
    if (isBundle) for (const actor of together) [actor.serves, actor.gang] = [true, null];
    return true;
  }
}

function isRunning({ state }: Modelled): boolean {
  return state === 'running';
}

function sumOf(actors: readonly { readonly cpu: number }[]): number {
  return actors.reduce((total, actor) => total + actor.cpu, 0);
}

/** A process that ends when asked to. */
class FakeProcess implements ActorProcess {
  readonly pid = 1;
  readonly ended: Promise<ProcessEnd>;
  #end!: (end: ProcessEnd) => void;

  constructor() {
    this.ended = new Promise((resolve) => (this.#end = resolve));
  }

  signal(name: 'SIGTERM' | 'SIGKILL'): void {
    const [exitCode, exitSignal] = name === 'SIGTERM' ? [0, null] : [null, name];
    this.#end({ exitCode, exitSignal, lastLogLines: [], startError: null });
  }
}

const HERE = fileURLToPath(import.meta.url);

function specOf({ id: actorId, cpu: cores, bundle = null }: Member, owner: string | null): ActorSpec {
  return {
    ...{ actorId, owner, type: 't', entry: HERE, serviceName: 's.S', args: null, env: {}, labels: {} },
    ...{ name: null, namespace: 'default', resources: { cpu: cores }, placement: 'pack', near: null },
    ...{ group: null, bundle },
    ...{ lifetime: 'owner', isolation: 'process', handsOver: false },
    restart: { maxRestarts: 0, windowMs: 1000, initialBackoffMs: 1, maxBackoffMs: 1 },
    mailbox: { maxConcurrency: 1, maxPendingCalls: 1 },
  };
}

/** A node, and the model of it that it is compared with. */
class Comparison {
  readonly #model = new Model();
  readonly #processes = new Map<string, FakeProcess>();
  readonly #supervisor = new Supervisor({
    ...{ nodeId: 'n', runDir: '/', log: silentLog, total: { cpu: TOTAL } },
    startProcess: ({ actorId }) => {
      const process = new FakeProcess();
      this.#processes.set(actorId, process);
      return process;
    },
  });
  readonly #cluster = new Cluster({
    ...{ nodeId: 'n', address: 'n:1', metricsAddress: 'n:2', labels: {}, total: { cpu: TOTAL } },
    ...{ log: silentLog, supervisor: this.#supervisor, peers: null, entryRoots: [dirname(HERE)] },
  });

  async do(what: Command): Promise<void> {
    const model = this.#model;
    if (what.kind === 'group') return this.#hold(what);
    if (what.kind === 'in') return this.#spawnIn(what);
    if (what.kind === 'spawn' || what.kind === 'gang') return this.#spawn(what);
    const actor = model.actors.get(what.id);
    if (actor === undefined || actor.state === 'dead') return;
    if (what.kind === 'stop') {
      model.end(what.id);
      await this.#cluster.stop(what.id);
    } else if (actor.state === 'running' && what.kind === 'crash') {
      model.end(what.id);
      this.#processes.get(what.id)!.signal('SIGKILL');
    } else if (actor.state === 'running' && what.kind === 'serve') {
      model.serve(what.id);
      this.#supervisor.register(what.id, actor.incarnation, 'a:1', 'a:2');
    }
  }

  async #spawn(what: Command & { kind: 'spawn' | 'gang' }): Promise<void> {
    const model = this.#model;
    const members = what.kind === 'spawn' ? [what] : what.members;
    const owned = what.kind === 'spawn' && what.owner !== null ? what.owner : null;
    const owner =
      owned !== null && model.actors.get(owned)?.state === 'running'
        ? `${owned}/${model.actors.get(owned)!.incarnation}`
        : null;
    const specs = members.map((member) => specOf(member, owner));
    const spawning = what.kind === 'spawn' ? this.#cluster.spawn(specs[0]!) : this.#cluster.spawnGang(specs);
    const isTwice = new Set(members.map((member) => member.id)).size < members.length;
    const isTaken = members.some((member) => model.isLiving(member.id));
    const isTooLarge = sumOf(members) > TOTAL;
    if (isTwice || isTaken || isTooLarge)
      return expect(spawning).rejects.toThrow(/twice|taken|cannot be placed/);
    model.spawn(members, owner, what.kind);
    await spawning;
  }

  async #hold({ group, strategy, cpus }: Command & { kind: 'group' }): Promise<void> {
    const model = this.#model;
    const members = cpus.map((cores, i) => ({ id: `${group}-${i}`, cpu: cores }));
    const resources = cpus.map((cores) => ({ cpu: cores }));
    const spawning = this.#cluster.spawnGang(bundleSpecs(resources, { id: group, strategy }, null));
    const isTaken = BUNDLES.some((bundle) => bundle.startsWith(group) && model.isLiving(bundle));
    const isNever = sumOf(members) > TOTAL || (strategy === 'strict-spread' && cpus.length > 1);
    if (isTaken || isNever) return expect(spawning).rejects.toThrow(/taken|already|cannot be placed/);
    model.spawn(members, null, 'group');
    await spawning;
  }

  async #spawnIn(what: Command & { kind: 'in' }): Promise<void> {
    const model = this.#model;
    const bundle = model.actors.get(what.bundle);
    if (bundle === undefined) return; // it would wait forever
    const spawning = this.#cluster.spawn(specOf(what, null));
    const isNever = !model.isLiving(what.bundle) || what.cpu > bundle.cpu;
    if (model.isLiving(what.id) || isNever)
      return expect(spawning).rejects.toThrow(/taken|cannot be placed: bundle/);
    model.spawn([what], null, 'in');
    await spawning;
  }

  /** Compares when nothing moves any more. */
  async compare(): Promise<void> {
    for (let turns = 0; turns < 30; turns++) await new Promise((resolve) => setImmediate(resolve));
    const states = (await this.#cluster.list()).map(({ actorId, state, pid }): [string, State] => [
      actorId,
      state === 'dead' ? 'dead' : pid === null && state !== 'alive' ? 'waiting' : 'running',
    ]);
    const expected = [...this.#model.actors].map(([actorId, { state }]) => [actorId, state]);
    expect(Object.fromEntries(states)).toEqual(Object.fromEntries(expected));
    expect(this.#supervisor.free).toEqual({ cpu: this.#model.free });
  }

  async close(): Promise<void> {
    this.#cluster.close();
    await this.#supervisor.close(0);
  }
}

it.each([
  ['alone and as gangs', command],
  ['in placement groups', groupCommand],
])('starts, ends and keeps waiting whom it should, %s', async (_how, arbitrary: fc.Arbitrary<Command>) => {
  const property = fc.asyncProperty(fc.array(arbitrary, { maxLength: 25, size: 'max' }), async (commands) => {
    const both = new Comparison();
    try {
      for (const what of commands) {
        await both.do(what);
        await both.compare();
      }
    } finally {
      await both.close();
    }
  });
  await fc.assert(property, {
    seed: Number(process.env.SEED ?? 13),
    numRuns: Number(process.env.RUNS ?? 60),
  });
});
