/** The run that a request names, its folder, and the facts in it. */
import { RunFolder } from '../records/run-folder.ts';
import { type RunFacts, RunFactsCache } from '../runs/run-facts.ts';
import type { RunManager } from '../runs/run-manager.ts';
import type { RunRecord } from '../runs/run-record.ts';
import { notFound } from './errors.ts';
import { parseRunName } from './names.ts';
import { runName } from './resources.ts';

export class RunLookup {
  readonly #runs: Pick<RunManager, 'get'>;
  readonly #dirOf: (run: string) => string;
  readonly #facts: RunFactsCache;

  constructor(runs: Pick<RunManager, 'get'>, dirOf: (run: string) => string) {
    this.#runs = runs;
    this.#dirOf = dirOf;
    this.#facts = new RunFactsCache(dirOf);
  }

  /** The run with a name such as `runs/a`. @throws ApiError for an invalid name, or one without a run. */
  run(name: string, field = 'name'): RunRecord {
    const id = parseRunName(name, field);
    const record = this.#runs.get(id);
    if (record !== undefined) return record;
    throw notFound('RUN_NOT_FOUND', runName(id), `${runName(id)}: there is no such run`);
  }

  folder({ id }: RunRecord): RunFolder {
    return new RunFolder(this.#dirOf(id));
  }

  facts({ id }: RunRecord): Promise<RunFacts> {
    return this.#facts.of(id);
  }
}
