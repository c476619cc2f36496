/** report.html of a comparison: methods over the same data, with the spread over seeds and paired differences. */

import { finalResult } from './final-result.ts';
import { join } from 'node:path';
import { writeFileAtomic } from '../common/files.ts';
import {
  balancedCurves,
  balancedDots,
  methodCurves,
  methodTable,
  recallBars,
  recallTable,
} from './comparison-charts.ts';
import { comparisonSentence, type ComparisonSummary, summarizeComparison } from './comparison-summary.ts';
import { plural } from './format.ts';
import { element, escapeMarkup } from './markup.ts';
import { figures, frames, page, section, text } from './page.ts';
import type { ComparisonReport, RunReport } from './records.ts';
import { type EmbeddingBudget, embeddingBudget, readRunReport, relativeAddress } from './run-files.ts';
import {
  confusionSection,
  dataSentence,
  environmentSection,
  gridFrames,
  quotaSection,
  reproduceSection,
} from './run-sections.ts';

interface LoadedRun {
  readonly method: string;
  readonly folder: string;
  readonly report: RunReport;
}

/** The first run of every method that lies beside the comparison. */
async function loadRuns(dir: string, summary: ComparisonSummary): Promise<LoadedRun[]> {
  const loaded: LoadedRun[] = [];
  for (const { group } of summary.methods) {
    const folder = group.runs[0]?.run;
    const report = folder === undefined ? null : await readRunReport(join(dir, folder));
    if (folder !== undefined && report !== null) loaded.push({ method: group.method, folder, report });
  }
  return loaded;
}

async function imagesSection(
  dir: string,
  runs: readonly LoadedRun[],
  budget: EmbeddingBudget,
): Promise<{ markup: string; style: string }> {
  const parts = [];
  for (const [index, { method, folder, report }] of runs.entries()) {
    const entries = await gridFrames(dir, folder, report.epochs, budget);
    if (entries.length > 0) parts.push({ method, ...frames(`images${index}`, entries) });
  }
  if (parts.length === 0) return { markup: '', style: '' };
  const markup = parts.map((part) => element('div', {}, text('h3', part.method), part.markup));
  const note = 'Choose an epoch, or use the arrow keys.';
  return {
    markup: section('Synthetic images', note, element('div', { class: 'figures' }, ...markup)),
    style: parts.map((part) => part.style).join('\n'),
  };
}

function runLinks(report: ComparisonReport): string {
  const links = report.methods.map((run) =>
    element(
      'a',
      { href: `${relativeAddress(run.run)}/report.html` },
      escapeMarkup(`${run.method}, seed ${run.seed}`),
    ),
  );
  return element('p', { class: 'note' }, 'Each run has its own page: ', links.join(' · '));
}

/** The page of a comparison; the runs' folders under `dir` add pictures and matrices where they exist. */
export async function renderComparisonHtml(comparison: ComparisonReport, dir: string): Promise<string> {
  const summary = summarizeComparison(comparison);
  const runs = await loadRuns(dir, summary);
  const images = await imagesSection(dir, runs, embeddingBudget());
  const quotas = comparison.methods.find((run) => run.epochs.some((record) => record.quota !== null));
  const results = runs.map(({ method, report }) => ({ method, result: finalResult(report) }));
  const tested = results.flatMap(({ method, result }) =>
    result === null || result.split === 'validation'
      ? []
      : [{ name: `${method}, ${result.split}`, metrics: result.metrics }],
  );
  const split = results.find(({ result }) => result?.split !== 'test')?.result?.split ?? 'test';
  const spread =
    summary.seeds > 1
      ? 'Mean ± sample standard deviation over seeds; differences are paired by seed, with 95% intervals (Student’s t).'
      : 'One seed: the spread between seeds is unknown, and differences of a few points may be chance.';
  const first = runs[0]?.report;
  const body = [
    text('h1', comparison.title),
    text('p', comparisonSentence(summary), 'lead'),
    text('p', dataSentence(comparison.classes, comparison.classCounts), 'note'),
    section(
      'Methods',
      `${spread} Measured on ${split}, best in bold.`,
      methodTable(summary),
      figures([balancedDots(summary), balancedCurves(summary)], true),
      runLinks(comparison),
    ),
    section(
      'Per class',
      summary.seeds > 1 ? 'Means over seeds.' : '',
      figures([recallBars(comparison, summary), recallTable(comparison, summary)], true),
    ),
    section(
      'Loss and fidelity',
      summary.seeds > 1 ? 'Means over seeds.' : '',
      figures(methodCurves(summary)),
    ),
    quotas === undefined
      ? ''
      : quotaSection(
          `Quotas and accuracy by class: ${quotas.method}, seed ${quotas.seed}`,
          quotas.epochs,
          comparison.classes,
          comparison.classCounts,
        ),
    images.markup,
    confusionSection(tested, comparison.classes),
    first === undefined ? '' : environmentSection(first.environment),
    reproduceSection(
      comparison.methods.map((run) => `ballast run --config ${run.run}/config.json --out ${run.run}-again`),
      `${plural(comparison.methods.length, 'run')}, each from its own resolved configuration.`,
      null,
    ),
  ];
  return page(`Ballast: ${comparison.title}`, body, images.style);
}

/** Writes report.html into the comparison's folder and gives its path. */
export async function writeComparisonHtml(dir: string, comparison: ComparisonReport): Promise<string> {
  const path = join(dir, 'report.html');
  await writeFileAtomic(path, await renderComparisonHtml(comparison, dir));
  return path;
}
