import { Registry } from 'prom-client';
import { expect, it } from 'vitest';
import { silentLog } from '../../common/log.ts';
import { CallError } from '../base/call-errors.ts';
import { callChain, effectiveDeadlineMs } from '../base/call-scope.ts';
import { Dispatcher } from './dispatcher.ts';
import type { RawStream, RawUnary } from './raw-methods.ts';
import { Mailbox } from '../base/mailbox.ts';
import { CallMetrics } from './metrics.ts';

it('fails a stream whose handler just stops when its caller gives up, and counts it as cancelled', async () => {
  const registry = new Registry();
  const dispatcher = new Dispatcher({ log: silentLog, metrics: new CallMetrics(registry) });
  const run: RawStream = async function* (_, { signal }) {
    yield new Uint8Array();
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  };
  const methods = new Map([['/t.Echo/Watch', { isStream: true, run } as const]]);
  dispatcher.addActor('echo', { kind: 'local', methods, mailbox: new Mailbox(), incarnation: 1 });
  const code = await new Promise<string>((resolve) => {
    const call = dispatcher.dispatch(
      {
        actorId: 'echo',
        method: '/t.Echo/Watch',
        incarnation: 0,
        request: new Uint8Array(),
        requests: null,
        deadlineMs: Infinity,
        chain: [],
      },
      {
        answer: () => resolve('OK'),
        message: () => {
          setImmediate(() => call.cancel(new CallError('CANCELLED', 'the caller gave up')));
          return null;
        },
        end: () => resolve('OK'),
        fail: (failure) => resolve(failure.code),
      },
    );
  });
  expect(code).toBe('CANCELLED');
  expect(await registry.metrics()).toContain('ballast_calls_total{method="t.Echo/Watch",code="CANCELLED"} 1');
});

it('counts calls by methods that exist; what callers make up is one series', async () => {
  const registry = new Registry();
  const dispatcher = new Dispatcher({ log: silentLog, metrics: new CallMetrics(registry) });
  const run: RawUnary = ({ request }) => Promise.resolve(request);
  const methods = new Map([['/t.Echo/Say', { isStream: false, run } as const]]);
  dispatcher.addActor('echo', { kind: 'local', methods, mailbox: new Mailbox(), incarnation: 1 });
  const call = (actorId: string, method: string) =>
    new Promise<string>((resolve) => {
      dispatcher.dispatch(
        {
          actorId,
          method,
          incarnation: 0,
          request: new Uint8Array(),
          requests: null,
          deadlineMs: Infinity,
          chain: [],
        },
        {
          answer: () => resolve('OK'),
          message: () => null,
          end: () => resolve('OK'),
          fail: ({ code }) => resolve(code),
        },
      );
    });
  expect(await call('echo', '/t.Echo/Say')).toBe('OK');
  expect(await call('echo', '/t.Echo/Made1')).toBe('UNIMPLEMENTED');
  expect(await call('echo', '/t.Echo/Made2')).toBe('UNIMPLEMENTED');
  expect(await call('nobody', '/t.Echo/Say')).toBe('UNAVAILABLE');
  const calls = (await registry.metrics())
    .split('\n')
    .filter((line) => line.startsWith('ballast_calls_total{'));
  expect(calls).toEqual([
    'ballast_calls_total{method="t.Echo/Say",code="OK"} 1',
    'ballast_calls_total{method="unknown",code="UNIMPLEMENTED"} 2',
    'ballast_calls_total{method="unknown",code="UNAVAILABLE"} 1',
  ]);
});

it.each([
  { what: 'answered', deadlineMs: 60_000, isLimited: false },
  { what: 'aborted', deadlineMs: 20, isLimited: true },
])('work that goes on after its call was $what is limited by it: $isLimited', async (each) => {
  const dispatcher = new Dispatcher({ log: silentLog });
  let end: () => void = () => undefined;
  const ended = new Promise<void>((resolve) => (end = () => setImmediate(resolve)));
  let goesOn: Promise<{ deadlineMs: number; chain: readonly string[] }> | null = null;
  const run: RawUnary = async ({ request }, { signal }) => {
    goesOn = ended.then(() => ({ deadlineMs: effectiveDeadlineMs(90_000), chain: callChain() }));
    if (each.isLimited) await new Promise((resolve) => signal.addEventListener('abort', resolve));
    return request;
  };
  const methods = new Map([['/t.Echo/Say', { isStream: false, run } as const]]);
  dispatcher.addActor('echo', { kind: 'local', methods, mailbox: new Mailbox(), incarnation: 1 });
  const call = { actorId: 'echo', method: '/t.Echo/Say', incarnation: 0, request: new Uint8Array() };
  dispatcher.dispatch(
    { ...call, requests: null, deadlineMs: each.deadlineMs, chain: ['program main #1/1'] },
    { answer: end, message: () => null, end, fail: end },
  );
  const { deadlineMs, chain } = await ended.then(() => goesOn!);
  expect([deadlineMs < 90_000, chain.length]).toEqual(each.isLimited ? [true, 2] : [false, 0]);
});

it('calls that were answered, and those that waited for them, are not in the chain of later ones', async () => {
  const dispatcher = new Dispatcher({ log: silentLog });
  const chains: (readonly string[])[] = [];
  const call = (chain: readonly string[]) =>
    new Promise<void>((resolve) => {
      const facts = { actorId: 'echo', method: '/t.Echo/Say', incarnation: 1, request: new Uint8Array() };
      dispatcher.dispatch(
        { ...facts, requests: null, deadlineMs: Infinity, chain },
        { answer: () => resolve(), message: () => null, end: resolve, fail: () => resolve() },
      );
    });
  const run: RawUnary = async ({ request }) => {
    chains.push(callChain());
    if (chains.length === 3) await call(callChain());
    return request;
  };
  const methods = new Map([['/t.Echo/Say', { isStream: false, run } as const]]);
  const mailbox = new Mailbox({ maxConcurrency: 2, maxPendingCalls: 2 });
  dispatcher.addActor('echo', { kind: 'local', methods, mailbox, incarnation: 1 });
  await call(['main run #1/1']);
  await call([...chains[0]!, 'other run #1/1']); // the first call began it, and did not wait
  await call([chains[0]![1]!, 'other run #1/1']); // waits for one more
  expect(chains.map((chain) => chain.map((place) => place.replace(/#.*/, '')))).toEqual([
    ['main run ', 'echo Say '],
    ['other run ', 'echo Say '],
    ['other run ', 'echo Say '],
    ['other run ', 'echo Say ', 'echo Say '],
  ]);
});
