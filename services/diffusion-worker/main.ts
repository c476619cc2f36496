/** The diffusion worker's process: one network thread, one compute thread. */
import { join } from 'node:path';
import { computeThread } from '../../actors/compute/compute-thread.ts';
import { loadService } from '../../actors/proto/protos.ts';
import type { Service } from '../../actors/proto/protos.ts';
import { serveActor } from '../../actors/serve.ts';
import { bundleRoot } from '../../common/package-root.ts';
import type {
  DiffusionWorkerServiceClient,
  DiffusionWorkerServiceHandlers,
} from '../../gen/ballast/v1/DiffusionWorkerService.ts';
import type { WorkerOperations } from './compute.ts';
import { workerHandlers } from './handler.ts';

const service: Service<DiffusionWorkerServiceClient, DiffusionWorkerServiceHandlers> = loadService(
  'ballast/v1/diffusion_worker.proto',
  'ballast.v1.DiffusionWorkerService',
);

/** Resolves once the actor is registered. */
export const main = serveActor({
  service,
  start: (runtime) => {
    const thread = computeThread<WorkerOperations>(
      join(bundleRoot(), 'services/diffusion-worker/compute.js'),
      {
        log: runtime.log,
      },
    );
    return { handlers: workerHandlers(runtime, thread), onStop: () => thread.close() };
  },
});
