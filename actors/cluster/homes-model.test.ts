// What a node does with the actors that are started through it, alone or as gangs, against a model of its room: real
// cluster and supervisor, processes in memory.
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { silentLog } from '../../common/log.ts';
import type { ActorSpec } from '../status/status.ts';
import type { ActorProcess, ProcessEnd } from '../supervisor/actor-process.ts';
import { Supervisor } from '../supervisor/supervisor.ts';
import { Cluster } from './cluster.ts';

const TOTAL = 4;
const IDS = ['a', 'b', 'c', 'd', 'e', 'f'];
const id = fc.constantFrom(...IDS);
const cpu = fc.integer({ min: 1, max: TOTAL + 1 });
const command = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('spawn' as const), id, cpu, owner: fc.option(id) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('gang' as const),
      members: fc.array(fc.record({ id, cpu }), { minLength: 2, maxLength: 3 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constantFrom('serve' as const, 'stop' as const, 'crash' as const), id }),
  },
);
type Command = typeof command extends fc.Arbitrary<infer Value> ? Value : never;

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
}

/** What should be: who runs, who waits in which order, who is dead. */
class Model {
  readonly actors = new Map<string, Modelled>();

  get free(): number {
    return TOTAL - this.#sum([...this.actors.values()].filter(({ state }) => state === 'running'));
  }

  isLiving(actorId: string): boolean {
    return (this.actors.get(actorId)?.state ?? 'dead') !== 'dead';
  }

  spawn(members: readonly { id: string; cpu: number }[], owner: string | null, isGang: boolean): void {
    const ids = members.map((member) => member.id);
    for (const member of members) {
      const incarnation = (this.actors.get(member.id)?.incarnation ?? 0) + 1;
      this.actors.delete(member.id); // the latest waits last
      const gang = isGang ? ids : null;
      const fresh = { cpu: member.cpu, owner, incarnation, serves: false, gang };
      this.actors.set(member.id, { ...fresh, state: 'waiting' });
    }
    this.#start(ids);
  }

  serve(actorId: string): void {
    const actor = this.actors.get(actorId)!;
    actor.serves = true;
    const gang = (actor.gang ?? []).map((member) => this.actors.get(member)!);
    if (gang.every(({ serves }) => serves)) for (const member of gang) member.gang = null;
  }

  end(actorId: string): void {
    this.#bury(actorId);
    for (const [waiting, { state, gang }] of this.actors)
      if (state === 'waiting') this.#start(gang ?? [waiting]);
  }

  #bury(actorId: string): void {
    const actor = this.actors.get(actorId)!;
    if (actor.state === 'dead') return;
    actor.state = 'dead';
    for (const member of actor.gang ?? []) this.#bury(member);
    for (const [other, { owner }] of this.actors)
      if (owner === `${actorId}/${actor.incarnation}`) this.#bury(other);
  }

  #start(ids: readonly string[]): void {
    const together = ids.map((member) => this.actors.get(member)!);
    if (this.#sum(together) > this.free) return;
    for (const actor of together) actor.state = 'running';
  }

  #sum(actors: readonly Modelled[]): number {
    return actors.reduce((total, actor) => total + actor.cpu, 0);
  }
}

/** A process that ends when it is told to. */
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

function specOf(actorId: string, cores: number, owner: string | null): ActorSpec {
  return {
    ...{ actorId, owner, type: 't', entry: HERE, serviceName: 's.S', args: null, env: {}, labels: {} },
    ...{ name: null, namespace: 'default', resources: { cpu: cores }, placement: 'pack', near: null },
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
    const specs = members.map((member) => specOf(member.id, member.cpu, owner));
    const spawning = what.kind === 'spawn' ? this.#cluster.spawn(specs[0]!) : this.#cluster.spawnGang(specs);
    const isTwice = new Set(members.map((member) => member.id)).size < members.length;
    const isTaken = members.some((member) => model.isLiving(member.id));
    const isTooLarge = members.reduce((total, member) => total + member.cpu, 0) > TOTAL;
    if (isTwice || isTaken || isTooLarge)
      return expect(spawning).rejects.toThrow(/twice|taken|cannot be placed/);
    model.spawn(members, owner, what.kind === 'gang');
    await spawning;
  }

  /** Compares when nothing moves any more. */
  async compare(): Promise<void> {
    for (let turns = 0; turns < 30; turns++) await new Promise((resolve) => setImmediate(resolve));
    const states = (await this.#cluster.list()).map(({ actorId, state, pid }): [string, State] => [
      actorId,
      state === 'dead' ? 'dead' : pid === null ? 'waiting' : 'running',
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

it('starts, ends and keeps waiting whom it should, whatever is asked of it in whatever order', async () => {
  const property = fc.asyncProperty(fc.array(command, { maxLength: 25 }), async (commands) => {
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
  await fc.assert(property, { seed: 13, numRuns: 60 });
});
