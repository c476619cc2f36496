// Calls that stream their requests: over the shared stream, on connections that break and are slow, as plain gRPC; to actors in processes and threads, from one to another.
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { eventually } from '../common/testing/eventually.ts';
import { ActorSystem } from '../actors/index.ts';
import type { Node } from '../actors/index.ts';
import { silentLog } from '../common/log.ts';
import { echo } from './fixtures/actors/echo.ts';
import { ChannelPool, plainCalls } from '../actors/calls/channels.ts';
import type { CallContext } from '../actors/calls/call.ts';
import { STREAM_WINDOW } from '../actors/proto/request-stream.ts';
import { ServingProcess } from '../actors/serving/serving-process.ts';
import { serviceCalls } from '../actors/calls/transport.ts';
import { MAX_MESSAGE_BYTES } from '../actors/calls/transport/channel.ts';
import { FAULTS_KEY } from '../actors/calls/transport/faults.ts';
import { type EchoNode, startEchoNode } from './support/echo-node.ts';

interface Value {
  value: number;
  padding: Uint8Array;
}

interface Sum {
  sum: number;
  count: number;
}

type Sums = (requests: AsyncIterable<Value>, context: CallContext) => AsyncIterable<Sum>;

const cleanUps: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  vi.unstubAllEnvs();
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

async function* addUp(requests: AsyncIterable<Value>): AsyncGenerator<Sum> {
  const sums = { sum: 0, count: 0 };
  for await (const { value } of requests) {
    sums.sum += value;
    sums.count++;
    yield { ...sums };
  }
}

/** A process that serves the echo service's two methods with streams of requests. */
async function serve(runningSum: Sums = addUp) {
  const serving = await ServingProcess.start({ labels: {}, log: silentLog });
  const { methods } = echo.service;
  const service = { ...echo.service, methods: new Map([...methods].filter(([name]) => /sum$/i.test(name))) };
  const sum = async (requests: AsyncIterable<Value>, context: CallContext) => {
    let last = { sum: 0, count: 0 };
    for await (last of runningSum(requests, context));
    return last;
  };
  serving.dispatcher.addService(service, { sum, runningSum });
  serving.server.expose(service);
  cleanUps.push(() => serving.stop());
  return serving.address;
}

function open(): ChannelPool {
  const pool = new ChannelPool();
  cleanUps.push(() => pool.close());
  return pool;
}

const ways = {
  'on the shared stream': (address: string) => serviceCalls(echo.service, open(), address),
  'as plain gRPC': (address: string) => plainCalls(echo.service, open(), address),
};

/** grpc-js ends the requests of a call that it cancels, before it says that it does: a handler takes it for their end. */
const seesCancellation = (way: string) => way === 'on the shared stream';

const upTo = (count: number, bytes = 0) =>
  Array.from({ length: count }, (_, i) => ({ value: i + 1, padding: new Uint8Array(bytes) }));

describe.each(Object.entries(ways))('%s', (way, connect) => {
  it('all requests come, in order, once each, to one answer or many', async () => {
    const calls = connect(await serve());
    expect(await calls.sum(upTo(1000, 1000))).toEqual({ sum: 500_500, count: 1000 });
    expect(await calls.sum([])).toEqual({ sum: 0, count: 0 });
    const sums: number[] = [];
    for await (const { sum } of calls.runningSum(upTo(100))) sums.push(sum);
    expect(sums).toEqual(upTo(100).map(({ value }) => (value * (value + 1)) / 2));
  });

  it('answers may steer what is asked next', async () => {
    const calls = connect(await serve());
    let heard: (sum: number) => void = () => undefined;
    const requests = (async function* () {
      for (let value = 1; value < 1000;) {
        const answered = new Promise<number>((resolve) => (heard = resolve));
        yield { value };
        value = (await answered) + 1;
      }
    })();
    const sums: number[] = [];
    for await (const { sum } of calls.runningSum(requests)) {
      sums.push(sum);
      heard(sum);
    }
    expect(sums).toEqual([1, 3, 7, 15, 31, 63, 127, 255, 511, 1023]);
  });

  it('a handler that has enough answers, and the rest is not asked for', async () => {
    let made = 0;
    const requests = (async function* () {
      for (;;) {
        await delay(1);
        yield { value: ++made };
      }
    })();
    const address = await serve(async function* (values) {
      for await (const sums of addUp(values)) {
        if (sums.count < 3) continue;
        yield sums;
        return;
      }
    });
    expect(await connect(address).sum(requests)).toEqual({ sum: 6, count: 3 });
    const after = made;
    await delay(100);
    expect(made).toBeLessThanOrEqual(after + 1);
  });

  it('an error in making a request ends the call, in the handler too', async () => {
    let cause: unknown = null;
    const address = await serve(async function* (values, { signal }) {
      try {
        yield* addUp(values);
      } catch (thrown) {
        cause = [thrown, signal.aborted];
        throw thrown;
      }
    });
    const requests = (async function* () {
      yield { value: 1 };
      await delay(20);
      throw new Error('no more values');
    })();
    await expect(connect(address).sum(requests)).rejects.toThrow('no more values');
    if (!seesCancellation(way)) return;
    await eventually(() => expect(cause).toMatchObject([{ code: 'CANCELLED' }, true]));
  });

  it('a deadline and a signal end both sides while requests are waited for', async () => {
    const reasons: unknown[] = [];
    const address = await serve(async function* (values, { signal }) {
      signal.addEventListener('abort', () => reasons.push((signal.reason as { code: string }).code));
      yield* addUp(values);
    });
    const endless = () =>
      (async function* () {
        yield { value: 1 };
        await new Promise(() => undefined);
      })();
    const calls = connect(address);
    await expect(calls.sum(endless(), { deadlineMs: 200 })).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
    });
    const controller = new AbortController();
    const abandoned = calls.sum(endless(), { signal: controller.signal });
    setTimeout(() => controller.abort(new Error('changed my mind')), 100);
    await expect(abandoned).rejects.toThrow('changed my mind');
    if (!seesCancellation(way)) return;
    await eventually(() => expect(reasons).toHaveLength(2));
    expect(reasons).toContain('CANCELLED');
  });
});

describe('on the shared stream', () => {
  it('no more requests are under way than the handler has room for', async () => {
    let made = 0;
    let goOn: () => void = () => undefined;
    const hold = new Promise<void>((resolve) => (goOn = resolve));
    const address = await serve(async function* (values) {
      await hold;
      yield* addUp(values);
    });
    const requests = (async function* () {
      for (; made < 100;) yield await Promise.resolve({ value: ++made });
    })();
    const done = ways['on the shared stream'](address).sum(requests);
    await eventually(() => expect(made).toBeGreaterThanOrEqual(STREAM_WINDOW));
    await delay(200);
    expect(made).toBe(STREAM_WINDOW);
    goOn();
    expect(await done).toEqual({ sum: 5050, count: 100 });
  });

  it('all come, in order, once each, on connections that break and are slow', async () => {
    vi.stubEnv(FAULTS_KEY, '{"seed":5,"break":0.05,"delay":0.2,"delayMs":20}');
    const calls = ways['on the shared stream'](await serve());
    const sums: number[] = [];
    for await (const { sum } of calls.runningSum(upTo(100))) sums.push(sum);
    expect(sums).toEqual(upTo(100).map(({ value }) => (value * (value + 1)) / 2));
    const many = await Promise.all(Array.from({ length: 10 }, () => calls.sum(upTo(50))));
    expect(many).toEqual(Array.from({ length: 10 }, () => ({ sum: 1275, count: 50 })));
  });

  it('a request that is too large is refused by its size', async () => {
    const calls = ways['on the shared stream'](await serve());
    const requests = [{ value: 1 }, { value: 2, padding: new Uint8Array(MAX_MESSAGE_BYTES) }];
    await expect(calls.sum(requests)).rejects.toThrow(/a request of \d+ bytes; a message holds at most/);
  });
});

describe.each(['process', 'thread'] as const)('an actor in a %s', (isolation) => {
  let node: Node;
  let system: ActorSystem;
  let end: EchoNode['end'];

  beforeAll(async () => {
    ({ node, system, end } = await startEchoNode());
  });

  afterAll(() => end());

  it('takes streams of requests, gives them to others, one call at a time', async () => {
    const [one, two] = [await system.spawn(echo, { isolation }), await system.spawn(echo, { isolation })];
    const slow = one.sum(Array.from({ length: 40 }, () => ({ value: 1, delayMs: 5 })));
    const next = one.sum(upTo(100, 1000));
    expect(await Promise.race([slow.then(() => 'slow'), next.then(() => 'next')])).toBe('slow');
    expect([await slow, await next]).toMatchObject([{ sum: 40 }, { sum: 5050, count: 100 }]);
    const sums: number[] = [];
    for await (const { sum } of two.runningSum(upTo(200))) sums.push(sum);
    expect([sums.length, sums.at(-1)]).toEqual([200, 20_100]);
    expect(await one.sumElsewhere({ text: two.actorId })).toMatchObject({ text: '1275' });
  });

  it('may have enough early, or refuse one', async () => {
    const actor = await system.spawn(echo, { isolation });
    const enough = upTo(1000).map((one) => ({ ...one, isEnough: one.value === 5 }));
    expect(await actor.sum(enough)).toEqual({ sum: 15, count: 5 });
    await expect(actor.sum([{ value: 1 }, { value: -1 }, { value: 2 }])).rejects.toMatchObject({
      name: 'UserError',
      message: 'values must not be negative',
    });
    expect(await actor.sum(upTo(3))).toEqual({ sum: 6, count: 3 });
  });

  it('that dies ends the call: what was asked is not asked again', async () => {
    const actor = await system.spawn(echo, { isolation, restart: { initialBackoffMs: 50 } });
    let made = 0;
    const requests = (async function* () {
      for (; made < 1000;) yield await Promise.resolve({ value: ++made, delayMs: 20 });
    })();
    const call = actor.sum(requests);
    await eventually(() => expect(made).toBeGreaterThan(STREAM_WINDOW)); // the actor has taken some
    await node.kill(actor.actorId);
    await expect(call).rejects.toMatchObject({ code: 'UNAVAILABLE', retryable: true });
    expect(made).toBeLessThan(1000);
    await system.ready(actor.actorId);
    expect(await actor.sum(upTo(2))).toEqual({ sum: 3, count: 2 });
  });

  it('is reached by plain gRPC clients', async () => {
    const actor = await system.spawn(echo, { isolation });
    const { address } = await system.ready(actor.actorId);
    const ids = (await node.list()).filter(({ state, type }) => state === 'alive' && type === 'echo');
    for (const { actorId } of ids) if (actorId !== actor.actorId) await system.stop(actorId); // it alone serves them
    const calls = plainCalls(echo.service, open(), address!);
    expect(await calls.sum(upTo(50))).toEqual({ sum: 1275, count: 50 });
    const sums: number[] = [];
    for await (const { sum } of calls.runningSum(upTo(10))) sums.push(sum);
    expect(sums.at(-1)).toBe(55);
  });
});
