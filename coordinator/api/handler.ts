/** The public API's methods over the coordinator's runs. */
import type { Implementation } from '../../actors/proto/protos.ts';
import type { NodeApi } from '../../actors/status/status.ts';
import type { CoordinatorServiceHandlers } from '../../gen/ballast/v1/CoordinatorService.ts';
import type { Journals } from '../runs/journals.ts';
import type { RunManager } from '../runs/run-manager.ts';
import { clusterMethods } from './cluster-methods.ts';
import type { ShowPath } from './resources.ts';
import { resultMethods } from './result-methods.ts';
import { RunLookup } from './run-lookup.ts';
import { runMethods } from './run-methods.ts';
import type { Confine } from './run-request.ts';
import type { ApiCall } from './server.ts';
import type { SynthesisOnDemand } from './synthesize.ts';

export interface ApiParts {
  readonly runs: RunManager;
  readonly journals: Journals;
  readonly dirOf: (run: string) => string;
  readonly node: Pick<NodeApi, 'list' | 'listNodes'>;
  readonly onDemand: SynthesisOnDemand;
  readonly confine: Confine;
  readonly showPath: ShowPath;
}

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
