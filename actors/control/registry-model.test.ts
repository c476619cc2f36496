// The embedded registry against a model: a plain table, with leases that end when their time is over.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { ManualClock } from '../testing/manual-clock.ts';
import type { RegistryChange } from './registry.ts';
import { EmbeddedStore } from './registry-embedded.ts';
import type { WriteCondition } from './registry-store.ts';

const KEYS = ['a', 'a/b', 'c'];
const key = fc.constantFrom(...KEYS);
/** Which of the leases so far; none, or one that never was, when there are fewer. */
const lease = fc.option(fc.nat(3), { nil: null, freq: 2 });
const command = fc.oneof(
  fc.record({
    kind: fc.constant('write' as const),
    ...{ key, lease },
    value: fc.nat(9),
    condition: fc.constantFrom('any', 'absent', 'right revision', 'wrong revision'),
  }),
  fc.record({ kind: fc.constant('remove' as const), key, which: fc.constantFrom('any', 'right', 'wrong') }),
  fc.record({
    kind: fc.constant('grant' as const),
    name: fc.constantFrom('x', 'y'),
    ttlMs: fc.integer({ min: 1, max: 4 }),
  }),
  fc.record({ kind: fc.constant('renew' as const), lease: fc.nat(3) }),
  fc.record({ kind: fc.constant('release' as const), lease: fc.nat(3) }),
  fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 3 }) }),
);
type Command = typeof command extends fc.Arbitrary<infer Value> ? Value : never;

interface ModelLease {
  readonly id: string;
  readonly name: string;
  readonly ttlMs: number;
  /** Leases of one name rule in the order in which they were granted. */
  readonly order: number;
  endsMs: number;
}

/** The registry's content, and a model of it; each command is applied to both, and must give the same result. */
class Comparison {
  readonly clock = new ManualClock();
  readonly store = new EmbeddedStore(this.clock);
  readonly #table = new Map<string, { value: number; revision: number; lease: ModelLease | null }>();
  readonly #leases: ModelLease[] = [];
  #nowMs = 0;
  #lastRevision = 0;

  async do(what: Command): Promise<void> {
    switch (what.kind) {
      case 'write':
        return this.#write(what);
      case 'remove': {
        const current = this.#table.get(what.key)?.revision ?? 0;
        const revision = { any: 0, right: current, wrong: current + 1 }[what.which];
        const { isDone } = await this.store.remove(what.key, revision);
        expect(isDone).toBe(what.which !== 'wrong');
        if (isDone) this.#table.delete(what.key);
        return;
      }
      case 'grant': {
        const { leaseId: id } = await this.store.grant({ ...what, aboveToken: 0 });
        const { name, ttlMs } = what;
        this.#leases.push({ id, name, ttlMs, order: this.#leases.length, endsMs: this.#nowMs + ttlMs });
        return;
      }
      case 'renew': {
        const held = this.#leases[what.lease];
        expect(await this.store.renew(held?.id ?? 'none')).toBe(this.#isAlive(held));
        if (held !== undefined && this.#isAlive(held)) held.endsMs = this.#nowMs + held.ttlMs;
        return;
      }
      case 'release': {
        const held = this.#leases[what.lease];
        await this.store.release(held?.id ?? 'none');
        if (held !== undefined) this.#end(held);
        return;
      }
      case 'pass':
        this.#nowMs += what.ms;
        await this.clock.advance(what.ms);
        for (const held of this.#leases) if (!this.#isAlive(held)) this.#end(held);
        return;
      default:
        what satisfies never;
    }
  }

  async #write({ key: at, lease: which, value, condition }: Command & { kind: 'write' }): Promise<void> {
    const held = which === null ? null : this.#leases[which];
    const present = this.#table.get(at);
    const current = present?.revision ?? 0;
    const conditions: Record<string, WriteCondition> = {
      any: { kind: 'any' },
      absent: { kind: 'absent' },
      'right revision': { kind: 'revision', revision: current },
      'wrong revision': { kind: 'revision', revision: current + 1 },
    };
    const leaseId = held === null ? null : (held?.id ?? 'none');
    const writing = this.store.write({
      key: at,
      value: { value },
      condition: conditions[condition]!,
      leaseId,
    });
    const holder = present?.lease ?? null;
    const isFenced = held != null && holder?.name === held.name && holder.order > held.order;
    if ((held !== null && !this.#isAlive(held)) || isFenced) {
      await expect(writing).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
      return;
    }
    const { isDone, revision } = await writing;
    const isMet = { any: true, absent: current === 0, 'right revision': true, 'wrong revision': false };
    expect(isDone).toBe(isMet[condition]);
    if (!isDone) return void expect(revision).toBe(current);
    expect(revision).toBeGreaterThan(this.#lastRevision);
    this.#lastRevision = revision;
    this.#table.set(at, { value, revision, lease: held ?? null });
  }

  /** Entries by key: value and revision. */
  expected(): Record<string, unknown> {
    const sorted = [...this.#table].sort(([a], [b]) => (a < b ? -1 : 1));
    return Object.fromEntries(sorted.map(([at, { value, revision }]) => [at, [value, revision]]));
  }

  #isAlive(held: ModelLease | undefined): boolean {
    return held !== undefined && this.#nowMs <= held.endsMs;
  }

  #end(held: ModelLease): void {
    held.endsMs = -1;
    for (const [at, entry] of this.#table) if (entry.lease === held) this.#table.delete(at);
  }
}

it('holds what a plain table would, and tells watchers all of it', async () => {
  const property = fc.asyncProperty(fc.array(command, { maxLength: 30 }), async (commands) => {
    const both = new Comparison();
    const told = new Map<string, unknown>();
    const stop = new AbortController();
    const watching = (async () => {
      for await (const change of both.store.watch('', stop.signal)) apply(change, told);
    })();
    for (const what of commands) {
      await both.do(what);
      const listed = await both.store.list('');
      expect(
        Object.fromEntries(listed.map(({ key: at, value, revision }) => [at, [value['value'], revision]])),
      ).toEqual(both.expected());
      await both.clock.advance(0);
      expect(Object.fromEntries(told)).toEqual(both.expected());
    }
    stop.abort();
    await watching;
    await both.store.close();
  });
  await fc.assert(property, { seed: 13, numRuns: 100 });
});

function apply(change: RegistryChange, told: Map<string, unknown>): void {
  if (change.type === 'put') told.set(change.entry.key, [change.entry.value['value'], change.entry.revision]);
  else if (change.type !== 'synced') told.delete(change.key);
}
