// Calls whose connection breaks, on an in-memory network that loses exactly the frames that a test chooses.
import { EventEmitter } from 'node:events';
import type * as grpc from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { silentLog } from '../../../common/log.ts';
import { Mailbox } from '../../base/mailbox.ts';
import { healthService } from '../../serving/health.ts';
import type { CallContext } from '../call.ts';
import { Dispatcher } from '../dispatcher.ts';
import { rawMethods } from '../raw-methods.ts';
import { callStream, callUnary } from '../transport.ts';
import { Callee } from './callee.ts';
import type { CallStart } from './caller.ts';
import { Channel } from './channel.ts';
import type { FrameDuplex } from './channel.ts';
import { decodeFrame, encodeFrame } from './frames.ts';
import type { Call, Frame } from './frames.ts';
import { LinkPool } from './pool.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** One side of a stream. Frames that it writes arrive at once, unless they are held back. */
class Side extends EventEmitter implements FrameDuplex {
  other!: Side;
  isHeld = false;
  isOver = false;
  readonly #held: Frame[] = [];

  write(frame: Frame): boolean {
    const arrived = decodeFrame(encodeFrame(frame));
    if (this.isHeld) this.#held.push(arrived);
    else queueMicrotask(() => this.#arrive(arrived));
    return true;
  }

  /** Delivers the frames that were held back. */
  release(): void {
    for (const frame of this.#held.splice(0)) this.#arrive(frame);
  }

  end(): void {
    if (!this.isOver) queueMicrotask(() => this.other.emit('end'));
  }

  /** This side learns that the stream is over. */
  break(): void {
    this.isOver = true;
    this.emit('error', new Error('broken'));
  }

  #arrive(frame: Frame): void {
    if (!this.other.isOver) this.other.emit('data', frame);
  }
}

/** Processes by address, and the streams between them. */
class Network {
  readonly #listening = new Map<string, LinkPool>();
  /** Streams in the order in which they were opened, as those who opened them see them. */
  readonly streams: Side[] = [];

  process(address: string, dispatcher: Dispatcher | null): LinkPool {
    const pool = new LinkPool({
      client: (to) => ({ makeBidiStreamRequest: () => this.#open(to) }) as unknown as grpc.Client,
      metadata: () => ({}) as grpc.Metadata,
      dispatcher,
      ownAddress: () => (dispatcher === null ? '' : address),
    });
    if (dispatcher !== null) this.#listening.set(address, pool);
    return pool;
  }

  #open(address: string): Side {
    const [near, far] = [new Side(), new Side()];
    [near.other, far.other] = [far, near];
    this.streams.push(near);
    queueMicrotask(() => this.#listening.get(address)?.accept(far));
    return near;
  }

  get last(): Side {
    return this.streams.at(-1)!;
  }

  /** Both sides of the newest stream learn that it is over; what was held back is lost. */
  cut(): void {
    const stream = this.last;
    stream.break();
    stream.other.break();
  }
}

const service = healthService();
const CHECK = service.methods.get('check')!;
const WATCH = service.methods.get('watch')!;

/** An actor `a` whose calls are listed, and end when the test says so. */
class Recorder {
  readonly begun: string[] = [];
  readonly cancelled: string[] = [];
  readonly dispatcher = new Dispatcher({ log: silentLog });
  #release: (() => void)[] = [];

  constructor() {
    const check = ({ service: name }: { service: string }, { signal }: CallContext) => {
      this.begun.push(name);
      signal.addEventListener('abort', () => this.cancelled.push(name));
      return new Promise<object>((resolve) => this.#release.push(() => resolve({ status: 'SERVING' })));
    };
    const watch = async function* () {
      for (const status of ['SERVING', 'NOT_SERVING', 'UNKNOWN']) yield await Promise.resolve({ status });
    };
    const methods = rawMethods(service, { check, watch });
    const mailbox = new Mailbox({ maxConcurrency: 100, maxPendingCalls: 100 });
    this.dispatcher.addActor('a', { kind: 'local', methods, mailbox, incarnation: 1 });
  }

  answerAll(): void {
    for (const release of this.#release.splice(0)) release();
  }
}

const AT = 'callee:1';

function start(name: string, path = CHECK.path): CallStart {
  const request = CHECK.requestSerialize({ service: name });
  return { actorId: 'a', incarnation: 1, method: path, request, deadlineMs: Infinity };
}

/** Runs everything that needs at most the given time. */
const pass = (ms = 0) => vi.advanceTimersByTimeAsync(ms);

function setUp() {
  const network = new Network();
  const callee = new Recorder();
  network.process(AT, callee.dispatcher);
  const links = network.process('caller:1', null);
  const transport = {
    start: links.start.bind(links),
    drop: links.drop.bind(links),
  };
  const check = (name: string, signal?: AbortSignal) => callUnary(transport, AT, start(name), signal);
  return { network, callee, links, check, transport };
}

describe('a stream that stands', () => {
  it('is trusted: nothing is said twice, however long an answer takes', async () => {
    const { network, callee, check } = setUp();
    const answer = check('slow');
    await pass();
    const write = vi.spyOn(network.last, 'write');
    await pass(600_000);
    expect(write).not.toHaveBeenCalled();
    callee.answerAll();
    await answer;
    expect(callee.begun).toEqual(['slow']);
  });
});

describe('after a broken connection', () => {
  it('repeats a call whose request was lost, keeps a running one, and sends a lost answer again', async () => {
    const { network, callee, check } = setUp();
    const calls = [check('answer lost')];
    await pass();
    network.last.other.isHeld = true; // from here on, answers are lost
    callee.answerAll();
    await pass();
    calls.push(check('runs'));
    await pass();
    network.last.isHeld = true; // and requests
    calls.push(check('request lost'));
    await pass();
    expect(callee.begun).toEqual(['answer lost', 'runs']);
    network.cut();
    await pass(50);
    expect(callee.begun).toEqual(['answer lost', 'runs', 'request lost']);
    callee.answerAll();
    await Promise.all(calls);
    expect(callee.cancelled).toEqual([]);
  });

  it('a stream of answers goes on where it was', async () => {
    const { network, callee, check, transport } = setUp();
    const first = check('first');
    await pass();
    callee.answerAll();
    await first;
    network.last.other.isHeld = true;
    const statuses: unknown[] = [];
    const reading = (async () => {
      for await (const bytes of callStream(transport, AT, start('', WATCH.path), undefined))
        statuses.push((WATCH.responseDeserialize(bytes as Buffer) as { status: string }).status);
    })();
    await pass();
    expect(statuses).toEqual([]);
    network.cut();
    await pass(50);
    await reading;
    expect(statuses).toEqual(['SERVING', 'NOT_SERVING', 'UNKNOWN']);
  });

  it('calls that were cancelled during the break are cancelled at the callee', async () => {
    const { network, callee, check } = setUp();
    const stop = new AbortController();
    const stopped = check('stopped', stop.signal);
    const kept = check('kept');
    await pass();
    network.cut();
    stop.abort(new Error('no longer wanted'));
    await expect(stopped).rejects.toThrow('no longer wanted');
    await pass(50);
    expect(callee.cancelled).toEqual(['stopped']);
    callee.answerAll();
    await kept;
  });

  it('messages on the old one have no effect', async () => {
    const { network, callee, check } = setUp();
    const first = check('first');
    await pass();
    const [old] = network.streams;
    old!.isHeld = true;
    const second = check('second');
    await pass();
    old!.break(); // the caller knows, the callee does not yet
    await pass(50);
    callee.answerAll();
    await Promise.all([first, second]);
    const third = check('third');
    await pass();
    old!.release();
    await pass();
    callee.answerAll(); // answers go where the caller listens
    await third;
    expect(callee.begun).toEqual(['first', 'second', 'third']);
  });
});

describe('a caller that comes back after its calls were given up', () => {
  it('reports that they may have run; a call that never reached the callee runs', async () => {
    const { network, callee, check } = setUp();
    const early = check('answered');
    await pass();
    callee.answerAll();
    await early;
    const heard = check('heard');
    await pass();
    network.last.isHeld = true;
    const unheard = check('unheard');
    await pass();
    network.last.other.break(); // the callee knows, the caller does not: as when it is paused
    await pass(7000);
    expect(callee.cancelled).toEqual(['heard']);
    const refused = expect(heard).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining('the call may have run') as string,
    });
    network.last.break();
    await pass(50);
    await refused;
    const next = check('next');
    await pass();
    callee.answerAll();
    await Promise.all([unheard, next]);
    expect(callee.begun).toEqual(['answered', 'heard', 'unheard', 'next']);
  });

  it('is not trusted either when more callers have stayed away than are remembered', () => {
    const callee = new Recorder();
    const answering = new Callee(callee.dispatcher, 2);
    const call = (callerId: string, connection: number, isRepeated: boolean): Frame => {
      const { request, actorId, incarnation, method } = start(callerId);
      const flow = { timeoutMs: 0, allowed: 16, received: 0, streamsRequests: false };
      const whole: Call = { ...{ request, actorId, incarnation, method, isRepeated, chain: [] }, ...flow };
      return { callerId, connection, answeredBelow: 1, requests: [{ callId: 1, call: whole }], replies: [] };
    };
    const listener = {
      ...{ answeredBelow: 0, onHello: vi.fn(), onRequests: vi.fn(), onReply: vi.fn(), onClose: vi.fn() },
    };
    const channel = () => {
      const side = new Side();
      side.isHeld = true;
      return new Channel(side, { processId: 'p', address: '' }, listener);
    };
    const first = channel();
    for (const name of ['a', 'b', 'c']) answering.onRequests(call(name, 1, false), first);
    answering.onClose(first);
    vi.advanceTimersByTime(7000);
    callee.begun.length = 0;
    answering.onRequests(call('a', 2, true), channel()); // too long ago to be known
    answering.onRequests(call('c', 2, true), channel());
    expect(callee.begun).toEqual([]);
    answering.onRequests(call('new', 1, false), channel());
    expect(callee.begun).toEqual(['new']);
    answering.close();
  });
});

describe('another process at an address', () => {
  it('fails the calls that the one before had, and gets the others', async () => {
    const { network, callee, check } = setUp();
    const old = check('old');
    await pass();
    const later = new Recorder();
    network.process(AT, later.dispatcher);
    const failed = expect(old).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: 'another process now answers at its address',
    });
    network.cut();
    const during = check('during');
    await pass(50);
    await failed;
    later.answerAll();
    await during;
    expect([callee.begun, later.begun]).toEqual([['old'], ['during']]);
  });

  it('gets the first call after a quiet time', async () => {
    const { network, callee, check } = setUp();
    const old = check('old');
    await pass();
    callee.answerAll();
    await old;
    network.cut();
    const later = new Recorder();
    network.process(AT, later.dispatcher);
    const next = check('next');
    await pass();
    later.answerAll();
    await next;
    expect(later.begun).toEqual(['next']);
  });
});
