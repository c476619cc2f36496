/**
 * One thread of an actor, as its node's supervisor sees it. It resembles a process (actor-process.ts), but is run by
 * the node's thread host, a process that is an actor itself and starts with the first thread.
 */

import { closeSync } from 'node:fs';
import { whenAborted } from '../../common/abort.ts';
import { toError } from '../../common/errors.ts';
import type {
  ThreadHostServiceClient,
  ThreadHostServiceHandlers,
} from '../../gen/ballast/runtime/v1/ThreadHostService.ts';
import { linesOrReason, openLog } from '../supervisor/actor-process.ts';
import type { ActorProcess, ActorProcessOptions, ProcessEnd } from '../supervisor/actor-process.ts';
import type { ActorHandle } from '../system/handle.ts';
import type { ActorType } from '../system/actor-type.ts';
import { threadHostService } from '../proto/runtime-services.ts';
import { ActorSystem } from '../system/system.ts';
import type { NodeApi } from '../status/status.ts';
import type { Transport } from '../calls/transport.ts';

export const THREAD_HOST_TYPE = 'thread-host';

const threadHostType: ActorType<ThreadHostServiceClient, ThreadHostServiceHandlers> = {
  name: THREAD_HOST_TYPE,
  entry: 'actors/threads/thread-host.js',
  service: threadHostService,
  defaults: { maxConcurrency: 1_000_000, restart: { maxRestarts: 100, initialBackoffMs: 50 } },
};

/** Maximum wait for the end of a killed thread: one within native code ends only when that returns. */
const KILL_MS = 10_000;

/** The thread host of one node. */
export class ThreadHost {
  readonly #system: ActorSystem;
  readonly #actorId: string;
  /** The latest thread of each actor, until it is gone: the actor's next one waits for it. */
  readonly #latest = new Map<string, Promise<ProcessEnd>>();
  #handle: Promise<ActorHandle<ThreadHostServiceClient>> | null = null;
  #isStarting = false;

  /** `node` places actors on this node. */
  constructor(node: NodeApi, transport: Transport, nodeId: string) {
    this.#system = new ActorSystem({ node, transport });
    this.#actorId = `${THREAD_HOST_TYPE}-${nodeId}`;
  }

  /**
   * Starts a thread, when the actor's former one is gone. It has ended for everybody as soon as it is killed: one within
   * native code is gone only when that returns. @throws UserError when its log cannot be written.
   */
  start(options: ActorProcessOptions): ActorProcess {
    const { file, size } = openLog(options.logPath);
    closeSync(file);
    const [killed, overdue] = [new AbortController(), new AbortController()];
    const { actorId, incarnation } = options.environment;
    const gone = this.#run(options, killed.signal, overdue.signal, size);
    this.#latest.set(actorId, gone);
    void gone.then(() => {
      if (this.#latest.get(actorId) === gone) this.#latest.delete(actorId);
    });
    return {
      pid: null,
      ended: Promise.race([
        gone,
        whenAborted(killed.signal).then(() => endOf(options, size, null, 'SIGKILL')),
      ]),
      signal: (name) => {
        this.#stop({ actorId, incarnation, atOnce: name === 'SIGKILL' });
        if (name === 'SIGTERM') return;
        killed.abort(new Error('killed'));
        setTimeout(() => overdue.abort(killed.signal.reason), KILL_MS).unref();
      },
    };
  }

  /** The host ended permanently with everything else here; the next thread gets a new one. */
  forget(): void {
    this.#handle = null;
  }

  async close(): Promise<void> {
    await this.#system.close();
  }

  /** The host's process, started at the first call, and again after its permanent end. */
  #host(): Promise<ActorHandle<ThreadHostServiceClient>> {
    if (!this.#isStarting && this.#system.status(this.#actorId)?.state === 'dead') this.forget();
    this.#handle ??= this.#startHost();
    return this.#handle;
  }

  async #startHost(): Promise<ActorHandle<ThreadHostServiceClient>> {
    this.#isStarting = true;
    try {
      return await this.#system.spawn(threadHostType, { actorId: this.#actorId });
    } catch (thrown) {
      this.forget();
      throw thrown;
    } finally {
      this.#isStarting = false;
    }
  }

  async #run(
    options: ActorProcessOptions,
    killed: AbortSignal,
    overdue: AbortSignal,
    logSize: number,
  ): Promise<ProcessEnd> {
    const { entry, environment, env, logPath, onBeat } = options;
    const end = (exitCode: number | null, exitSignal: string | null) =>
      endOf(options, logSize, exitCode, exitSignal);
    try {
      await Promise.race([this.#latest.get(environment.actorId), whenAborted(killed)]);
      const host = await this.#host();
      // A killed host restarts: waiting for it costs its threads no restart.
      await this.#system.ready(this.#actorId, { signal: killed });
      killed.throwIfAborted();
      const request = { environmentJson: JSON.stringify({ ...environment, env }), entry, logPath };
      const messages = host.runThread(request, { signal: overdue, deadlineMs: Infinity });
      for await (const { ended, exitCode, busyMs, methods } of messages) {
        if (ended) return killed.aborted ? end(null, 'SIGKILL') : end(exitCode, null);
        onBeat({ busyMs, methods });
      }
      return end(null, 'SIGKILL');
    } catch (thrown) {
      if (killed.aborted) return end(null, 'SIGKILL');
      return {
        ...end(null, null),
        startError: new Error(`its thread host failed: ${toError(thrown).message}`),
      };
    }
  }

  #stop(request: { actorId: string; incarnation: number; atOnce: boolean }): void {
    this.#handle?.then((host) => host.stopThread(request)).catch(() => undefined); // the host is gone, and the thread with it
  }
}

function endOf(
  { logPath }: ActorProcessOptions,
  logSize: number,
  exitCode: number | null,
  exitSignal: string | null,
): ProcessEnd {
  return { exitCode, exitSignal, lastLogLines: linesOrReason(logPath, logSize), startError: null };
}
