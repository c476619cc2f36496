/** The thread's half of compute-thread.ts: answers calls in a worker thread. */

import { parentPort, type TransferListItem } from 'node:worker_threads';
import { toError, UserError } from '../../common/errors.ts';
import type { FromThread, ThreadError, ToThread } from './compute-protocol.ts';

/** The context of a call for its operation. */
export interface ComputeContext {
  /** Whether the caller has cancelled. Correct even while the thread never returns to its event loop. */
  isCancelled(): boolean;
  /** @throws Error when the caller has cancelled; call it between two graph runs. */
  throwIfCancelled(): void;
  /** Reports progress before the result. */
  progress(value: unknown): void;
}

/** A result whose buffers are transferred instead of copied. */
class Transferred {
  readonly value: unknown;
  readonly transfer: readonly TransferListItem[];

  constructor(value: unknown, transfer: readonly TransferListItem[]) {
    this.value = value;
    this.transfer = transfer;
  }
}

/** Return this from an operation to transfer `buffers` with `value`; the thread cannot use them afterwards. */
export function withTransfer<T>(value: T, buffers: readonly TransferListItem[]): T {
  return new Transferred(value, buffers) as T;
}

type Operation = (payload: unknown, context: ComputeContext) => unknown;

function describe(thrown: unknown): ThreadError {
  const error = toError(thrown);
  const { name, message, stack } = error;
  return { isUserError: error instanceof UserError, name, message, stack };
}

function contextOf(call: ToThread, send: (message: FromThread) => void): ComputeContext {
  const isCancelled = () => Atomics.load(call.cancelled, 0) === 1;
  return {
    isCancelled,
    throwIfCancelled() {
      if (isCancelled()) throw new Error(`${call.name} was cancelled`);
    },
    progress: (value) => send({ id: call.id, kind: 'progress', value }),
  };
}

/**
 * Answers the calls of this thread's owner: `serveComputeThread({ train: async (payload: TrainPayload, context) => … })`.
 * @throws Error outside a worker thread.
 */
export function serveComputeThread(
  operations: Readonly<Record<string, (payload: never, context: ComputeContext) => unknown>>,
): void {
  if (parentPort === null) throw new Error('serveComputeThread runs in a worker thread only');
  const port = parentPort;
  const send = (message: FromThread, transfer: readonly TransferListItem[] = []) =>
    port.postMessage(message, [...transfer]);

  const answer = async (call: ToThread) => {
    try {
      const operation = operations[call.name] as Operation | undefined;
      if (operation === undefined) throw new Error(`no compute operation '${call.name}'`);
      const result = await operation(call.payload, contextOf(call, send));
      const { value, transfer } = result instanceof Transferred ? result : new Transferred(result, []);
      send({ id: call.id, kind: 'result', value }, transfer);
    } catch (thrown) {
      send({ id: call.id, kind: 'error', error: describe(thrown) });
    }
  };
  port.on('message', (call: ToThread) => void answer(call));
}
