/** The host's end of one actor thread's port. */

import { receiveMessageOnPort } from 'node:worker_threads';
import type { MessagePort } from 'node:worker_threads';
import { CallError } from './call-errors.ts';
import type { CallOutput, IncomingCall, ThreadTarget } from './dispatcher.ts';
import { describedService } from './protos.ts';
import type { ServingProcess } from './serving-process.ts';
import { ownBytes } from './thread-protocol.ts';
import type { FromThread, ToThread } from './thread-protocol.ts';
import type { CallStart, StartedCall } from './transport/caller.ts';

export class HostPort {
  readonly #port: MessagePort;
  readonly #serving: ServingProcess;
  readonly #actorId: string;
  readonly #outputs = new Map<number, CallOutput>();
  readonly #started = new Map<number, StartedCall>();
  readonly #metrics = new Map<number, (text: string) => void>();
  #serviceName = '';
  #lastId = 0;

  constructor(port: MessagePort, serving: ServingProcess, actorId: string) {
    this.#port = port;
    this.#serving = serving;
    this.#actorId = actorId;
    port.on('message', (message: FromThread) => this.#receive(message));
  }

  /** Asks the actor to end cleanly. */
  stop(): void {
    this.#post({ kind: 'stop' });
  }

  /** The thread's metrics page; empty when the thread ended meanwhile. */
  metrics(): Promise<string> {
    return new Promise((resolve) => {
      const id = ++this.#lastId;
      this.#metrics.set(id, resolve);
      this.#post({ kind: 'metrics', id });
    });
  }

  /** The thread has ended: what it said still counts, then its calls, both ways, fail. */
  close(): void {
    for (let last; (last = receiveMessageOnPort(this.#port)) !== undefined;) {
      this.#receive(last.message as FromThread);
    }
    this.#port.close();
    this.#removeActor();
    for (const output of this.#outputs.values()) {
      output.fail({ code: 'UNAVAILABLE', message: 'its thread ended', kind: null });
    }
    for (const started of this.#started.values()) started.cancel();
    for (const resolve of this.#metrics.values()) resolve('');
  }

  /** A service that no actor is left of is not served any more. */
  #removeActor(): void {
    const { dispatcher, servedServices } = this.#serving;
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
      case 'serving': {
        const { serviceName, methods } = message;
        this.#serviceName = serviceName;
        this.#serving.servedServices.add(serviceName);
        this.#serving.dispatcher.addActor(this.#actorId, this.#target(new Set(methods)));
        return this.#post({ kind: this.#serving.server.isExposed(serviceName) ? 'exposed' : 'describe' });
      }
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
        this.#started.delete(message.id);
        return;
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

  #target(methods: ReadonlySet<string>): ThreadTarget {
    return {
      kind: 'thread',
      methods,
      dispatch: (call: IncomingCall, output: CallOutput) => {
        const id = ++this.#lastId;
        this.#outputs.set(id, output);
        const request = ownBytes(call.request);
        this.#post({ kind: 'dispatch', id, call: { ...call, request } }, request);
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

  #take(id: number): CallOutput | undefined {
    const output = this.#outputs.get(id);
    this.#outputs.delete(id);
    return output;
  }

  #pass(id: number, bytes: Uint8Array): void {
    const room = this.#outputs.get(id)?.message(bytes) ?? null;
    if (room === null) this.#post({ kind: 'room', id });
    else void room.then(() => this.#post({ kind: 'room', id }));
  }

  #start(id: number, address: string, call: CallStart): void {
    const started = this.#serving.pool.start(address, call, {
      message: (bytes) => {
        const own = ownBytes(bytes);
        this.#post({ kind: 'message', id, bytes: own }, own);
      },
      end: (failure) => {
        this.#started.delete(id);
        const plain = failure && { code: failure.code, message: failure.message, kind: failure.kind };
        this.#post({ kind: 'end', id, failure: plain });
      },
    });
    this.#started.set(id, started);
  }
}
