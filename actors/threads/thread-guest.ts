/**
 * An actor in a thread of the node's thread host. All its messages go through its port: the host's main thread has the
 * connections. It does not load gRPC.
 */

import type { MessagePort } from 'node:worker_threads';
import { UserError } from '../../common/errors.ts';
import { ActorLife } from '../actor/actor-life.ts';
import { Activity } from '../base/activity.ts';
import { CallError, WireError } from '../base/call-errors.ts';
import { Dispatcher } from '../calls/dispatcher.ts';
import type { CallOutput, DispatchedCall } from '../calls/call.ts';
import type { ServeOptions } from '../actor/hosted-actor.ts';
import { CallMetrics, createRegistry, watchMailboxes } from '../calls/metrics.ts';
import { describeService, type Service } from '../proto/protos.ts';
import { EXIT_USER_ERROR } from '../status/restart-policy.ts';
import { IncomingRequests } from '../proto/request-stream.ts';
import type { OutgoingRequests } from '../proto/request-stream.ts';
import { ownBytes, postingRequests, takeRequest } from './thread-protocol.ts';
import { logOf, printToLog } from './thread-log.ts';
import type { FromThread, PostedCall, ThreadData, ToThread } from './thread-protocol.ts';
import type { Transport } from '../calls/transport.ts';
import { type CallSink, type CallStart, checkSize, type StartedCall } from '../calls/transport/caller.ts';

/** Time for the actor's calls to finish when it stops. */
const STOP_GRACE_MS = 500;

/** Where a thread keeps its instructions: an actor's program may load its own copy of this module. */
const THREAD_DATA = Symbol.for('ballast.thread');

interface ThreadGlobals {
  [THREAD_DATA]?: ThreadData;
}

/** Makes this thread an actor: loads its program, which calls `serveInThread`. Ends the thread if that fails. */
export async function beginThread(data: ThreadData, loadProgram: () => Promise<unknown>): Promise<void> {
  (globalThis as ThreadGlobals)[THREAD_DATA] = data;
  Object.assign(process.env, data.environment.env); // a thread's own copy
  printToLog(data.logPath);
  try {
    await loadProgram();
  } catch (thrown) {
    logOf(data).error('its program failed', { entry: data.entry, error: thrown });
    process.exit(1);
  }
}

/** The actor that this thread is to be: its type, and its program; null in any other thread. */
export function threadEntry(): { readonly name: string; readonly entry: string } | null {
  const data = (globalThis as ThreadGlobals)[THREAD_DATA];
  return data === undefined ? null : { name: data.environment.type, entry: data.entry };
}

/** Runs this thread as an actor. Resolves when it is registered. */
export async function serveInThread<Client, Handlers>(
  options: ServeOptions<Client, Handlers>,
): Promise<void> {
  const data = (globalThis as ThreadGlobals)[THREAD_DATA];
  if (data === undefined)
    throw new Error('this thread is not an actor: a node starts actors in threads (isolation: thread)');
  const { actorId, type } = data.environment;
  const log = logOf(data);
  try {
    const registry = createRegistry({ actor: actorId, type }, { isThread: true });
    const activity = new Activity();
    const dispatcher = new Dispatcher({ log, metrics: new CallMetrics(registry), activity });
    watchMailboxes(registry, () => dispatcher.actors().values());
    const port = new GuestPort(data.port, dispatcher, () => registry.metrics());
    const life = new ActorLife<Client, Handlers>({
      environment: data.environment,
      ...{ log, registry, dispatcher },
      beatEvery: (everyMs) => {
        activity.start();
        port.post({ kind: 'activity', memory: activity.memory, everyMs });
      },
      transport: port,
      address: data.address,
    });
    port.onStop = async () => {
      life.abort('stop was asked for');
      await dispatcher.stop(STOP_GRACE_MS);
      process.exit(await life.end());
    };
    await life.start(options);
    await port.serve(options.service);
    await life.register(data.metricsAddress);
  } catch (thrown) {
    const isUserError = thrown instanceof UserError;
    if (isUserError) log.error(thrown.message);
    else log.error('the actor could not start', { error: thrown });
    process.exit(isUserError ? EXIT_USER_ERROR : 1);
  }
}

/** A call to the actor. */
interface Dispatched {
  call: DispatchedCall;
  readonly requests: IncomingRequests | null;
  room: () => void;
}

/** The thread's end of its port: dispatches incoming calls, and is the transport of outgoing ones. */
class GuestPort implements Transport {
  readonly #port: MessagePort;
  readonly #dispatcher: Dispatcher;
  readonly #metrics: () => Promise<string>;
  readonly #dispatched = new Map<number, Dispatched>();
  readonly #sinks = new Map<number, CallSink>();
  /** Requests of the actor's own calls. */
  readonly #outgoing = new Map<number, OutgoingRequests>();
  #lastId = 0;
  #describe: () => string = () => '';
  #onExposed: () => void = () => undefined;
  onStop: () => Promise<void> = () => Promise.resolve();

  constructor(port: MessagePort, dispatcher: Dispatcher, metrics: () => Promise<string>) {
    this.#port = port;
    this.#dispatcher = dispatcher;
    this.#metrics = metrics;
    port.on('message', (message: ToThread) => this.#receive(message));
  }

  /** Describes the actor's service to the host. Resolves when plain gRPC clients can reach it too. */
  serve<Client, Handlers>(service: Service<Client, Handlers>): Promise<void> {
    const exposed = new Promise<void>((resolve) => (this.#onExposed = resolve));
    this.#describe = () => describeService(service);
    const methods = [...service.methods.values()].map(({ path }) => path);
    this.post({ kind: 'serving', methods, serviceName: service.name });
    return exposed;
  }

  post(message: FromThread, bytes?: Uint8Array<ArrayBuffer>): void {
    this.#port.postMessage(message, bytes === undefined ? [] : [bytes.buffer]);
  }

  start(address: string, call: CallStart, sink: CallSink): StartedCall {
    const id = ++this.#lastId;
    this.#sinks.set(id, sink);
    const request = ownBytes(call.request);
    this.post({ kind: 'start', id, address, call: { ...call, request } }, request);
    if (call.streamsRequests === true) {
      this.#outgoing.set(
        id,
        postingRequests(id, (message, bytes) => this.post(message, bytes)),
      );
    }
    return {
      cancel: () => {
        if (this.#takeSink(id) !== undefined) this.post({ kind: 'give-up', id });
      },
      consumed: () => this.post({ kind: 'consumed', id }),
      send: (message) => {
        checkSize('request', message);
        return this.#outgoing.get(id)?.put(message) ?? null;
      },
      endRequests: () => this.#outgoing.get(id)?.end(),
    };
  }

  #takeSink(id: number): CallSink | undefined {
    const sink = this.#sinks.get(id);
    this.#sinks.delete(id);
    this.#outgoing.get(id)?.close();
    this.#outgoing.delete(id);
    return sink;
  }

  drop(address: string): void {
    this.post({ kind: 'drop', address });
  }

  #receive(message: ToThread): void {
    switch (message.kind) {
      case 'dispatch':
        return this.#dispatch(message.id, message.call);
      case 'cancel':
        return this.#dispatched.get(message.id)?.call.cancel(new CallError(message.code, message.reason));
      case 'room':
        return this.#dispatched.get(message.id)?.room();
      case 'message':
        return this.#sinks.get(message.id)?.message(message.bytes);
      case 'end':
        return this.#takeSink(message.id)?.end(
          message.failure === null ? null : new WireError(message.failure),
        );
      case 'request':
        return takeRequest(message, this.#dispatched.get(message.id)?.requests ?? null);
      case 'requests-allowed':
        return this.#outgoing.get(message.id)?.allow(message.allowed);
      case 'describe':
        return this.post({ kind: 'described', service: this.#describe() });
      case 'exposed':
        return this.#onExposed();
      case 'stop':
        return void this.onStop();
      case 'metrics':
        return void this.#metrics().then((text) => this.post({ kind: 'metrics', id: message.id, text }));
      default:
        message satisfies never;
    }
  }

  #dispatch(id: number, { streamsRequests, ...incoming }: PostedCall): void {
    const requests = streamsRequests
      ? new IncomingRequests((allowed) => this.post({ kind: 'requests-allowed', id, allowed }))
      : null;
    const entry: Dispatched = { call: null as unknown as DispatchedCall, requests, room: () => {} };
    const finish = (message: FromThread, bytes?: Uint8Array<ArrayBuffer>) => {
      this.#dispatched.delete(id);
      this.post(message, bytes);
    };
    const output: CallOutput = {
      answer: (message) => {
        const bytes = ownBytes(message);
        finish({ kind: 'answer', id, bytes }, bytes);
      },
      message: (message) => {
        checkSize('response', message);
        const bytes = ownBytes(message);
        const room = new Promise<void>((resolve) => (entry.room = resolve));
        this.post({ kind: 'output', id, bytes }, bytes);
        return room;
      },
      end: () => finish({ kind: 'done', id, failure: null }),
      fail: (failure) => finish({ kind: 'done', id, failure }),
    };
    this.#dispatched.set(id, entry);
    entry.call = this.#dispatcher.dispatch({ ...incoming, requests }, output);
  }
}
