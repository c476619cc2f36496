import { once } from 'node:events';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { afterEach, expect, it, vi } from 'vitest';
import { silentLog } from '../../common/log.ts';
import { CallError, WireError } from '../base/call-errors.ts';
import type { CallOutput } from '../calls/call.ts';
import { Dispatcher } from '../calls/dispatcher.ts';
import type { CallSink, StartedCall } from '../calls/transport/caller.ts';
import type { ServingProcess } from '../serving/serving-process.ts';
import { HostPort } from './host-port.ts';
import type { FromThread, ToThread } from './thread-protocol.ts';

const METHOD = '/t.Echo/Say';

function call() {
  const request = new Uint8Array(); // a port takes it away
  return { actorId: 'a', incarnation: 0, method: METHOD, request, deadlineMs: Infinity };
}

const cleanUps: (() => void)[] = [];
afterEach(() => cleanUps.splice(0).forEach((cleanUp) => cleanUp()));

function host(start: (sink: CallSink) => StartedCall = () => started()) {
  const dispatcher = new Dispatcher({ log: silentLog });
  const serving = {
    dispatcher,
    servedServices: new Set<string>(),
    server: { isExposed: () => true },
    pool: { start: (_address: string, _call: unknown, sink: CallSink) => start(sink) },
  };
  return { dispatcher, serving: serving as unknown as ServingProcess };
}

function started(more: Partial<StartedCall> = {}): StartedCall {
  return { cancel: () => {}, consumed: () => {}, send: () => null, endRequests: () => {}, ...more };
}

/** A thread that serves actor a, as its host sees it: what it says and hears. */
async function thread(serving: ServingProcess) {
  const { port1, port2 } = new MessageChannel();
  const hostPort = new HostPort(port1, serving, 'a');
  const heard: ToThread[] = [];
  port2.on('message', (message: ToThread) => heard.push(message));
  cleanUps.push(() => hostPort.close());
  const say = (message: FromThread) => port2.postMessage(message);
  say({ kind: 'serving', serviceName: 't.Echo', methods: [METHOD] });
  await heardOf(port2, heard, 'exposed');
  return { hostPort, say, hears: (kind: ToThread['kind']) => heardOf(port2, heard, kind) };
}

async function heardOf(port: MessagePort, heard: readonly ToThread[], kind: ToThread['kind']) {
  for (;;) {
    const found = heard.find((message) => message.kind === kind);
    if (found !== undefined) return found;
    await once(port, 'message');
  }
}

it('a message that cannot be passed on ends its call', async () => {
  const { dispatcher, serving } = host();
  const { say, hears } = await thread(serving);
  const fail = vi.fn<CallOutput['fail']>();
  const message = () => {
    throw new CallError('OUT_OF_RANGE', 'too large');
  };
  const output = { answer: vi.fn(), message, end: vi.fn(), fail };
  dispatcher.dispatch({ ...call(), requests: null, chain: [] }, output);
  const { id } = (await hears('dispatch')) as { id: number };
  say({ kind: 'output', id, bytes: new Uint8Array() });
  expect(await hears('cancel')).toMatchObject({ id, reason: 'its answers broke off: too large' });
  say({ kind: 'done', id, failure: null }); // the handler ends
  expect(fail.mock.calls).toEqual([[{ code: 'OUT_OF_RANGE', message: 'too large', kind: 'status' }]]);
});

it('a request that cannot be sent ends the call of the thread', async () => {
  const send = () => {
    throw new CallError('OUT_OF_RANGE', 'too large');
  };
  const cancel = vi.fn();
  const own = started({ send, cancel });
  const { serving } = host(() => own);
  const { say, hears } = await thread(serving);
  say({ kind: 'start', id: 1, address: 'b', call: { ...call(), streamsRequests: true } });
  say({ kind: 'request', id: 1, index: 0, message: new Uint8Array() });
  expect(await hears('end')).toMatchObject({
    id: 1,
    failure: { code: 'OUT_OF_RANGE', message: 'too large' },
  });
  expect(cancel).toHaveBeenCalled();
});

it('an error that a method threw reaches the thread that called it', async () => {
  const thrown = Buffer.from('an encoded error');
  const { serving } = host((sink) => {
    setImmediate(() =>
      sink.end(new WireError({ code: 'INTERNAL', message: 'no', kind: 'internal', thrown })),
    );
    return started();
  });
  const { say, hears } = await thread(serving);
  say({ kind: 'start', id: 1, address: 'b', call: call() });
  const { failure } = (await hears('end')) as { failure: { thrown: Uint8Array } };
  expect(Buffer.from(failure.thrown)).toEqual(thrown);
});

it('a thread that ends late leaves the next one of its actor alone', async () => {
  const { dispatcher, serving } = host();
  const first = await thread(serving);
  const second = await thread(serving);
  first.hostPort.close();
  expect(dispatcher.actors().has('a')).toBe(true);
  expect(serving.servedServices.has('t.Echo')).toBe(true);
  second.hostPort.close();
  expect(dispatcher.actors().has('a')).toBe(false);
  expect(serving.servedServices.size).toBe(0);
});

it('a thread that has ended has an empty metrics page', async () => {
  const { hostPort } = await thread(host().serving);
  hostPort.close();
  expect(await hostPort.metrics()).toBe('');
});
