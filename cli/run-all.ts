/** Does the runs of a comparison, some at a time; finished ones are kept, interrupted ones continued. */
import { join } from 'node:path';
import { UserError } from '../common/errors.ts';
import { writeFileAtomic } from '../common/files.ts';
import { writeComparisonPage } from '../dashboard/report.ts';
import type { ComparisonReport, RunReport } from '../report/records.ts';
import { comparisonTable } from '../report/table.ts';
import { comparisonOf, findRun, type PlannedRun } from './comparison.ts';
import type { CommandContext } from './context.ts';
import { executeRun } from './execute-run.ts';
import { Interrupted } from './failure.ts';
import { createSink } from './output.ts';
import { prepareRunFolder } from './run-folder-check.ts';
import { type RunServices, withRunServices } from './with-run-services.ts';

export interface CompareJob {
  readonly title: string;
  readonly dir: string;
  readonly runs: readonly PlannedRun[];
  /** Runs at a time. */
  readonly parallel: number;
  readonly overwrite: boolean;
  readonly json: boolean;
  readonly natsUrl: string | null;
  readonly metricsPort: number | null;
  /** The command that continues this one, for messages. */
  readonly again: string;
}

/** Does every run, writes the comparison's report, and prints its table and where the report is. */
export async function runAll(job: CompareJob, context: CommandContext): Promise<void> {
  const reports = await withRunServices(context, job.metricsPort, (services) =>
    doRuns(job, services, context),
  );
  const named = job.runs.map(({ name }, i) => ({ name, report: reports[i]! }));
  const comparison = comparisonOf(job.title, named);
  const page = await writeComparison(job.dir, comparison);
  if (job.json) return;
  const columns = context.stdout.columns;
  context.stdout.write(
    `\n${comparisonTable(comparison, columns === undefined ? {} : { maxWidth: columns }).trimEnd()}\n`,
  );
  context.stdout.write(`\nreport: ${page}\n`);
}

/** Writes report.json and report.html of a comparison; returns the page's path. */
export async function writeComparison(dir: string, comparison: ComparisonReport): Promise<string> {
  await writeFileAtomic(join(dir, 'report.json'), `${JSON.stringify(comparison, null, 2)}\n`);
  await writeComparisonPage(dir, comparison);
  return join(dir, 'report.html');
}

async function doRuns(job: CompareJob, services: RunServices, context: CommandContext): Promise<RunReport[]> {
  const shared = job.parallel > 1 ? null : createSink(context.stdout, { json: job.json });
  try {
    return await inParallel(job.runs, job.parallel, async (run) => {
      const label = shared && !job.json ? {} : { label: run.name };
      const sink = shared && !job.json ? shared : createSink(context.stdout, { json: job.json, ...label });
      const tell = (text: string) => job.json || context.stdout.write(`${text}\n`);
      return doRun(job, run, services, sink.onEvent.bind(sink), tell);
    });
  } finally {
    shared?.close();
  }
}

async function doRun(
  job: CompareJob,
  run: PlannedRun,
  { interrupts, onNode }: RunServices,
  onEvent: Parameters<typeof executeRun>[0]['onEvent'],
  tell: (text: string) => void,
): Promise<RunReport> {
  const { signal } = interrupts;
  const stopped = () =>
    new Interrupted(interrupts.received() ?? 'SIGINT', `Stopped in ${run.name}. Continue with: ${job.again}`);
  if (signal.aborted) throw stopped();
  const found = job.overwrite ? ({ kind: 'nothing' } as const) : await findRun(run);
  if (found.kind === 'finished') {
    tell(`${run.name}: finished before, kept`);
    return found.report;
  }
  if (found.kind === 'nothing') await prepareRunFolder(run.config.out, job.overwrite);
  const resume = found.kind === 'unfinished';
  try {
    const { config } = run;
    const end = await executeRun({
      config,
      resume,
      natsUrl: job.natsUrl,
      signal,
      onEvent,
      onNode,
      onNats: tell,
    });
    if (end.status === 'finished') return end.report;
  } catch (thrown) {
    throw thrown instanceof UserError
      ? new UserError(`${run.name}: ${thrown.message}`, { cause: thrown })
      : thrown;
  }
  throw stopped();
}

/** Results in the order of `items`, at most `limit` at a time. After a failure nothing new is begun. */
export async function inParallel<Item, Result>(
  items: readonly Item[],
  limit: number,
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  const failures: unknown[] = [];
  let next = 0;
  const lane = async () => {
    while (next < items.length && failures.length === 0) {
      const index = next++;
      try {
        results[index] = await work(items[index]!);
      } catch (thrown) {
        failures.push(thrown);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, lane));
  if (failures.length > 0) throw failures[0];
  return results;
}
