/** The settings of `ballast coordinator` in addition to a node's, checked once. */
import { resolve } from 'node:path';
import type { Labels, Resources } from '../../actors/status/status.ts';
import { UserError } from '../../common/errors.ts';
import type { KeepRuns } from '../../coordinator/runs/run-retention.ts';
import { parseLabels, parseResources } from '../cluster/node-settings.ts';
import { parsePort } from '../base/with-run-services.ts';

/** The flags as commander gives them. */
export interface CoordinatorFlags {
  readonly apiHost: string;
  readonly apiPort: string;
  readonly runs: string;
  readonly data: readonly string[];
  readonly tokens?: string;
  readonly dashboardPort?: string;
  readonly maxRuns: string;
  readonly keepEvents: string;
  readonly keepRuns?: string;
  readonly keepRunsDays?: string;
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
  /** Port of the page on 127.0.0.1; null for no page. */
  readonly dashboardPort: number | null;
  readonly maxRuns: number;
  /** How long NATS keeps the events of a run that has ended. */
  readonly keepEventsMs: number;
  /** Which runs that have ended stay. */
  readonly keepRuns: KeepRuns;
  readonly workerLabels: Labels;
  readonly trainerLabels: Labels;
  readonly workerResources: Resources;
}

const DAY_MS = 86_400_000;
const MOST_RUNS = 1000;
/** A year. */
const MOST_KEEP_MS = 365 * DAY_MS;
const MOST_KEPT_RUNS = 1_000_000;
const MOST_KEPT_DAYS = 36_500;

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
      `--worker-resources ${flags.workerResources}: a worker must take some resource, such as cpu=1 or gpu=1`,
    );
  }
  return {
    api: { host: flags.apiHost, port: parsePort(flags.apiPort, '--api-port') ?? 0 },
    runsDir: resolve(cwd, flags.runs),
    dataDirs: flags.data.map((dir) => resolve(cwd, dir)),
    dashboardPort: parsePort(flags.dashboardPort, '--dashboard-port'),
    tokensFile: flags.tokens === undefined ? null : resolve(cwd, flags.tokens),
    workerLabels: parseLabels(flags.workerLabels, '--worker-labels'),
    trainerLabels: parseLabels(flags.trainerLabels, '--trainer-labels'),
    keepRuns: {
      maxCount: limitOf('--keep-runs', flags.keepRuns, MOST_KEPT_RUNS, true),
      maxAgeMs: DAY_MS * limitOf('--keep-runs-days', flags.keepRunsDays, MOST_KEPT_DAYS, false),
    },
    ...{ maxRuns, keepEventsMs, workerResources },
  };
}

/** A limit that a flag may set; Infinity where it is left out. */
function limitOf(flag: string, text: string | undefined, most: number, isWhole: boolean): number {
  if (text === undefined) return Infinity;
  const limit = text.trim() === '' ? NaN : Number(text);
  if (limit >= 0 && limit <= most && (!isWhole || Number.isInteger(limit))) return limit;
  throw new UserError(`${flag} ${text}: it must be a ${isWhole ? 'whole ' : ''}number from 0 to ${most}`);
}
