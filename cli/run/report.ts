/** `ballast report`: draws report.html of a finished run, comparison or study again. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { errorCode, UserError } from '../../common/errors.ts';
import { parseJsonObject } from '../../common/json-file.ts';
import { readStudy } from '../../dashboard/model/studies.ts';
import { writeStudyPage } from '../../dashboard/report.ts';
import { renderReport as renderRun } from '../../coordinator/records/render-report.ts';
import type { RunReport } from '../../report/records.ts';
import { studyTable } from '../../report/study-table.ts';
import type { CommandContext } from '../base/context.ts';

export function addReportCommand(program: Command, context: CommandContext): void {
  program
    .command('report')
    .summary('redraw the report of a run, comparison or study')
    .description('Rewrites report.html from report.json or results.json and the pictures of the folder.')
    .argument('<dir>', 'folder of a finished run, comparison or study')
    .action((dir: string) => renderReport(resolve(context.cwd, dir), context));
}

async function renderReport(dir: string, { stdout }: CommandContext): Promise<void> {
  if (existsSync(join(dir, 'results.json'))) {
    const results = await readStudy(dir);
    await writeStudyPage(dir, results);
    const width = stdout.columns === undefined ? {} : { maxWidth: stdout.columns };
    stdout.write(`${studyTable(results, width)}\n`);
  } else {
    await renderRun(dir, await readReport(dir));
  }
  stdout.write(`report: ${join(dir, 'report.html')}\n`);
}

async function readReport(dir: string): Promise<RunReport> {
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
  const remedy = `delete it and run: ballast run --resume ${dir}`;
  const report = parseJsonObject(text, path, remedy) as unknown as RunReport;
  if (Array.isArray(report.epochs) && Array.isArray(report.classes)) return report;
  throw new UserError(`${path} is damaged: it lists no epochs or no classes; ${remedy}`);
}
