/** `ballast study FILE`: rows of settings over paired seeds, kept by content, ending in one table. */
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { UserError } from '../../common/errors.ts';
import { ensureDirectory, writeFileAtomic } from '../../common/files.ts';
import { loadConfigFile } from '../../config/load.ts';
import type { StudyConfig } from '../../config/study-config.ts';
import type { CommandContext } from '../context.ts';
import { studyTable } from '../../report/study-table.ts';
import { parsePort, withRunServices } from '../with-run-services.ts';
import { executeStudy, type KeyedRun, nameOf } from './execute-study.ts';
import { parseStudy, planStudy, studyFolders } from './plan.ts';
import { StudyRecord } from './record.ts';
import { RunKeys } from './run-key.ts';
import { findKeptRun } from './runs-folder.ts';

interface StudyOptions {
  readonly parallel?: string;
  readonly acceptOtherCode?: boolean;
  readonly plan?: boolean;
  readonly nats?: string;
  readonly metricsPort?: string;
  readonly json?: boolean;
}

export function addStudyCommand(program: Command, context: CommandContext): void {
  program
    .command('study <file>')
    .summary('run a whole study: rows over paired seeds')
    .description(
      'Does every run of a study file (docs/studies.md), keeps finished runs, and writes results.json, results.csv ' +
        'and a table. After an interruption, the same command continues; equal runs are never done twice.',
    )
    .option('--parallel <n>', 'runs at a time; overrides the file')
    .option('--accept-other-code', 'keep finished runs that another version of the code made')
    .option('--plan', 'only list the runs, and which of them are there already')
    .option('--nats <url>', 'publish events on this NATS server too (nats://host:4222)')
    .option('--metrics-port <port>', 'serve Prometheus metrics of a run in progress')
    .option('--json', 'print one event a line, as JSON with the name of its run')
    .action((file: string, options: StudyOptions) => runStudy(file, options, context));
}

async function runStudy(file: string, options: StudyOptions, context: CommandContext): Promise<void> {
  const { cwd, stdout } = context;
  const source = await loadConfigFile(resolve(cwd, file));
  const study = withFlags(parseStudy(source), options);
  const folders = studyFolders(study, cwd);
  const planned = planStudy(study, source, cwd);
  const keys = new RunKeys();
  const runs: KeyedRun[] = [];
  for (const run of planned) runs.push({ ...run, key: await keys.keyOf(run.config) });
  if (options.plan === true) return showPlan(runs, study, folders.runs, context);
  await ensureDirectory(folders.out);
  await writeFileAtomic(join(folders.out, 'study.json'), `${JSON.stringify(study, null, 2)}\n`);
  const record = new StudyRecord(study, runs, folders.out, study.title ?? file);
  const job = {
    runs,
    runsDir: folders.runs,
    parallel: study.parallel,
    acceptOtherCode: study.acceptOtherCode,
    natsUrl: options.nats ?? null,
    json: options.json === true,
    onEnding: record.add.bind(record),
  };
  const metricsPort = parsePort(options.metricsPort);
  await withRunServices(context, metricsPort, (services) => executeStudy(job, services, context));
  const results = await record.write();
  if (options.json !== true)
    stdout.write(`\n${studyTable(results)}\nresults: ${join(folders.out, 'results.json')}\n`);
  const failed = results.rows.flatMap((row) => row.runs).filter(({ status }) => status === 'failed');
  if (failed.length > 0)
    throw new UserError(
      `${failed.length} of ${runs.length} runs failed (first: ${failed[0]!.row}, seed ${failed[0]!.seed}: ${failed[0]!.reason}); ` +
        'the results hold the others; run the same command to try the failed ones again',
    );
}

function withFlags(study: StudyConfig, { parallel, acceptOtherCode }: StudyOptions): StudyConfig {
  const lanes = parallel === undefined ? study.parallel : Number(parallel);
  if (!Number.isSafeInteger(lanes) || lanes < 1 || lanes > 1024)
    throw new UserError(`--parallel ${parallel}: it must be a whole number from 1 to 1024`);
  return { ...study, parallel: lanes, acceptOtherCode: acceptOtherCode ?? study.acceptOtherCode };
}

async function showPlan(
  runs: readonly KeyedRun[],
  { acceptOtherCode }: StudyConfig,
  runsDir: string,
  { stdout }: CommandContext,
): Promise<void> {
  for (const run of runs) {
    const { kind, dir } = await findKeptRun(runsDir, run.config, run.key, acceptOtherCode);
    stdout.write(`${nameOf(run)}: ${kind === 'nothing' ? 'to do' : kind} (${dir})\n`);
  }
}
