/** The thread host's process: runs light actors in threads, and carries their calls in both directions. */

import { fileURLToPath } from 'node:url';
import { MessageChannel } from 'node:worker_threads';
import type {
  ThreadHostServiceClient,
  ThreadHostServiceHandlers,
} from '../../gen/ballast/runtime/v1/ThreadHostService.ts';
import type { ActorEnvironment } from '../status/actor-environment.ts';
import { serveInProcess } from '../actor/actor-main.ts';
import type { CallContext } from '../calls/call.ts';
import { HostPort } from './host-port.ts';
import type { Implementation } from '../proto/protos.ts';
import { threadHostService } from '../proto/runtime-services.ts';
import type { ServingProcess } from '../serving/serving-process.ts';
import { SpareThreads } from './spare-threads.ts';
import type { ThreadData } from './thread-protocol.ts';
import { AsyncQueue } from '../base/async-queue.ts';
import type { ActivityWatch } from '../base/activity.ts';
import type { RunThreadResponse } from '../../gen/ballast/runtime/v1/RunThreadResponse.ts';

const THREAD_PROGRAM = fileURLToPath(new URL('./thread-main.js', import.meta.url));

/** Exit code of a thread that was killed. */
const KILLED = 137;

function beatOf(watch: ActivityWatch): Pick<RunThreadResponse, 'busyMs' | 'methods'> {
  const { busyMs, methods } = watch.look();
  return { busyMs, methods: [...methods] };
}

function threadHandlers(
  serving: ServingProcess,
  threads: SpareThreads,
): Implementation<ThreadHostServiceHandlers, CallContext> {
  const { log } = serving.dispatcher;
  const ports = new Map<string, HostPort>();
  const keyOf = (actorId: string, incarnation: number) => `${actorId}/${incarnation}`;

  function startThread(entry: string, environment: ActorEnvironment, logPath: string) {
    const { actorId, incarnation } = environment;
    const path = `threads/${actorId}`;
    const { port1, port2 } = new MessageChannel();
    const data: ThreadData = {
      ...{ port: port2, environment, entry, logPath },
      address: serving.address,
      metricsAddress: `${serving.metricsAddress}/${path}`,
    };
    const worker = threads.take();
    worker.postMessage(data, [port2]);
    const port = new HostPort(port1, serving, actorId);
    const stopServing = serving.serveMetricsOf(path, () => port.metrics());
    ports.set(keyOf(actorId, incarnation), port);
    const ended = new Promise<number>((resolve) => {
      worker.once('error', (error) => log.error('a thread failed', { actorId, error }));
      worker.once('exit', (code) => {
        ports.delete(keyOf(actorId, incarnation));
        stopServing();
        port.close();
        resolve(code);
      });
    });
    return { worker, ended, port };
  }

  return {
    async *runThread({ entry, environmentJson, logPath }, { signal }) {
      const environment = JSON.parse(environmentJson) as ActorEnvironment;
      const { worker, ended, port } = startThread(entry, environment, logPath);
      const messages = new AsyncQueue<RunThreadResponse>();
      const onAbort = () => void worker.terminate();
      signal.addEventListener('abort', onAbort, { once: true });
      if (signal.aborted) onAbort();
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
    },
    stopThread({ actorId, incarnation }) {
      ports.get(keyOf(actorId, incarnation))?.stop();
      return {};
    },
  };
}

await serveInProcess<ThreadHostServiceClient, ThreadHostServiceHandlers>({
  service: threadHostService,
  start: (_runtime, serving) => {
    const { log } = serving.dispatcher;
    const threads = new SpareThreads(THREAD_PROGRAM, (error) =>
      log.error('a spare thread failed', { error }),
    );
    return { handlers: threadHandlers(serving, threads), onStop: () => threads.close() };
  },
});
