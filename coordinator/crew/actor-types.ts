/** The kinds of actors of a run: what each serves, and where its program is. */
import type { ActorType } from '../../actors/system/actor-type.ts';
import { loadService } from '../../actors/proto/protos.ts';
import type {
  ClassifierTrainerServiceClient,
  ClassifierTrainerServiceHandlers,
} from '../../gen/ballast/v1/ClassifierTrainerService.ts';
import type {
  RunDriverServiceClient,
  RunDriverServiceHandlers,
} from '../../gen/ballast/v1/RunDriverService.ts';
import type {
  DiffusionWorkerServiceClient,
  DiffusionWorkerServiceHandlers,
} from '../../gen/ballast/v1/DiffusionWorkerService.ts';

export const coordinatorType: ActorType<RunDriverServiceClient, RunDriverServiceHandlers> = {
  name: 'coordinator',
  entry: 'coordinator/main.js',
  service: loadService('ballast/v1/run_driver.proto', 'ballast.v1.RunDriverService'),
  defaults: { maxConcurrency: 64 },
};

// No method of these two is retried by its handle: the run loop decides what is done again, and where.
export const trainerType: ActorType<ClassifierTrainerServiceClient, ClassifierTrainerServiceHandlers> = {
  name: 'classifier-trainer',
  entry: 'services/classifier-trainer/main.js',
  service: loadService('ballast/v1/classifier_trainer.proto', 'ballast.v1.ClassifierTrainerService'),
  defaults: { maxConcurrency: 64 }, // pulls objects while its compute thread is busy
};

export const workerType: ActorType<DiffusionWorkerServiceClient, DiffusionWorkerServiceHandlers> = {
  name: 'diffusion-worker',
  entry: 'services/diffusion-worker/main.js',
  service: loadService('ballast/v1/diffusion_worker.proto', 'ballast.v1.DiffusionWorkerService'),
  defaults: { maxConcurrency: 8 }, // likewise
};
