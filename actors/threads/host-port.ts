/** The host's end of one actor thread's port. */

import { receiveMessageOnPort } from 'node:worker_threads';
import type { MessagePort } from 'node:worker_threads';
import { toError } from '../../common/errors.ts';
import { ActivityWatch } from '../base/activity.ts';
import { CallError, type Failure, type WireError } from '../base/call-errors.ts';
import type { ThreadTarget } from '../calls/target.ts';
import type { CallOutput, IncomingCall } from '../calls/call.ts';
import { describedService } from '../proto/protos.ts';
import type { ServingProcess } from '../serving/serving-process.ts';
import { IncomingRequests, sendAll } from '../proto/request-stream.ts';
import type { OutgoingRequests } from '../proto/request-stream.ts';
import { ownBytes, postingRequests, takeRequest } from './thread-protocol.ts';
import type { FromThread, ToThread } from './thread-protocol.ts';
import type { CallStart, StartedCall } from '../calls/transport/caller.ts';

export class HostPort {
  readonly #port: MessagePort;
  readonly #serving: ServingProcess;
  readonly #actorId: string;
  /** Calls to the actor: the destination of answers, and its requests. */
  readonly #outputs = new Map<number, CallOutput>();
  readonly #outgoing = new Map<number, OutgoingRequests>();
  /** The actor's own calls, and their requests. */
  readonly #started = new Map<number, StartedCall>();
  readonly #incoming = new Map<number, IncomingRequests>();
  readonly #metrics = new Map<number, (text: string) => void>();
  #serviceName = '';
  #target: ThreadTarget | null = null;
  /** Receives access to the thread's activity. */
  onActivity: (watch: ActivityWatch, everyMs: number) => void = () => undefined;
  #lastId = 0;
  #isClosed = false;

  constructor(port: MessagePort, serving: ServingProcess, actorId: string) {
    this.#port = port;
    this.#serving = serving;
    this.#actorId = actorId;
    port.on('message', (message: FromThread) => this.#receive(message));
  }

  /** Asks the actor to shut down cleanly. */
  stop(): void {
    this.#post({ kind: 'stop' });
  }

  /** The thread's metrics page; empty if the thread ended meanwhile. */
  metrics(): Promise<string> {
    return new Promise((resolve) => {
      if (this.#isClosed) return resolve('');
      const id = ++this.#lastId;
      this.#metrics.set(id, resolve);
      this.#post({ kind: 'metrics', id });
    });
  }

  /** The thread has ended, or is killed: its last messages are handled, then its calls in both directions fail. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (let last; (last = receiveMessageOnPort(this.#port)) !== undefined;) {
      this.#receive(last.message as FromThread);
    }
    this.#port.close();
    this.#removeActor();
    for (const output of this.#outputs.values()) {
      output.fail({ code: 'UNAVAILABLE', message: 'its thread ended', kind: null });
    }
    for (const outgoing of this.#outgoing.values()) outgoing.close();
    for (const started of this.#started.values()) started.cancel();
    for (const resolve of this.#metrics.values()) resolve('');
  }

  /** Leaves an actor alone whose next thread serves already. A service without an actor is no longer served. */
  #removeActor(): void {
    const { dispatcher, servedServices } = this.#serving;
    if (dispatcher.actors().get(this.#actorId) !== this.#target) return;
    dispatcher.removeActor(this.#actorId);
    const isServed = [...dispatcher.actors().values()].some(({ methods }) =>
      [...methods.keys()].some((path) => path.startsWith(`/${this.#serviceName}/`)),
    );
    if (!isServed) servedServices.delete(this.#serviceName);
  }

  #post(message: ToThread, bytes?: Uint8Array<ArrayBuffer>): void {
    this.#port.postMessage(message, bytes === undefined ? [] : [bytes.buffer]);
  }

  #receive(message: FromThread): void {
    switch (message.kind) {
      case 'serving':
        return this.#serve(message.serviceName, new Set(message.methods));
      case 'activity':
        return this.onActivity(new ActivityWatch(message.memory), message.everyMs);
      case 'described':
        this.#serving.server.expose(describedService(this.#serviceName, message.service));
        return this.#post({ kind: 'exposed' });
      case 'answer':
        return this.#take(message.id)?.answer(message.bytes);
      case 'output':
        return this.#pass(message.id, message.bytes);
      case 'done': {
        const output = this.#take(message.id);
        return message.failure === null ? output?.end() : output?.fail(message.failure);
      }
      case 'start':
        return this.#start(message.id, message.address, message.call);
      case 'give-up':
        this.#started.get(message.id)?.cancel();
        return this.#forgetStarted(message.id);
      case 'request':
        return takeRequest(message, this.#incoming.get(message.id) ?? null);
      case 'requests-allowed':
        return this.#outgoing.get(message.id)?.allow(message.allowed);
      case 'consumed':
        return this.#started.get(message.id)?.consumed();
      case 'drop':
        return; // the host's other threads may use the connection
      case 'metrics':
        this.#metrics.get(message.id)?.(message.text);
        this.#metrics.delete(message.id);
        return;
      default:
        message satisfies never;
    }
  }

  /** Calls reach the actor from now on. */
  #serve(serviceName: string, methods: ReadonlySet<string>): void {
    const { servedServices, dispatcher, server } = this.#serving;
    this.#serviceName = serviceName;
    servedServices.add(serviceName);
    this.#target = this.#targetOf(methods);
    dispatcher.addActor(this.#actorId, this.#target);
    this.#post({ kind: server.isExposed(serviceName) ? 'exposed' : 'describe' });
  }

  #targetOf(methods: ReadonlySet<string>): ThreadTarget {
    return {
      kind: 'thread',
      methods,
      dispatch: ({ requests, ...call }: IncomingCall, output: CallOutput) => {
        const id = ++this.#lastId;
        this.#outputs.set(id, output);
        const request = ownBytes(call.request);
        const posted = { ...call, request, streamsRequests: requests !== null };
        this.#post({ kind: 'dispatch', id, call: posted }, request);
        if (requests !== null) this.#forward(id, requests);
        return {
          cancel: (reason) => {
            const code =
              reason instanceof CallError && reason.code === 'CANCELLED' ? 'CANCELLED' : 'UNAVAILABLE';
            this.#post({ kind: 'cancel', id, reason: reason.message, code });
          },
        };
      },
    };
  }

  /** Forwards the requests of a call to the actor. */
  #forward(id: number, requests: AsyncIterable<Uint8Array>): void {
    const outgoing = postingRequests(id, (message, bytes) => this.#post(message, bytes));
    this.#outgoing.set(id, outgoing);
    const sink = { send: (message: Uint8Array) => outgoing.put(message), endRequests: () => outgoing.end() };
    sendAll(requests, sink, () => !this.#outgoing.has(id)).catch((thrown: unknown) => {
      const reason = `its requests broke off: ${toError(thrown).message}`;
      this.#post({ kind: 'cancel', id, reason, code: 'CANCELLED' });
    });
  }

  #take(id: number): CallOutput | undefined {
    const output = this.#outputs.get(id);
    this.#outputs.delete(id);
    this.#outgoing.get(id)?.close();
    this.#outgoing.delete(id);
    return output;
  }

  #forgetStarted(id: number): void {
    this.#started.delete(id);
    this.#incoming.delete(id);
  }

  /** A message that cannot be passed on ends its call, and nothing else here. */
  #pass(id: number, bytes: Uint8Array): void {
    try {
      const room = this.#outputs.get(id)?.message(bytes) ?? null;
      if (room === null) this.#post({ kind: 'room', id });
      else void room.then(() => this.#post({ kind: 'room', id }));
    } catch (thrown) {
      this.#take(id)?.fail(failureOf(thrown));
      const reason = `its answers broke off: ${toError(thrown).message}`;
      this.#post({ kind: 'cancel', id, reason, code: 'CANCELLED' });
    }
  }

  #start(id: number, address: string, call: CallStart): void {
    const started = this.#serving.pool.start(address, call, {
      message: (bytes) => {
        const own = ownBytes(bytes);
        this.#post({ kind: 'message', id, bytes: own }, own);
      },
      end: (failure) => {
        this.#forgetStarted(id);
        this.#post({ kind: 'end', id, failure: failure && postedFailure(failure) });
      },
    });
    this.#started.set(id, started);
    if (call.streamsRequests !== true) return;
    const incoming = new IncomingRequests((allowed) => this.#post({ kind: 'requests-allowed', id, allowed }));
    this.#incoming.set(id, incoming);
    sendAll(incoming, started, () => !this.#started.has(id)).catch((thrown: unknown) => {
      if (!this.#started.has(id)) return;
      started.cancel();
      this.#forgetStarted(id);
      this.#post({ kind: 'end', id, failure: failureOf(thrown) });
    });
  }
}

/** Errors lose their own fields when they are posted; plain objects do not. */
function postedFailure({ code, message, kind, thrown }: WireError): Failure {
  return { code, message, kind, ...(thrown && { thrown: ownBytes(thrown) }) };
}

function failureOf(thrown: unknown): Failure {
  const code = thrown instanceof CallError ? thrown.code : 'INTERNAL';
  return { code, message: toError(thrown).message, kind: 'status' };
}
