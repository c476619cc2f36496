/** The runtime's own services. */

import type { EventServiceClient, EventServiceHandlers } from '../../gen/ballast/runtime/v1/EventService.ts';
import type { NodeServiceClient, NodeServiceHandlers } from '../../gen/ballast/runtime/v1/NodeService.ts';
import type {
  ObjectServiceClient,
  ObjectServiceHandlers,
} from '../../gen/ballast/runtime/v1/ObjectService.ts';
import { givingBackChunks } from './chunk-buffers.ts';
import type {
  RegistryServiceClient,
  RegistryServiceHandlers,
} from '../../gen/ballast/runtime/v1/RegistryService.ts';
import type {
  ThreadHostServiceClient,
  ThreadHostServiceHandlers,
} from '../../gen/ballast/runtime/v1/ThreadHostService.ts';
import { loadService } from './protos.ts';

export const nodeService = loadService<NodeServiceClient, NodeServiceHandlers>(
  'ballast/runtime/v1/node.proto',
  'ballast.runtime.v1.NodeService',
);

export const objectService = givingBackChunks(
  loadService<ObjectServiceClient, ObjectServiceHandlers>(
    'ballast/runtime/v1/object.proto',
    'ballast.runtime.v1.ObjectService',
  ),
  'pull',
);

export const eventService = loadService<EventServiceClient, EventServiceHandlers>(
  'ballast/runtime/v1/event.proto',
  'ballast.runtime.v1.EventService',
);

export const registryService = loadService<RegistryServiceClient, RegistryServiceHandlers>(
  'ballast/runtime/v1/registry.proto',
  'ballast.runtime.v1.RegistryService',
);

export const threadHostService = loadService<ThreadHostServiceClient, ThreadHostServiceHandlers>(
  'ballast/runtime/v1/thread_host.proto',
  'ballast.runtime.v1.ThreadHostService',
);
