/** `ballast study FILE`: rows of settings over paired seeds, kept by content, ending in one table. */
import { join, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { UserError } from '../../common/errors.ts';
import { ensureDirectory, writeFileAtomic } from '../../common/files.ts';
import { loadConfigFile } from '../../config/load.ts';
import type { StudyConfig } from '../../config/study-config.ts';
import type { CommandContext } from '../base/context.ts';
import { parsePort } from '../base/with-run-services.ts';
import { chosenCluster, type ClusterFlags, HOST, JOIN } from '../run/cluster-choice.ts';
import { nameOf } from './execute-study.ts';
import { performStudy } from './perform-study.ts';
import { parseStudy, planStudy, type StudyRun, studyFolders } from './plan.ts';
import { RunKeys } from './run-key.ts';
import { findKeptRun, type KeptRun } from './runs-folder.ts';

interface StudyOptions extends ClusterFlags {
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
      'Executes every run of a study file (docs/studies.md), keeps finished runs, and writes results.json, results.csv, ' +
        'report.html and a table. After an interruption, the same command continues; equal runs are never repeated.',
    )
    .option('--parallel <n>', 'runs at a time; overrides the file')
    .option('--accept-other-code', 'keep finished runs that another version of the code made')
    .addOption(new Option('--plan', 'only list the runs, and which of them exist already').conflicts('json'))
    .addOption(JOIN)
    .addOption(HOST)
    .option('--nats <url>', 'also publish events on this NATS server (nats://host:4222)')
    .option('--metrics-port <port>', 'serve Prometheus metrics of a run in progress')
    .option('--json', 'print one event per line, as JSON with the name of its run')
    .action((file: string, options: StudyOptions) => runStudy(file, options, context));
}

async function runStudy(file: string, options: StudyOptions, context: CommandContext): Promise<void> {
  const { cwd } = context;
  const cluster = chosenCluster(options);
  const source = await loadConfigFile(resolve(cwd, file));
  const study = withFlags(parseStudy(source), options);
  const folders = studyFolders(study, cwd);
  const keys = new RunKeys();
  const runs: StudyRun[] = [];
  for (const run of planStudy(study, source, cwd)) runs.push({ ...run, ...(await keys.keyOf(run.config)) });
  const findKept = (run: StudyRun) => findKeptRun(folders.runs, run, study.acceptOtherCode);
  if (options.plan === true) return showPlan(runs, findKept, context);
  await ensureDirectory(folders.out);
  await writeFileAtomic(join(folders.out, 'study.json'), `${JSON.stringify(study, null, 2)}\n`);
  const { rows, split, ceiling, worth, stop, parallel } = study;
  await performStudy(
    {
      frame: {
        title: study.title ?? file,
        rows,
        split,
        ...{ ceiling, worth },
        reference: study.reference ?? rows[0]!.name,
      },
      ...{ runs, findKept, stop, parallel, overwrite: false, dir: folders.out },
      natsUrl: options.nats ?? null,
      cluster,
      json: options.json === true,
      metricsPort: parsePort(options.metricsPort),
    },
    context,
  );
}

function withFlags(study: StudyConfig, { parallel, acceptOtherCode }: StudyOptions): StudyConfig {
  const lanes = parallel === undefined ? study.parallel : Number(parallel);
  if (!Number.isSafeInteger(lanes) || lanes < 1 || lanes > 1024)
    throw new UserError(`--parallel ${parallel}: it must be a whole number from 1 to 1024`);
  return { ...study, parallel: lanes, acceptOtherCode: acceptOtherCode ?? study.acceptOtherCode };
}

async function showPlan(
  runs: readonly StudyRun[],
  findKept: (run: StudyRun) => Promise<KeptRun>,
  { stdout }: CommandContext,
): Promise<void> {
  for (const run of runs) {
    const { kind, dir } = await findKept(run);
    stdout.write(`${nameOf(run)}: ${kind === 'nothing' ? 'to do' : kind} (${dir})\n`);
  }
}
