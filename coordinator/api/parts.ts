/** The parts of a coordinator that the public API's methods use. */
import type { NodeApi } from '../../actors/status/status.ts';
import type { Log } from '../../common/log.ts';
import type { Journals } from '../runs/journals.ts';
import type { RunManager } from '../runs/run-manager.ts';
import type { ShowPath } from './resources.ts';
import type { Confine } from './run-request.ts';
import type { SynthesisOnDemand } from './synthesize.ts';

export interface ApiParts {
  readonly runs: RunManager;
  readonly journals: Journals;
  readonly dirOf: (run: string) => string;
  readonly node: Pick<NodeApi, 'list' | 'listNodes'>;
  readonly onDemand: SynthesisOnDemand;
  readonly confine: Confine;
  readonly showPath: ShowPath;
  readonly log: Log;
}
