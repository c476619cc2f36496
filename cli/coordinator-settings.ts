/** What `ballast coordinator` is told beside what a node is told, checked once. */
import { resolve } from 'node:path';
import type { Labels, Resources } from '../actors/status/status.ts';
import { UserError } from '../common/errors.ts';
import { parseLabels, parseResources } from './node-settings.ts';
import { parsePort } from './with-run-services.ts';

/** The flags as commander gives them. */
export interface CoordinatorFlags {
  readonly apiHost: string;
  readonly apiPort: string;
  readonly runs: string;
  readonly data: readonly string[];
  readonly tokens?: string;
  readonly maxRuns: string;
  readonly keepEvents: string;
  readonly workerLabels?: string;
  readonly trainerLabels?: string;
  readonly workerResources: string;
}

export interface CoordinatorSettings {
  readonly api: { readonly host: string; readonly port: number };
  readonly runsDir: string;
  /** Folders that configurations may name paths in. */
  readonly dataDirs: readonly string[];
  /** Null for no tokens. */
  readonly tokensFile: string | null;
  readonly maxRuns: number;
  /** How long NATS keeps the events of a run that has ended. */
  readonly keepEventsMs: number;
  readonly workerLabels: Labels;
  readonly trainerLabels: Labels;
  readonly workerResources: Resources;
}

const MOST_RUNS = 1000;
/** A year. */
const MOST_KEEP_MS = 365 * 86_400_000;

/** @throws UserError naming the flag that cannot work. */
export function parseCoordinatorSettings(flags: CoordinatorFlags, cwd: string): CoordinatorSettings {
  const maxRuns = Number(flags.maxRuns);
  if (!Number.isInteger(maxRuns) || maxRuns < 1 || maxRuns > MOST_RUNS)
    throw new UserError(`--max-runs ${flags.maxRuns}: it must be a whole number from 1 to ${MOST_RUNS}`);
  const keepEventsMs = 1000 * Number(flags.keepEvents);
  if (flags.keepEvents.trim() === '' || !(keepEventsMs >= 0 && keepEventsMs <= MOST_KEEP_MS)) {
    const most = MOST_KEEP_MS / 1000;
    throw new UserError(
      `--keep-events ${flags.keepEvents}: it must be a number of seconds from 0 to ${most}`,
    );
  }
  const workerResources = parseResources(flags.workerResources, '--worker-resources');
  if (!Object.values(workerResources).some((amount) => amount > 0)) {
    throw new UserError(
      `--worker-resources ${flags.workerResources}: a worker takes something of its node, as cpu=1 or gpu=1`,
    );
  }
  return {
    api: { host: flags.apiHost, port: parsePort(flags.apiPort, '--api-port') ?? 0 },
    runsDir: resolve(cwd, flags.runs),
    dataDirs: flags.data.map((dir) => resolve(cwd, dir)),
    tokensFile: flags.tokens === undefined ? null : resolve(cwd, flags.tokens),
    workerLabels: parseLabels(flags.workerLabels, '--worker-labels'),
    trainerLabels: parseLabels(flags.trainerLabels, '--trainer-labels'),
    ...{ maxRuns, keepEventsMs, workerResources },
  };
}
