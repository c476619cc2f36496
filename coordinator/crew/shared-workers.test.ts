import { describe, expect, it } from 'vitest';
import type { LinkStatus, WorkerHandle, ActorLink, WorkerSource } from './crew.ts';
import { SharedWorkers } from './shared-workers.ts';

/** A worker that is only asked whether it lives. */
function worker(name: string): ActorLink<WorkerHandle> & { set(state: LinkStatus['state']): void } {
  const listeners = new Set<(status: LinkStatus) => void>();
  let status: LinkStatus = { state: 'alive', incarnation: 1, reason: 'serving' };
  return {
    name,
    handle: {} as WorkerHandle,
    status: () => status,
    onStatus(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    set(state) {
      status = { ...status, state };
      for (const listener of listeners) listener(status);
    },
  };
}

function sharedBy(names: readonly string[]) {
  const shared = new SharedWorkers(() => 1);
  const workers = names.map(worker);
  for (const one of workers) shared.add(one);
  const join = (run: string, weight = 1) => {
    const source = shared.join(run, weight);
    return { ...source, share: source.share! } as WorkerSource & {
      share: NonNullable<WorkerSource['share']>;
    };
  };
  return { shared, workers, join };
}

describe('shared workers', () => {
  it('are taken twice each, the least loaded first', () => {
    const { join } = sharedBy(['a', 'b']);
    const { share } = join('r');
    share.want(10);
    expect([1, 2, 3, 4, 5].map(() => share.take(6))).toEqual(['a', 'b', 'a', 'b', undefined]);
    share.made('b');
    expect(share.take(6)).toBe('b');
  });

  it('alternate between two runs, and wake the one whose turn it is', async () => {
    const { join } = sharedBy(['a']);
    const [one, two] = [join('one').share, join('two').share];
    const woken: string[] = [];
    one.onRoom(() => woken.push('one'));
    two.onRoom(() => woken.push('two'));
    one.want(5);
    two.want(5);
    expect(one.take(6)).toBe('a');
    expect(one.take(6)).toBeUndefined(); // now the other's turn
    expect(two.take(6)).toBe('a');
    await Promise.resolve();
    woken.length = 0;
    one.made('a');
    await Promise.resolve();
    expect(woken).toEqual(['one']);
  });

  it('prefer the run that they served last, among equals', () => {
    const { join } = sharedBy(['a', 'b']);
    const [one, two] = [join('one').share, join('two').share];
    one.want(1);
    expect(one.take(1)).toBe('a');
    two.want(1);
    expect(two.take(1)).toBe('b');
    one.made('a');
    two.made('b');
    two.want(1);
    expect(two.take(1)).toBe('b');
  });

  it('give nothing to the dead', () => {
    const { workers, join } = sharedBy(['a']);
    const { share } = join('r');
    share.want(1);
    workers[0]!.set('restarting');
    expect(share.take(1)).toBeUndefined();
    workers[0]!.set('alive');
    expect(share.take(1)).toBe('a');
  });

  it('drain when all that they made is taken over', async () => {
    const { shared, join } = sharedBy(['a', 'b']);
    const source = join('r');
    const { share } = source;
    share.want(9);
    expect(share.take(1)).toBe('a');
    let isDrained = false;
    const drained = shared.drain('a').then(() => (isDrained = true));
    expect(shared.count()).toEqual({ alive: 1, starting: 0, draining: 1 });
    expect([share.take(1), share.take(1), share.take(1)]).toEqual(['b', 'b', undefined]);
    share.made('a');
    await Promise.resolve();
    expect(isDrained).toBe(false);
    share.settled('a');
    await drained;
    expect(source.list().map(({ name }) => name)).toEqual(['b']);
  });

  it('tell of workers that join', () => {
    const { shared, join } = sharedBy([]);
    const seen: string[] = [];
    const stop = join('r').onJoined(({ name }) => seen.push(name));
    shared.add(worker('a'));
    stop();
    shared.add(worker('b'));
    expect(seen).toEqual(['a']);
  });
});
