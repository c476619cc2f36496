import { describe, expect, it } from 'vitest';
import { heldUntilMs, HeldLease, isExpired, renewEveryMs } from './lease.ts';
import { ManualClock } from '../testing/manual-clock.ts';

describe('timing', () => {
  it.each([
    [0, 1000, 800],
    [5000, 10_000, 13_000],
  ])('asked for at %d with %d ms: held until %d', (sentMs, ttlMs, untilMs) => {
    expect(heldUntilMs(sentMs, ttlMs)).toBe(untilMs);
  });

  it('three renewals may fail before the holder gives up', () => {
    expect(renewEveryMs(1000)).toBe(250);
    expect(3 * renewEveryMs(1000)).toBeLessThan(heldUntilMs(0, 1000));
  });

  it('a registry ends a lease after its last moment, not in it', () => {
    expect([999, 1000, 1001].map((nowMs) => isExpired(1000, nowMs))).toEqual([false, false, true]);
  });
});

/** A lease of 1000 ms, and what its registry was asked; `answer` decides on renewals. */
function hold(clock: ManualClock, answer: () => boolean | Error) {
  const asked: string[] = [];
  const keeper = {
    clock,
    renew: () => {
      asked.push('renew');
      const answered = answer();
      return answered instanceof Error ? Promise.reject(answered) : Promise.resolve(answered);
    },
    release: () => Promise.resolve(void asked.push('release')),
    onEnd: (_lease: HeldLease, wasReleased: boolean) => void asked.push(`end ${wasReleased}`),
  };
  const grant = { leaseId: 'l1', fencingToken: 7 };
  return { lease: new HeldLease(keeper, { name: 'node/a', ttlMs: 1000 }, grant, clock.monotonicMs()), asked };
}

describe('HeldLease', () => {
  it('renews itself, and is held as long as that succeeds', async () => {
    const clock = new ManualClock();
    const { lease, asked } = hold(clock, () => true);
    await clock.advance(5000);
    expect(lease.lost.aborted).toBe(false);
    expect(asked.filter((what) => what === 'renew').length).toBeGreaterThanOrEqual(19);
    await lease.release();
    await lease.release();
    await clock.advance(5000);
    expect(asked.slice(-2)).toEqual(['end true', 'release']);
  });

  it('is lost a margin before the registry could end it, with the reason', async () => {
    const clock = new ManualClock();
    const { lease } = hold(clock, () => new Error('nobody answers'));
    const { lost } = lease;
    await clock.advance(799);
    expect(lost.aborted).toBe(false);
    await clock.advance(1);
    expect(lost.aborted).toBe(true);
    expect(lost.reason).toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: 'Lease l1 is lost: not renewed: nobody answers (node/a)',
    });
  });

  it('survives renewals that fail for a while', async () => {
    const clock = new ManualClock();
    let isAway = true;
    const { lease } = hold(clock, () => (isAway ? new Error('away') : true));
    await clock.advance(700);
    isAway = false;
    await clock.advance(3000);
    expect(lease.lost.aborted).toBe(false);
  });

  it('is lost at once when the registry does not know it', async () => {
    const clock = new ManualClock();
    const { lease, asked } = hold(clock, () => false);
    await clock.advance(250);
    expect(lease.lost.aborted).toBe(true);
    expect(asked).toEqual(['renew', 'end false']);
  });

  it('is found lost by who looks first after a long stop, though no timer has run', () => {
    const clock = new ManualClock();
    const { lease, asked } = hold(clock, () => true);
    clock.jump(800);
    expect(lease.lost.aborted).toBe(true);
    expect(asked).toEqual(['end false']);
  });

  it('does not come back with a renewal that was answered too late', async () => {
    const clock = new ManualClock();
    const { lease } = hold(clock, () => {
      clock.jump(600);
      return true;
    });
    await clock.advance(250);
    expect(lease.lost.aborted).toBe(true);
  });
});
