/**
 * Does the runs of a study, some at a time. Finished runs are kept, unfinished ones continued from their folders; equal
 * runs of several rows are done once. A run that fails is named in the results and stops no other.
 */
import { toError, UserError } from '../../common/errors.ts';
import type { RunReport } from '../../report/records.ts';
import type { CommandContext } from '../context.ts';
import { executeRun } from '../execute-run.ts';
import { Interrupted, RunFailed } from '../failure.ts';
import { createSink } from '../output.ts';
import { prepareRunFolder } from '../run-folder-check.ts';
import type { RunServices } from '../with-run-services.ts';
import { inParallel } from '../run-all.ts';
import type { StudyRun } from './plan.ts';
import type { RunKey } from './run-key.ts';
import { findKeptRun, type KeptRun } from './runs-folder.ts';

export interface KeyedRun extends StudyRun {
  readonly key: RunKey;
}

export type RunEnding =
  | { readonly status: 'finished'; readonly dir: string; readonly code: string; readonly report: RunReport }
  | { readonly status: 'failed'; readonly dir: string; readonly reason: string };

export interface StudyJob {
  readonly runs: readonly KeyedRun[];
  readonly runsDir: string;
  readonly parallel: number;
  readonly acceptOtherCode: boolean;
  readonly natsUrl: string | null;
  readonly json: boolean;
  /** Told of each run's end, as often as there are rows that share it. */
  readonly onEnding: (run: KeyedRun, ending: RunEnding) => Promise<void>;
}

/** Resolves when every run has ended. Throws Interrupted when it was told to stop. */
export async function executeStudy(
  job: StudyJob,
  services: RunServices,
  context: CommandContext,
): Promise<void> {
  const byContent = new Map<string, KeyedRun[]>();
  for (const run of job.runs)
    byContent.set(run.key.content, [...(byContent.get(run.key.content) ?? []), run]);
  await inParallel([...byContent.values()], job.parallel, async (same) => {
    const ending = await endingOf(same[0]!, job, services, context);
    for (const run of same) await job.onEnding(run, ending);
  });
}

async function endingOf(
  run: KeyedRun,
  job: StudyJob,
  services: RunServices,
  context: CommandContext,
): Promise<RunEnding> {
  const kept = await findKeptRun(job.runsDir, run.config, run.key, job.acceptOtherCode);
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
  run: KeyedRun,
  kept: KeptRun,
  job: StudyJob,
  { interrupts, onNode }: RunServices,
  { stdout }: CommandContext,
): Promise<RunEnding> {
  const { signal } = interrupts;
  const stopped = () =>
    new Interrupted(
      interrupts.received() ?? 'SIGINT',
      'Stopped; what is done is kept. Continue with the same command.',
    );
  if (signal.aborted) throw stopped();
  const resume = kept.kind === 'unfinished';
  if (!resume) await prepareRunFolder(kept.dir, false);
  const sink = createSink(stdout, { json: job.json, label: nameOf(run) });
  try {
    const end = await executeRun({
      config: { ...run.config, out: kept.dir },
      resume,
      natsUrl: job.natsUrl,
      signal,
      onEvent: (event) => sink.onEvent(event),
      onNode,
    });
    if (end.status === 'cancelled') throw stopped();
    return { status: 'finished', dir: kept.dir, code: run.key.code.slice(0, 8), report: end.report };
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
export function nameOf({ row, seed }: StudyRun): string {
  return `${row}, seed ${seed}`;
}
