/**
 * One thread of an actor, as its node's supervisor sees it. It resembles a process (actor-process.ts), but is run by
 * the node's thread host, a process that is an actor itself and starts with the first thread.
 */

import { closeSync } from 'node:fs';
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

/** The thread host of one node. */
export class ThreadHost {
  readonly #system: ActorSystem;
  readonly #actorId: string;
  #handle: Promise<ActorHandle<ThreadHostServiceClient>> | null = null;

  /** `node` places actors on this node. */
  constructor(node: NodeApi, transport: Transport, nodeId: string) {
    this.#system = new ActorSystem({ node, transport });
    this.#actorId = `${THREAD_HOST_TYPE}-${nodeId}`;
  }

  /** Starts a thread. @throws UserError when its log cannot be written. */
  start(options: ActorProcessOptions): ActorProcess {
    const { file, size } = openLog(options.logPath);
    closeSync(file);
    const controller = new AbortController();
    const { actorId, incarnation } = options.environment;
    return {
      pid: null,
      ended: this.#run(options, controller.signal, size),
      signal: (name) => {
        if (name === 'SIGKILL') controller.abort(new Error('killed'));
        else this.#stop(actorId, incarnation);
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

  /** The host's process, started at the first call. */
  #host(): Promise<ActorHandle<ThreadHostServiceClient>> {
    this.#handle ??= this.#system.spawn(threadHostType, { actorId: this.#actorId });
    return this.#handle;
  }

  async #run(options: ActorProcessOptions, signal: AbortSignal, logSize: number): Promise<ProcessEnd> {
    const { entry, environment, env, logPath, onBeat } = options;
    const end = (exitCode: number | null, exitSignal: string | null): ProcessEnd => ({
      exitCode,
      exitSignal,
      lastLogLines: linesOrReason(logPath, logSize),
      startError: null,
    });
    try {
      const host = await this.#host();
      // A killed host restarts: waiting for it costs its threads no restart.
      await this.#system.ready(this.#actorId, { signal });
      const request = { environmentJson: JSON.stringify({ ...environment, env }), entry, logPath };
      const messages = host.runThread(request, { signal, deadlineMs: Infinity });
      for await (const { ended, exitCode, busyMs, methods } of messages) {
        if (ended) return end(exitCode, null);
        onBeat({ busyMs, methods });
      }
      return end(null, 'SIGKILL');
    } catch (thrown) {
      if (signal.aborted) return end(null, 'SIGKILL');
      return {
        ...end(null, null),
        startError: new Error(`its thread host failed: ${toError(thrown).message}`),
      };
    }
  }

  #stop(actorId: string, incarnation: number): void {
    this.#host()
      .then((host) => host.stopThread({ actorId, incarnation }))
      .catch(() => undefined); // the host is gone, and the thread with it
  }
}
