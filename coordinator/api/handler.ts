/** The public API's methods over the coordinator's runs. */
import type { Implementation } from '../../actors/proto/protos.ts';
import type { CoordinatorServiceHandlers } from '../../gen/ballast/v1/CoordinatorService.ts';
import { clusterMethods } from './cluster-methods.ts';
import { resultMethods } from './result-methods.ts';
import { RunLookup } from './run-lookup.ts';
import type { ApiParts } from './parts.ts';
import { runMethods } from './run-methods.ts';
import type { ApiCall } from './server.ts';

export function apiHandlers(parts: ApiParts): Implementation<CoordinatorServiceHandlers, ApiCall> {
  const { runs, dirOf, node, onDemand } = parts;
  const lookup = new RunLookup(runs, dirOf);
  return {
    ...runMethods(parts, lookup),
    ...resultMethods(lookup),
    ...clusterMethods(node),
    synthesize: (request, { signal }) => onDemand.synthesize(lookup.run(request.run, 'run'), request, signal),
  };
}
