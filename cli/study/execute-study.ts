/**
 * Does the runs of a study or a comparison, some at a time. Finished runs are kept, unfinished ones continued from their
 * folders; equal runs of several rows are done once. A run that fails is named in the results and stops no other.
 */
import { toError, UserError } from '../../common/errors.ts';
import type { RunReport } from '../../report/records.ts';
import type { CommandContext } from '../base/context.ts';
import { type ClusterChoice, executeRun } from '../run/execute-run.ts';
import { Interrupted, RunFailed } from '../base/failure.ts';
import { createSink } from '../base/output.ts';
import { prepareRunFolder } from '../run/folder-check.ts';
import type { RunServices } from '../base/with-run-services.ts';
import { inParallel } from './in-parallel.ts';
import type { StudyRun } from './plan.ts';
import type { KeptRun } from './runs-folder.ts';

export type RunEnding =
  | { readonly status: 'finished'; readonly dir: string; readonly code: string; readonly report: RunReport }
  | { readonly status: 'failed' | 'dropped'; readonly dir: string; readonly reason: string };

export interface StudyJob {
  /** In the order in which they are begun. */
  readonly runs: readonly StudyRun[];
  /** The state of a run, and where it belongs. */
  readonly findKept: (run: StudyRun) => Promise<KeptRun>;
  /** Runs of the first `afterSeeds` seeds are all done before `isOut` is asked of the others; null: never. */
  readonly stop: {
    readonly afterSeeds: number;
    /** Why a row was dropped; null when it continues. */
    readonly isOut: (row: string) => string | null;
  } | null;
  /** Runs at a time. */
  readonly parallel: number;
  readonly natsUrl: string | null;
  /** The cluster whose nodes also make images; null for none. */
  readonly cluster: ClusterChoice | null;
  readonly json: boolean;
  /** Whether a run's folder is emptied where it holds another run. */
  readonly overwrite: boolean;
  /** Called at each run's end, once for each row that shares it. */
  readonly onEnding: (run: StudyRun, ending: RunEnding) => Promise<void>;
}

/** Resolves when every run has ended. Throws Interrupted when it was stopped. */
export async function executeStudy(
  job: StudyJob,
  services: RunServices,
  context: CommandContext,
): Promise<void> {
  const { runs, stop } = job;
  if (stop === null) return doRuns(runs, job, services, context);
  const isFirst = ({ pair }: StudyRun) => pair < stop.afterSeeds;
  await doRuns(runs.filter(isFirst), job, services, context);
  const going: StudyRun[] = [];
  for (const run of runs.filter((one) => !isFirst(one))) {
    const reason = stop.isOut(run.row);
    if (reason === null) going.push(run);
    else await job.onEnding(run, { status: 'dropped', dir: '', reason });
  }
  await doRuns(going, job, services, context);
}

async function doRuns(
  runs: readonly StudyRun[],
  job: StudyJob,
  services: RunServices,
  context: CommandContext,
): Promise<void> {
  const byContent = groupByContent(runs);
  await inParallel([...byContent.values()], job.parallel, async (same) => {
    const ending = await endingOf(same[0]!, job, services, context);
    for (const run of same) await job.onEnding(run, ending);
  });
}

function groupByContent(runs: readonly StudyRun[]): Map<string, StudyRun[]> {
  const groups = new Map<string, StudyRun[]>();
  for (const run of runs) groups.set(run.content, [...(groups.get(run.content) ?? []), run]);
  return groups;
}

async function endingOf(
  run: StudyRun,
  job: StudyJob,
  services: RunServices,
  context: CommandContext,
): Promise<RunEnding> {
  const kept = await job.findKept(run);
  if (kept.kind === 'finished') {
    if (!job.json) context.stdout.write(`${nameOf(run)}: finished before, kept\n`);
    return { status: 'finished', dir: kept.dir, code: kept.code, report: kept.report };
  }
  try {
    return await doRun(run, kept, job, services, context);
  } catch (thrown) {
    if (thrown instanceof Interrupted) throw thrown;
    const error = toError(thrown);
    const where = error instanceof RunFailed ? ` (logs: ${error.logPath})` : '';
    const reason = `${oneLine(error.message)}${where}`;
    context.stderr.write(`${nameOf(run)} failed: ${reason}\n`);
    if (!(error instanceof UserError || error instanceof RunFailed)) throw error;
    return { status: 'failed', dir: kept.dir, reason };
  }
}

async function doRun(
  run: StudyRun,
  kept: Exclude<KeptRun, { kind: 'finished' }>,
  job: StudyJob,
  { interrupts, onNode }: RunServices,
  { stdout, stderr }: CommandContext,
): Promise<RunEnding> {
  const { signal } = interrupts;
  const stopped = () =>
    new Interrupted(
      interrupts.received() ?? 'SIGINT',
      'Stopped; what is done is kept. Continue with the same command.',
    );
  if (signal.aborted) throw stopped();
  const resume = kept.kind === 'unfinished';
  if (!resume) await prepareRunFolder(kept.dir, job.overwrite);
  const isLabelled = job.json || job.parallel > 1;
  if (!isLabelled) stdout.write(`${nameOf(run)}\n`);
  const sink = createSink(stdout, { json: job.json, ...(isLabelled ? { label: nameOf(run) } : {}) });
  try {
    const end = await executeRun({
      config: { ...run.config, out: kept.dir },
      resume,
      natsUrl: job.natsUrl,
      cluster: job.cluster,
      signal,
      onEvent: (event) => sink.onEvent(event),
      onNode,
      onNats: (line) => stderr.write(`${line}\n`),
    });
    if (end.status === 'cancelled') throw stopped();
    return { status: 'finished', dir: kept.dir, code: kept.code, report: end.report };
  } finally {
    sink.close();
  }
}

function oneLine(text: string): string {
  return text
    .split('\n')
    .map((line) => line.trim())
    .join(' ');
}

/** `over-sampling, seed 2`. */
export function nameOf({ row, seed }: Pick<StudyRun, 'row' | 'seed'>): string {
  return `${row}, seed ${seed}`;
}
