/** The thread host's process: runs light actors in threads, and carries their calls in both directions. */

import { Worker } from 'node:worker_threads';
import type {
  ThreadHostServiceClient,
  ThreadHostServiceHandlers,
} from '../gen/ballast/runtime/v1/ThreadHostService.ts';
import type { ActorEnvironment } from './actor-environment.ts';
import { serveInProcess } from './actor-main.ts';
import type { CallContext } from './dispatcher.ts';
import { HostPort } from './host-port.ts';
import type { Implementation } from './protos.ts';
import { threadHostService } from './runtime-services.ts';
import type { ServingProcess } from './serving-process.ts';
import type { ThreadData } from './thread-protocol.ts';
import { AsyncQueue } from './async-queue.ts';

/** Code that a thread ends with when it was killed. */
const KILLED = 137;

function threadHandlers(serving: ServingProcess): Implementation<ThreadHostServiceHandlers, CallContext> {
  const ports = new Map<string, HostPort>();
  const keyOf = (actorId: string, incarnation: number) => `${actorId}/${incarnation}`;

  function startThread(entry: string, environment: ActorEnvironment, logPath: string) {
    const { actorId, incarnation } = environment;
    const path = `threads/${actorId}`;
    const workerData: ThreadData = {
      ...{ environment, entry, logPath },
      address: serving.address,
      metricsAddress: `${serving.metricsAddress}/${path}`,
    };
    const worker = new Worker(entry, { workerData, stdout: false, stderr: false });
    const port = new HostPort(worker, serving, actorId);
    const stopServing = serving.serveMetricsOf(path, () => port.metrics());
    ports.set(keyOf(actorId, incarnation), port);
    const ended = new Promise<number>((resolve) => {
      worker.once('error', (error) => serving.dispatcher.log.error('a thread failed', { actorId, error }));
      worker.once('exit', (code) => {
        ports.delete(keyOf(actorId, incarnation));
        stopServing();
        port.close();
        resolve(code);
      });
    });
    return { worker, ended };
  }

  return {
    async *runThread({ entry, environmentJson, logPath }, { signal }) {
      const environment = JSON.parse(environmentJson) as ActorEnvironment;
      const { worker, ended } = startThread(entry, environment, logPath);
      const messages = new AsyncQueue<{ ended: boolean; exitCode: number }>();
      const onAbort = () => void worker.terminate();
      signal.addEventListener('abort', onAbort, { once: true });
      if (signal.aborted) onAbort();
      messages.push({ ended: false, exitCode: 0 });
      void ended.then((exitCode) => {
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
  start: (_runtime, serving) => ({ handlers: threadHandlers(serving) }),
});
