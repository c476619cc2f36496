/** `ballast report`: draws report.html of a finished run or comparison again. */
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { errorCode, toError, UserError } from '../common/errors.ts';
import { writeComparisonPage } from '../dashboard/report.ts';
import { renderReport as renderRun } from '../coordinator/records/render-report.ts';
import type { ComparisonReport, RunReport } from '../report/records.ts';
import { comparisonTable } from '../report/table.ts';
import type { CommandContext } from './context.ts';

export function addReportCommand(program: Command, context: CommandContext): void {
  program
    .command('report')
    .summary('draw the report of a run or comparison again')
    .description('Rewrites report.html from report.json and the pictures of the folder.')
    .argument('<dir>', 'folder of a finished run or comparison')
    .action((dir: string) => renderReport(resolve(context.cwd, dir), context));
}

async function renderReport(dir: string, { stdout }: CommandContext): Promise<void> {
  const report = await readReport(dir);
  if ('methods' in report) {
    await writeComparisonPage(dir, report);
    stdout.write(
      `${comparisonTable(report, stdout.columns === undefined ? {} : { maxWidth: stdout.columns }).trimEnd()}\n\n`,
    );
  } else {
    await renderRun(dir, report);
  }
  stdout.write(`report: ${join(dir, 'report.html')}\n`);
}

async function readReport(dir: string): Promise<RunReport | ComparisonReport> {
  const path = join(dir, 'report.json');
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (thrown) {
    if (errorCode(thrown) !== 'ENOENT' && errorCode(thrown) !== 'ENOTDIR') throw thrown;
    throw new UserError(
      `${dir} has no report.json: it is not a run folder, or its run is not finished (ballast run --resume ${dir})`,
      { cause: thrown },
    );
  }
  try {
    return JSON.parse(text) as RunReport | ComparisonReport;
  } catch (thrown) {
    throw new UserError(`${path} is not JSON: ${toError(thrown).message}`, { cause: thrown });
  }
}
