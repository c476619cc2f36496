/**
 * One worker thread for a process's heavy work, so that its network thread answers heartbeats and calls while a graph
 * runs for a minute. This is the caller's half; compute-worker.ts is the thread's.
 *
 * When the thread dies unexpectedly (out of memory, or a native crash that left the process alive), pending calls are
 * rejected and the process ends: its node starts a new one, instead of keeping a process that can do nothing.
 */

import { SHARE_ENV, type TransferListItem, Worker, type WorkerOptions } from 'node:worker_threads';
import { onAbort } from '../../common/abort.ts';
import { toError, UserError } from '../../common/errors.ts';
import type { Log } from '../../common/log.ts';
import { clippedText } from '../../common/plain-text.ts';
import { shown } from '../base/checks.ts';
import type { FromThread, ThreadError, ToThread } from './compute-protocol.ts';

type PayloadOf<Operation> = Operation extends (payload: infer Payload, ...rest: never[]) => unknown
  ? Payload
  : never;
type ResultOf<Operation> = Operation extends (...args: never[]) => infer Result ? Awaited<Result> : never;

export interface ComputeCallOptions {
  /** Buffers that are transferred instead of copied; the caller cannot use them afterwards. */
  readonly transfer?: readonly TransferListItem[];
  /** Rejects the call with the signal's reason at once; the thread notices at its next `throwIfCancelled`. */
  readonly signal?: AbortSignal;
  /** Receives the operation's progress reports. */
  readonly onProgress?: (value: unknown) => void;
}

export interface ComputeThread<Operations> {
  /**
   * Runs an operation in the thread; calls run one after another unless an operation awaits. @throws what the operation
   * throws.
   */
  call<Name extends keyof Operations & string>(
    name: Name,
    payload: PayloadOf<Operations[Name]>,
    options?: ComputeCallOptions,
  ): Promise<ResultOf<Operations[Name]>>;
  /** Ends the thread; pending calls are rejected. */
  close(): Promise<void>;
}

export interface ComputeThreadOptions {
  readonly log: Log;
  /** The thread's `workerData`. */
  readonly data?: unknown;
  /** Called when the thread dies unexpectedly; by default ends the process with code 1. */
  readonly onDeath?: (error: Error) => void;
}

interface PendingCall {
  resolve(value: unknown): void;
  reject(error: Error): void;
  readonly onProgress: ((value: unknown) => void) | undefined;
}

function fromThreadError({ isUserError, name, message, stack }: ThreadError): Error {
  if (isUserError) return new UserError(message);
  const error = new Error(message);
  error.name = name;
  if (stack !== undefined) error.stack = stack;
  return error;
}

/** @throws UserError if the module is invalid, or the data cannot be copied. */
function startWorker(entryModule: URL | string, options: WorkerOptions): Worker {
  try {
    return new Worker(entryModule, options);
  } catch (thrown) {
    const where = entryModule instanceof URL ? entryModule.href : shown(entryModule);
    throw new UserError(`computeThread of ${where}: ${clippedText(toError(thrown).message, 200)}`, {
      cause: thrown,
    });
  }
}

class WorkerComputeThread {
  readonly #worker: Worker;
  readonly #pending = new Map<number, PendingCall>();
  readonly #options: ComputeThreadOptions;
  #calls = 0;
  #end: Error | null = null;

  constructor(entryModule: URL | string, options: ComputeThreadOptions) {
    this.#options = options;
    // Libraries that the thread loads read the process's environment, so variables that the thread sets must take
    // effect there.
    this.#worker = startWorker(entryModule, { workerData: options.data, env: SHARE_ENV });
    this.#worker.on('message', (message: FromThread) => this.#receive(message));
    this.#worker.once('error', (error) => this.#die(error));
    this.#worker.once('exit', (code) => this.#die(new Error(`the compute thread exited with code ${code}`)));
  }

  call(name: string, payload: unknown, options: ComputeCallOptions = {}): Promise<unknown> {
    const { transfer = [], signal, onProgress } = options;
    return new Promise((resolve, reject) => {
      if (this.#end !== null) throw this.#end;
      signal?.throwIfAborted();
      const id = ++this.#calls;
      const cancelled = new Int32Array(new SharedArrayBuffer(4));
      const settle = onAbort(signal, () => {
        Atomics.store(cancelled, 0, 1);
        this.#pending.delete(id);
        reject(signal?.reason as Error);
      });
      this.#pending.set(id, {
        resolve: (value) => (settle(), resolve(value)),
        reject: (error) => (settle(), reject(error)),
        onProgress,
      });
      try {
        this.#worker.postMessage({ id, name, payload, cancelled } satisfies ToThread, transfer);
      } catch (thrown) {
        this.#pending.delete(id);
        settle();
        throw thrown; // a payload that cannot be cloned
      }
    });
  }

  async close(): Promise<void> {
    this.#fail(new Error('the compute thread was closed'));
    await this.#worker.terminate();
  }

  #receive(message: FromThread): void {
    const call = this.#pending.get(message.id);
    if (call === undefined) return; // cancelled
    switch (message.kind) {
      case 'progress':
        call.onProgress?.(message.value);
        return;
      case 'result':
        this.#pending.delete(message.id);
        call.resolve(message.value);
        return;
      case 'error':
        this.#pending.delete(message.id);
        call.reject(fromThreadError(message.error));
        return;
      default:
        message satisfies never;
    }
  }

  #fail(error: Error): void {
    this.#end ??= error;
    for (const call of this.#pending.values()) call.reject(this.#end);
    this.#pending.clear();
  }

  #die(error: Error): void {
    if (this.#end !== null) return;
    this.#fail(error);
    if (this.#options.onDeath !== undefined) {
      this.#options.onDeath(error);
      return;
    }
    this.#options.log.error('the compute thread died; the process ends', { error });
    process.exit(1);
  }
}

/**
 * Starts a thread from a built module that calls `serveComputeThread`:
 * `computeThread<typeof operations>(new URL('./compute.js', import.meta.url), { log })`. @throws UserError if the
 * module is invalid, or the data cannot be copied.
 */
export function computeThread<Operations>(
  entryModule: URL | string,
  options: ComputeThreadOptions,
): ComputeThread<Operations> {
  return new WorkerComputeThread(entryModule, options) as ComputeThread<Operations>;
}
