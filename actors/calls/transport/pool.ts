/** The links of a process: one for each address that it calls or that calls it. */

import type * as grpc from '@grpc/grpc-js';
import { randomUUID } from 'node:crypto';
import type { Dispatcher } from '../dispatcher.ts';
import { Caller, type CallSink, type CallStart, type StartedCall } from './caller.ts';
import { Callee } from './callee.ts';
import { Channel, type ChannelListener, type FrameDuplex } from './channel.ts';
import type { Faults } from './faults.ts';
import { CONNECT_PATH, decodeFrame, encodeFrame, type Frame, type Hello, type Reply } from './frames.ts';

export interface LinkPoolOptions {
  /** A gRPC client of an address. */
  readonly client: (address: string) => grpc.Client;
  readonly metadata: () => grpc.Metadata;
  /** Answers incoming calls; null in a process that serves nothing. */
  readonly dispatcher: Dispatcher | null;
  /** host:port at which this process can be called; empty for nowhere. */
  readonly ownAddress?: () => string;
  readonly faults?: Faults | null;
}

export class LinkPool {
  readonly #options: LinkPoolOptions;
  readonly #processId = randomUUID();
  readonly #callers = new Map<string, Caller>();
  readonly #callee: Callee | null;
  readonly #accepted = new Set<Channel>();

  constructor(options: LinkPoolOptions) {
    this.#options = options;
    this.#callee = options.dispatcher === null ? null : new Callee(options.dispatcher);
  }

  /** Starts a call. */
  start(address: string, call: CallStart, sink: CallSink): StartedCall {
    return this.#caller(address).start(call, sink);
  }

  /** Accepts the stream that another process opened (the handler of `Connect`). */
  accept(duplex: FrameDuplex): void {
    const link: LinkListener = new LinkListener(this.#callee, (hello) => {
      if (hello.address === '') return null;
      const caller = this.#caller(hello.address);
      caller.adopt(link.channel, hello);
      return caller; // when both sides have dialled, answers to the calls of one arrive on the channel of the other
    });
    const channel = new Channel(duplex, this.#hello(), link, this.#options.faults);
    link.channel = channel;
    this.#accepted.add(channel);
    link.onGone = () => {
      this.#accepted.delete(channel);
      duplex.end();
    };
  }

  /** Forgets an address whose process is gone: its calls fail, and nothing reconnects. */
  drop(address: string): void {
    this.#callers.get(address)?.close();
    this.#callers.delete(address);
  }

  close(): void {
    for (const caller of this.#callers.values()) caller.close();
    this.#callers.clear();
    this.#callee?.close();
    for (const channel of [...this.#accepted]) channel.close();
  }

  #caller(address: string): Caller {
    let caller = this.#callers.get(address);
    if (caller === undefined) {
      caller = new Caller(address, () => this.#dial(address));
      this.#callers.set(address, caller);
    }
    return caller;
  }

  #dial(address: string): Channel {
    const duplex = this.#options
      .client(address)
      .makeBidiStreamRequest(CONNECT_PATH, encodeFrame, decodeFrame, this.#options.metadata());
    const caller = this.#callers.get(address)!;
    const link = new LinkListener(this.#callee, (hello) => {
      caller.onHello(hello);
      return caller;
    });
    const channel = new Channel(duplex, this.#hello(), link, this.#options.faults);
    link.caller = caller;
    link.channel = channel;
    return channel;
  }

  #hello(): Hello {
    return { processId: this.#processId, address: this.#options.ownAddress?.() ?? '' };
  }
}

/** Routes what arrives on one channel: requests to their caller's session, replies to our caller. */
class LinkListener implements ChannelListener {
  readonly #callee: Callee | null;
  readonly #greet: (hello: Hello) => Caller | null;
  channel!: Channel;
  caller: Caller | null = null;
  onGone: () => void = () => undefined;

  constructor(callee: Callee | null, greet: (hello: Hello) => Caller | null) {
    this.#callee = callee;
    this.#greet = greet;
  }

  get answeredBelow(): number {
    return this.caller?.answeredBelow ?? 0;
  }

  onHello(hello: Hello): void {
    this.caller = this.#greet(hello);
  }

  onRequests(frame: Frame): void {
    this.#callee?.onRequests(frame, this.channel);
  }

  onReply(reply: Reply): void {
    this.caller?.onReply(reply);
  }

  onClose(error: Error | null): void {
    this.caller?.onClose(this.channel, error);
    this.#callee?.onClose(this.channel);
    this.onGone();
  }
}
