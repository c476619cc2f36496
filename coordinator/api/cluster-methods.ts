/** The public API's methods that show the cluster: its actors and nodes. */
import type { Implementation } from '../../actors/proto/protos.ts';
import type { NodeApi } from '../../actors/status/status.ts';
import type { CoordinatorServiceHandlers } from '../../gen/ballast/v1/CoordinatorService.ts';
import { byName } from './order.ts';
import { pageOf } from './pages.ts';
import { toActor, toNode } from './resources.ts';
import type { ApiCall } from './server.ts';
import { sizeOf } from './sizes.ts';

type Methods = Pick<Implementation<CoordinatorServiceHandlers, ApiCall>, 'listActors' | 'listNodes'>;

const PAGES = { usual: 100, most: 1000 };

export function clusterMethods(node: Pick<NodeApi, 'list' | 'listNodes'>): Methods {
  return {
    async listActors(request) {
      const { page, nextPageToken } = await pageOf(request, {
        items: (await node.list()).map(toActor),
        ...{ order: byName, limits: PAGES, scope: ['ListActors'] },
        toMessage: (actor) => actor,
        sizeOf: sizeOf('Actor'),
      });
      return { actors: page, nextPageToken };
    },
    async listNodes(request) {
      const { page, nextPageToken } = await pageOf(request, {
        items: (await node.listNodes()).map(toNode),
        ...{ order: byName, limits: PAGES, scope: ['ListNodes'] },
        toMessage: (one) => one,
        sizeOf: sizeOf('Node'),
      });
      return { nodes: page, nextPageToken };
    },
  };
}
