/** The classifier trainer's process: one network thread, one compute thread. */
import { join } from 'node:path';
import { computeThread } from '../../actors/compute/compute-thread.ts';
import { loadService } from '../../actors/proto/protos.ts';
import type { Service } from '../../actors/proto/protos.ts';
import { serveActor } from '../../actors/serve.ts';
import { bundleRoot } from '../../common/package-root.ts';
import type {
  ClassifierTrainerServiceClient,
  ClassifierTrainerServiceHandlers,
} from '../../gen/ballast/v1/ClassifierTrainerService.ts';
import type { TrainerOperations } from './compute.ts';
import { trainerHandlers } from './handler.ts';

const service: Service<ClassifierTrainerServiceClient, ClassifierTrainerServiceHandlers> = loadService(
  'ballast/v1/classifier_trainer.proto',
  'ballast.v1.ClassifierTrainerService',
);

/** Resolves once the actor is registered. */
export const main = serveActor({
  service,
  start: (runtime) => {
    const thread = computeThread<TrainerOperations>(
      join(bundleRoot(), 'services/classifier-trainer/compute.js'),
      {
        log: runtime.log,
      },
    );
    return { handlers: trainerHandlers(runtime, thread), onStop: () => thread.close() };
  },
});
