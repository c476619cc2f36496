/** The coordinator's API, for its callers and for its server; loads nothing of the coordinator itself. */
import { loadService } from '../../actors/proto/protos.ts';
import type {
  CoordinatorServiceClient,
  CoordinatorServiceHandlers,
} from '../../gen/ballast/v1/CoordinatorService.ts';

export const coordinatorService = loadService<CoordinatorServiceClient, CoordinatorServiceHandlers>(
  'ballast/v1/coordinator.proto',
  'ballast.v1.CoordinatorService',
);
