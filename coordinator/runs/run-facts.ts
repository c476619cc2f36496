/**
 * Facts about a run that lists show in addition to its record, read from its folder. They stay in memory until the
 * folder changes. Only the folder counts: its times are checked for every list, which costs three calls instead of
 * reading a file that grows with every epoch.
 */
import { stat } from 'node:fs/promises';
import { errorCode } from '../../common/errors.ts';
import type { EpochRecord, Metrics } from '../../report/records.ts';
import { RunFolder } from '../records/run-folder.ts';

/** A summary of a run, from its folder. */
export interface RunFacts {
  readonly lastEpoch: EpochRecord | null;
  /** Null until the run has finished. */
  readonly result: { readonly weightsDigest: string; readonly test: Metrics | null } | null;
  /** Empty before the data was read. */
  readonly classes: readonly string[];
}

/** Of a folder that cannot be read. */
export const NO_FACTS: RunFacts = { lastEpoch: null, result: null, classes: [] };

/** A folder that was changed more lately may change again without another time: file systems count in steps. */
const SETTLED_MS = 2000;

export class RunFactsCache {
  readonly #dirOf: (run: string) => string;
  readonly #now: () => number;
  readonly #known = new Map<string, { readonly version: string; readonly facts: RunFacts }>();

  /** `now`: milliseconds since 1970. */
  constructor(dirOf: (run: string) => string, now: () => number = Date.now) {
    this.#dirOf = dirOf;
    this.#now = now;
  }

  /** Forgets a run that was deleted. */
  forget(run: string): void {
    this.#known.delete(run);
  }

  /** @throws UserError when the folder's checkpoint is damaged. */
  async of(run: string): Promise<RunFacts> {
    const folder = new RunFolder(this.#dirOf(run));
    const nowMs = this.#now();
    const { version, newestMs } = await timesOf(folder.factFiles);
    const known = this.#known.get(run);
    if (known?.version === version) return known.facts;
    const facts = await readFacts(folder);
    if (newestMs + SETTLED_MS <= nowMs) this.#known.set(run, { version, facts });
    else this.#known.delete(run);
    return facts;
  }
}

async function readFacts(folder: RunFolder): Promise<RunFacts> {
  const { records } = await folder.checkpoints.readState();
  const report = await folder.readReport();
  const result = report && { weightsDigest: report.weightsDigest, test: report.test };
  const classes = report?.classes ?? (await folder.readClasses());
  return { lastEpoch: records.at(-1) ?? null, result, classes };
}

/** A fingerprint of files that changes with them, and when the newest was changed. */
async function timesOf(paths: readonly string[]): Promise<{ version: string; newestMs: number }> {
  const found = await Promise.all(
    paths.map((path) =>
      stat(path, { bigint: true }).catch((thrown: unknown) => {
        if (errorCode(thrown) === 'ENOENT') return null;
        throw thrown;
      }),
    ),
  );
  const version = found.map((file) => (file ? `${file.mtimeNs}/${file.ctimeNs}/${file.ino}` : '-')).join(' ');
  return { version, newestMs: Math.max(0, ...found.map((file) => Number(file?.ctimeMs ?? 0n))) };
}
