import { createConnection, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { eventually } from '../../../common/testing/eventually.ts';
import { silentLog } from '../../../common/log.ts';
import type { CallContext } from '../call.ts';
import { currentCall } from '../../base/call-scope.ts';
import { ChannelPool } from '../channels.ts';
import { Mailbox } from '../../base/mailbox.ts';
import { rawMethods } from '../raw-methods.ts';
import { healthService } from '../../serving/health.ts';
import { ServingProcess } from '../../serving/serving-process.ts';
import { callStream, callUnary } from '../transport.ts';
import { MAX_MESSAGE_BYTES } from './channel.ts';
import { FAULTS_KEY, readFaultOptions } from './faults.ts';
import type { CallStart } from './caller.ts';

const cleanUps: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  vi.unstubAllEnvs();
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

/** The health service's methods, of which one is unary and one streams, with handlers of the test's own. */
interface Handlers {
  check?(request: { service: string }, context: CallContext): Promise<object> | object;
  watch?(request: { service: string }, context: CallContext): AsyncIterable<object>;
}

const service = healthService();
const CHECK = service.methods.get('check')!;
const WATCH = service.methods.get('watch')!;
const STATUSES = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'];

async function serve(handlers: Handlers, limits?: ConstructorParameters<typeof Mailbox>[0]) {
  const serving = await ServingProcess.start({ labels: {}, log: silentLog });
  const all = {
    check: () => ({ status: 'SERVING' }),
    async *watch() {},
    ...handlers,
  };
  serving.dispatcher.addActor('a', {
    kind: 'local',
    methods: rawMethods(service, all),
    mailbox: new Mailbox(limits),
    incarnation: 3,
  });
  cleanUps.push(() => serving.stop());
  return serving;
}

function open(): ChannelPool {
  const pool = new ChannelPool();
  cleanUps.push(() => pool.close());
  return pool;
}

function start(path: string, name: string, more: Partial<CallStart> = {}): CallStart {
  const request = CHECK.requestSerialize({ service: name });
  return { actorId: 'a', incarnation: 3, method: path, request, deadlineMs: 20_000, ...more };
}

async function check(pool: ChannelPool, address: string, name: string, more: Partial<CallStart> = {}) {
  return CHECK.responseDeserialize(
    (await callUnary(pool, address, start(CHECK.path, name, more), undefined)) as Buffer,
  );
}

/** An address that leads to another, whose connections can be cut. */
async function proxyTo(address: string) {
  const sockets = new Set<Socket>();
  const [host, port] = address.split(':');
  const server = createServer((inner) => {
    const outer = createConnection(Number(port), host);
    for (const [from, to] of [
      [inner, outer],
      [outer, inner],
    ] as const) {
      sockets.add(from);
      from.on('error', () => to.destroy()).on('close', () => to.destroy());
      from.pipe(to);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cut = () => {
    for (const socket of sockets) socket.destroy();
    sockets.clear();
  };
  cleanUps.push(() => {
    cut();
    server.close();
  });
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, cut };
}

describe('calls on a shared stream', () => {
  it('run once each and are all answered although connections break and are slow', async () => {
    vi.stubEnv(FAULTS_KEY, '{"seed":7,"break":0.1,"delay":0.3,"delayMs":30}');
    const runs = new Map<string, number>();
    const { address } = await serve(
      {
        check({ service: name }) {
          runs.set(name, (runs.get(name) ?? 0) + 1);
          return { status: 'SERVING' };
        },
      },
      { maxConcurrency: 10, maxPendingCalls: 1000 },
    );
    const pool = open();
    const names = Array.from({ length: 100 }, (_, i) => `call-${i}`);
    const answers = await Promise.all(names.map((name) => check(pool, address, name)));
    expect(answers).toHaveLength(100);
    expect([...runs.values()]).toEqual(new Array(100).fill(1));
  });

  it('streams arrive whole and in order under the same faults', async () => {
    vi.stubEnv(FAULTS_KEY, '{"seed":3,"break":0.1,"delay":0.2,"delayMs":20}');
    const sent = Array.from({ length: 100 }, (_, i) => STATUSES[i % 4]);
    const { address } = await serve({
      async *watch() {
        for (const status of sent) yield await Promise.resolve({ status });
      },
    });
    const received: string[] = [];
    for await (const bytes of callStream(open(), address, start(WATCH.path, ''), undefined)) {
      received.push((WATCH.responseDeserialize(bytes as Buffer) as { status: string }).status);
    }
    expect(received).toEqual(sent);
  });

  it('survive a connection that breaks while they run, without running twice', async () => {
    let runs = 0;
    const { address } = await serve({
      async check() {
        runs++;
        await delay(300);
        return { status: 'SERVING' };
      },
    });
    const proxy = await proxyTo(address);
    const pool = open();
    await check(pool, proxy.address, 'x'); // a connection that never stood is not dialled again
    const call = check(pool, proxy.address, 'x');
    await eventually(() => expect(runs).toBe(2));
    proxy.cut();
    expect(await call).toMatchObject({ status: 'SERVING' });
    expect(runs).toBe(2);
  });

  it('fail at once on a closed port, and with another incarnation', async () => {
    const { address } = await serve({});
    const pool = open();
    await expect(check(pool, '127.0.0.1:1', 'x')).rejects.toMatchObject({ code: 'UNAVAILABLE', kind: null });
    await expect(check(pool, address, 'x', { incarnation: 2 })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: 'incarnation 2 of a is over',
    });
    await expect(check(pool, address, 'x', { method: '/no/Such' })).rejects.toMatchObject({
      code: 'UNIMPLEMENTED',
    });
  });

  it('of many megabytes together are cut into frames; one that is too large is refused with advice', async () => {
    const { address } = await serve({}, { maxConcurrency: 20, maxPendingCalls: 100 });
    const pool = open();
    const large = 'x'.repeat(1_000_000);
    expect(await Promise.all(Array.from({ length: 20 }, () => check(pool, address, large)))).toHaveLength(20);
    const tooLarge = 'x'.repeat(MAX_MESSAGE_BYTES + 1);
    await expect(check(pool, address, tooLarge)).rejects.toMatchObject({
      code: 'OUT_OF_RANGE', // not RESOURCE_EXHAUSTED, which invites another try
      message: expect.stringContaining('put the rest as an object') as string,
    });
  });

  it('wait in the order of their caller, as many as the mailbox takes', async () => {
    const order: string[] = [];
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    const { address } = await serve(
      {
        async check({ service: name }) {
          order.push(name);
          await gate;
          return { status: 'SERVING' };
        },
      },
      { maxConcurrency: 1, maxPendingCalls: 3 },
    );
    const pool = open();
    const calls = ['0', '1', '2', '3'].map((name) => check(pool, address, name));
    await expect(check(pool, address, 'one too many')).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    expect(order).toEqual(['0']);
    release();
    await Promise.all(calls);
    expect(order).toEqual(['0', '1', '2', '3']);
  });

  it('that give up leave the mailbox', async () => {
    const begun: string[] = [];
    const { address } = await serve({
      async check({ service: name }, { signal }) {
        begun.push(name);
        await delay(name === 'slow' ? 400 : 0, undefined, { signal });
        return { status: 'SERVING' };
      },
    });
    const pool = open();
    const slow = check(pool, address, 'slow');
    const late = check(pool, address, 'late', { deadlineMs: 100 });
    await expect(late).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    await slow;
    await check(pool, address, 'next');
    expect(begun).toEqual(['slow', 'next']);
  });

  it('made for another call have no more time than it has', async () => {
    const left: number[] = [];
    const { address } = await serve({
      check() {
        left.push(currentCall.getStore()!.endMs - performance.now());
        return { status: 'SERVING' };
      },
    });
    const pool = open();
    const outer = await serve({
      async check() {
        const { effectiveDeadlineMs } = await import('../../base/call-scope.ts');
        return check(pool, address, 'inner', { deadlineMs: effectiveDeadlineMs(60_000) });
      },
    });
    await check(pool, outer.address, 'outer', { deadlineMs: 30_000 });
    expect(left[0]).toBeGreaterThan(0);
    expect(left[0]).toBeLessThanOrEqual(30_000);
  });
});

describe('readFaultOptions', () => {
  it('takes what it is given and refuses what it cannot use', () => {
    expect(readFaultOptions({})).toBeNull();
    expect(readFaultOptions({ [FAULTS_KEY]: '{"break":0.5}' })).toMatchObject({ break: 0.5, delay: 0 });
    expect(() => readFaultOptions({ [FAULTS_KEY]: 'x' })).toThrow('must be JSON');
    expect(() => readFaultOptions({ [FAULTS_KEY]: '{"break":-1}' })).toThrow('break must be a number');
    expect(() => readFaultOptions({ [FAULTS_KEY]: '{"drop":0}' })).toThrow('there is no drop');
  });
});
