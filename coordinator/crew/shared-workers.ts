/**
 * Diffusion workers that several runs share: who has room, and which run comes next (fair-share.ts). A worker that
 * drains is given nothing more, and is let go when the trainers hold all that it made.
 */
import type { ActorLink, WorkerHandle, WorkerShare, WorkerSource } from './crew.ts';
import { charge, type Claims, enter, leave, next, want } from './fair-share.ts';

/** Shards that one worker may have at once: one is made while the next one's objects are pulled. */
const CREDITS = 2;

interface Member {
  readonly link: ActorLink<WorkerHandle>;
  /** Shards that it has received and not finished. */
  load: number;
  /** Shards that it was given and that no trainer holds. */
  unsettled: number;
  lastRun: string;
  onEmpty: (() => void) | null;
}

export class SharedWorkers {
  readonly #members = new Map<string, Member>();
  readonly #joined = new Set<(worker: ActorLink<WorkerHandle>) => void>();
  readonly #wakes = new Map<string, () => void>();
  /** Worker-seconds that an image needs. */
  readonly #imageSeconds: () => number;
  #claims: Claims = new Map();

  constructor(imageSeconds: () => number) {
    this.#imageSeconds = imageSeconds;
  }

  add(link: ActorLink<WorkerHandle>): void {
    const member: Member = { link, load: 0, unsettled: 0, lastRun: '', onEmpty: null };
    this.#members.set(link.name, member);
    for (const listener of [...this.#joined]) listener(link);
    link.onStatus(() => this.#wakeNext());
    this.#wakeNext();
  }

  remove(name: string): void {
    this.#members.get(name)?.onEmpty?.();
    this.#members.delete(name);
  }

  /** Gives the worker nothing more. Resolves when trainers hold all that it made, or when it is removed. */
  async drain(name: string): Promise<void> {
    const member = this.#members.get(name);
    if (member === undefined || member.unsettled === 0) return this.remove(name);
    await new Promise<void>((resolve) => (member.onEmpty = resolve));
    this.#members.delete(name);
  }

  /** Workers by what they do. */
  count(): { alive: number; starting: number; draining: number } {
    const counts = { alive: 0, starting: 0, draining: 0 };
    for (const { link, onEmpty } of this.#members.values())
      counts[onEmpty !== null ? 'draining' : link.status().state === 'alive' ? 'alive' : 'starting']++;
    return counts;
  }

  /** The workers as one run sees them; `leave` it when the run is over. */
  join(run: string, weight: number): WorkerSource & { leave(): void } {
    this.#claims = enter(this.#claims, run, weight);
    return {
      list: () => [...this.#members.values()].map(({ link }) => link),
      onJoined: (listener) => {
        this.#joined.add(listener);
        return () => this.#joined.delete(listener);
      },
      share: this.#share(run),
      leave: () => {
        this.#claims = leave(this.#claims, run);
        this.#wakes.delete(run);
        this.#wakeNext();
      },
    };
  }

  #share(run: string): WorkerShare {
    return {
      want: (shards) => {
        this.#claims = want(this.#claims, run, shards);
        this.#wakeNext(run);
      },
      take: (images) => this.#take(run, images),
      made: (worker) => {
        const member = this.#members.get(worker);
        if (member !== undefined) member.load = Math.max(0, member.load - 1);
        this.#wakeNext();
      },
      settled: (worker) => {
        const member = this.#members.get(worker);
        if (member === undefined || --member.unsettled > 0) return;
        member.onEmpty?.();
      },
      onRoom: (listener) => {
        this.#wakes.set(run, listener);
        return () => {
          if (this.#wakes.get(run) === listener) this.#wakes.delete(run);
          this.#claims = want(this.#claims, run, 0);
          this.#wakeNext();
        };
      },
    };
  }

  #take(run: string, images: number): string | undefined {
    if (next(this.#claims) !== run) return undefined;
    const member = this.#withRoom(run);
    if (member === undefined) return undefined;
    member.load++;
    member.unsettled++;
    member.lastRun = run;
    this.#claims = charge(this.#claims, run, images * this.#imageSeconds());
    this.#wakeNext();
    return member.link.name;
  }

  /** The living worker with the least to do; among equals one that has the run's models already, then the first by name. */
  #withRoom(run: string): Member | undefined {
    let best: Member | undefined;
    for (const member of this.#members.values()) {
      if (member.onEmpty !== null || member.load >= CREDITS || member.link.status().state !== 'alive')
        continue;
      if (best === undefined || rank(member, run, best) < 0) best = member;
    }
    return best;
  }

  /** Lets the next run try again. Deferred, because the caller is in the middle of an operation. */
  #wakeNext(asking: string | null = null): void {
    const run = next(this.#claims);
    if (run !== null && run !== asking) queueMicrotask(() => this.#wakes.get(run)?.());
  }
}

function rank(a: Member, run: string, b: Member): number {
  return (
    a.load - b.load ||
    Number(b.lastRun === run) - Number(a.lastRun === run) ||
    (a.link.name < b.link.name ? -1 : 1)
  );
}
