import { describe, expect, it } from 'vitest';
import { decideRestart, describeDeath, EXIT_USER_ERROR } from './restart-policy.ts';
import { retryDelayMs } from '../base/retry.ts';

const policy = { maxRestarts: 3, windowMs: 10_000, initialBackoffMs: 100, maxBackoffMs: 300 };
const crash = { exitCode: 1, exitSignal: null };
const killed = { exitCode: null, exitSignal: 'SIGKILL' };

describe('decideRestart', () => {
  it('doubles the wait with each restart in the window, up to the longest', () => {
    expect(decideRestart(policy, crash, [], 0)).toEqual({ kind: 'restart', delayMs: 100 });
    expect(decideRestart(policy, killed, [0], 500)).toEqual({ kind: 'restart', delayMs: 200 });
    expect(decideRestart(policy, crash, [0, 500], 900)).toEqual({ kind: 'restart', delayMs: 300 }); // not 400
  });

  it('gives up at the limit, and forgives what lies before the window', () => {
    expect(decideRestart(policy, crash, [0, 1, 2], 9_999)).toEqual({
      kind: 'dead',
      because: 'its limit of 3 restarts in 10 s is reached',
    });
    expect(decideRestart(policy, crash, [0, 1, 2], 10_000)).toEqual({ kind: 'restart', delayMs: 300 });
    expect(decideRestart(policy, crash, [0, 1, 2], 10_002)).toEqual({ kind: 'restart', delayMs: 100 });
  });

  it('never restarts an actor that ended by itself, or that has a user error', () => {
    expect(decideRestart(policy, { exitCode: 0, exitSignal: null }, [], 0).kind).toBe('dead');
    expect(decideRestart(policy, { exitCode: EXIT_USER_ERROR, exitSignal: null }, [], 0).kind).toBe('dead');
    expect(decideRestart({ ...policy, maxRestarts: 0 }, killed, [], 0).kind).toBe('dead');
  });
});

it('describeDeath says how a process ended', () => {
  expect(describeDeath(killed)).toBe('was ended by SIGKILL');
  expect(describeDeath(crash)).toBe('exited with code 1');
  expect(describeDeath({ exitCode: null, exitSignal: null })).toBe('could not be started');
});

it('retryDelayMs doubles from 50 ms to 2 s, spread over the second half', () => {
  expect([1, 2, 3].map((attempt) => retryDelayMs(attempt, 0))).toEqual([25, 50, 100]);
  expect(retryDelayMs(1, 0.5)).toBe(37.5);
  expect(retryDelayMs(40, 1)).toBe(2000);
});
