/** The whole of a study or a comparison: its runs, its results as files, its table on the screen. */
import { UserError } from '../../common/errors.ts';
import { ensureDirectory } from '../../common/files.ts';
import { studyTable } from '../../report/study-table.ts';
import type { CommandContext } from '../base/context.ts';
import { withRunServices } from '../base/with-run-services.ts';
import { executeStudy, type StudyJob } from './execute-study.ts';
import { type StudyFrame, StudyRecord } from './record.ts';
import { type StopRule, whyDropped } from './stop-rule.ts';

export interface Performance extends Omit<StudyJob, 'onEnding' | 'stop'> {
  readonly frame: StudyFrame;
  readonly stop: StopRule | null;
  /** Folder of results.json, results.csv and report.html. */
  readonly dir: string;
  readonly metricsPort: number | null;
}

/** Throws UserError that names the first of the runs that failed, after all others are done and written. */
export async function performStudy(performance: Performance, context: CommandContext): Promise<void> {
  const { frame, runs, dir, metricsPort, stop, json } = performance;
  await ensureDirectory(dir);
  const record = new StudyRecord(frame, runs, dir);
  const job: StudyJob = {
    ...performance,
    stop: stop && {
      afterSeeds: stop.afterSeeds,
      isOut: (row) => whyDropped(stop, record.results(), row),
    },
    onEnding: record.add.bind(record),
  };
  await withRunServices(context, metricsPort, (services) => executeStudy(job, services, context));
  const { results, page } = await record.finish();
  const { stdout } = context;
  const width = stdout.columns === undefined ? {} : { maxWidth: stdout.columns };
  if (!json) stdout.write(`\n${studyTable(results, width)}\nreport: ${page}\n`);
  const failed = results.rows.flatMap((row) => row.runs).filter(({ status }) => status === 'failed');
  const [first] = failed;
  if (first !== undefined)
    throw new UserError(
      `${failed.length} of ${runs.length} runs failed (first: ${first.row}, seed ${first.seed}: ${first.reason}); ` +
        'the results hold the others; run the same command to try the failed ones again',
    );
}
