/** The thread host's process: runs light actors in threads, and carries their calls in both directions. */

import { join } from 'node:path';
import { MessageChannel, type Worker } from 'node:worker_threads';
import { onAbort } from '../../common/abort.ts';
import type {
  ThreadHostServiceClient,
  ThreadHostServiceHandlers,
} from '../../gen/ballast/runtime/v1/ThreadHostService.ts';
import { toError } from '../../common/errors.ts';
import { bundleRoot } from '../../common/package-root.ts';
import type { ActorEnvironment } from '../status/actor-environment.ts';
import { serveInProcess } from '../actor/actor-main.ts';
import type { CallContext } from '../calls/call.ts';
import { HostPort } from './host-port.ts';
import type { Implementation } from '../proto/protos.ts';
import { threadHostService } from '../proto/runtime-services.ts';
import type { ServingProcess } from '../serving/serving-process.ts';
import { SpareThreads } from './spare-threads.ts';
import { appendToLog } from './thread-log.ts';
import type { ThreadData } from './thread-protocol.ts';
import { AsyncQueue } from '../base/async-queue.ts';
import type { ActivityWatch } from '../base/activity.ts';
import type { RunThreadResponse } from '../../gen/ballast/runtime/v1/RunThreadResponse.ts';

const THREAD_PROGRAM = join(bundleRoot(), 'actors', 'threads', 'thread-main.js');

/** Exit code of a thread that was killed. */
const KILLED = 137;

function beatOf(watch: ActivityWatch): Pick<RunThreadResponse, 'busyMs' | 'methods'> {
  const { busyMs, methods } = watch.look();
  return { busyMs, methods: [...methods] };
}

/** The threads that run actors. */
class HostedThreads {
  readonly #serving: ServingProcess;
  readonly #spare: SpareThreads;
  readonly #threads = new Map<string, { readonly worker: Worker; readonly port: HostPort }>();

  constructor(serving: ServingProcess, spare: SpareThreads) {
    this.#serving = serving;
    this.#spare = spare;
  }

  handlers(): Implementation<ThreadHostServiceHandlers, CallContext> {
    return {
      runThread: ({ entry, environmentJson, logPath }, { signal }) =>
        this.#run(entry, JSON.parse(environmentJson) as ActorEnvironment, logPath, signal),
      stopThread: ({ actorId, incarnation, atOnce }) => {
        const key = keyOf(actorId, incarnation);
        if (atOnce) this.#kill(key);
        else this.#threads.get(key)?.port.stop();
      },
    };
  }

  /** Its calls fail now: a thread within native code ends only when that returns. */
  #kill(key: string): void {
    const thread = this.#threads.get(key);
    thread?.port.close();
    void thread?.worker.terminate();
  }

  /** Starts a thread and follows it: a message at its start, at every beat, and at its end. An abort kills it. */
  async *#run(entry: string, environment: ActorEnvironment, logPath: string, signal: AbortSignal) {
    const { ended, port } = this.#start(entry, environment, logPath);
    const messages = new AsyncQueue<RunThreadResponse>();
    onAbort(signal, () => this.#kill(keyOf(environment.actorId, environment.incarnation)));
    messages.push({ ended: false });
    let beating: NodeJS.Timeout | undefined;
    port.onActivity = (watch, everyMs) => {
      beating = setInterval(() => messages.push({ ended: false, ...beatOf(watch) }), everyMs).unref();
    };
    void ended.then((exitCode) => {
      clearInterval(beating);
      messages.push({ ended: true, exitCode: signal.aborted ? KILLED : exitCode });
      messages.close();
    });
    yield* messages.iterate();
  }

  #start(entry: string, environment: ActorEnvironment, logPath: string) {
    const { actorId, incarnation } = environment;
    const path = `threads/${actorId}`;
    const key = keyOf(actorId, incarnation);
    const { port1, port2 } = new MessageChannel();
    const data: ThreadData = {
      ...{ port: port2, environment, entry, logPath },
      address: this.#serving.address,
      metricsAddress: `${this.#serving.metricsAddress}/${path}`,
    };
    const worker = this.#spare.take();
    worker.postMessage(data, [port2]);
    const port = new HostPort(port1, this.#serving, actorId);
    const stopServing = this.#serving.serveMetricsOf(path, () => port.metrics());
    this.#threads.set(key, { worker, port });
    const ended = new Promise<number>((resolve) => {
      worker.once('error', (thrown: unknown) => appendToLog(logPath, `${toError(thrown).stack}\n`));
      worker.once('exit', (code) => {
        this.#threads.delete(key);
        stopServing();
        port.close();
        resolve(code);
      });
    });
    return { ended, port };
  }
}

function keyOf(actorId: string, incarnation: number): string {
  return `${actorId}/${incarnation}`;
}

/** Resolves once the actor is registered. */
export const main = serveInProcess<ThreadHostServiceClient, ThreadHostServiceHandlers>({
  service: threadHostService,
  start: (_runtime, serving) => {
    const { log } = serving.dispatcher;
    const threads = new SpareThreads(THREAD_PROGRAM, (error) =>
      log.error('a spare thread failed', { error }),
    );
    return { handlers: new HostedThreads(serving, threads).handlers(), onStop: () => threads.close() };
  },
});
