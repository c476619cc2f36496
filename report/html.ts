/** report.html of one run: what was run, how well it did, and how it got there, in one file. */

import { basename, join } from 'node:path';
import { writeFileAtomic } from '../common/files.ts';
import { groupedBars } from './bar-chart.ts';
import { pageTheme } from './chart-theme.ts';
import { count, decimal, duration, NO_VALUE, percent, percentMark, plural } from './format.ts';
import { runCurves } from './learning-curves.ts';
import { type Cell, figures, frames, page, section, table, text, tiles } from './page.ts';
import type { EpochRecord, Metrics, RunReport } from './records.ts';
import { embeddingBudget, runText } from './run-files.ts';
import {
  confusionFigure,
  confusionSection,
  dataSentence,
  environmentSection,
  gridFrames,
  type NamedMetrics,
  quotaSection,
  reproduceSection,
} from './run-sections.ts';
import { finalResult } from './final-result.ts';
import { proportionInterval } from './statistics.ts';
import { dataLine } from './terminal-lines.ts';

/** The result in one sentence. */
export function runSentence(report: RunReport): string {
  const best = finalResult(report);
  const effort = `${plural(report.epochs.length, 'epoch')} (${plural(report.optimizerSteps, 'optimiser step')}, ${duration(report.seconds)})`;
  const images =
    report.syntheticImages > 0
      ? `, with ${plural(report.syntheticImages, 'synthetic image')} from ${plural(report.workers, 'worker')}`
      : '';
  if (best === null)
    return `${report.method}, seed ${report.seed}, ran ${effort}${images}; it was not evaluated.`;
  const also =
    best !== null && best.split !== 'validation' && report.validation !== null
      ? ` (${percent(report.validation.balancedAccuracy)} on validation)`
      : '';
  return `${report.method}, seed ${report.seed}, reached a balanced accuracy of ${percent(best.metrics.balancedAccuracy)} on ${best.split}${also} after ${effort}${images}.`;
}

function dataDoubts({ skippedImages = [], dataWarnings = [], imageWarnings = [] }: RunReport): string {
  const images = imageWarnings.map((warning) => text('p', `Synthetic images: ${warning}.`, 'note')).join('');
  if (skippedImages.length + dataWarnings.length === 0) return images;
  return text('p', `Data: ${dataLine(skippedImages, dataWarnings)}.`, 'note') + images;
}

function splits(report: RunReport): NamedMetrics[] {
  const named: NamedMetrics[] = [];
  if (report.test !== null) named.push({ name: 'test', metrics: report.test });
  if (report.development) named.push({ name: 'development', metrics: report.development });
  if (report.validation !== null) named.push({ name: 'validation', metrics: report.validation });
  return named;
}

function headlineTiles(report: RunReport): string {
  const metrics = finalResult(report)?.metrics;
  const fidelity = report.epochs.findLast((record) => record.fidelity !== null)?.fidelity;
  const entries = [
    { value: percent(metrics?.balancedAccuracy), label: 'balanced accuracy' },
    { value: percent(metrics?.accuracy), label: 'accuracy' },
    { value: percent(metrics?.fewShotRecall), label: 'recall of few-shot classes' },
    { value: decimal(metrics?.macroF1), label: 'macro F1' },
    { value: percent(fidelity?.all), label: 'class fidelity, last epoch' },
    { value: duration(report.seconds), label: 'wall clock' },
  ];
  return tiles(entries.filter((entry) => entry.value !== NO_VALUE));
}

function metricsTable(entries: readonly NamedMetrics[]): string {
  const columns: (readonly [string, (metrics: Metrics) => string])[] = [
    ['images', (m) => count(m.count)],
    ['balanced accuracy', (m) => percent(m.balancedAccuracy)],
    ['accuracy', (m) => percent(m.accuracy)],
    ['many-shot', (m) => percent(m.manyShotRecall)],
    ['medium-shot', (m) => percent(m.mediumShotRecall)],
    ['few-shot', (m) => percent(m.fewShotRecall)],
    ['macro precision', (m) => percent(m.macroPrecision)],
    ['macro F1', (m) => decimal(m.macroF1)],
    ['MCC', (m) => decimal(m.mcc)],
    ['AUC', (m) => decimal(m.aucOvr)],
    ['calibration error', (m) => decimal(m.ece)],
  ];
  const rows = entries.map(({ name, metrics }) => [
    { text: name },
    ...columns.map(([, show]): Cell => ({ text: show(metrics) })),
  ]);
  return table(['split', ...columns.map(([name]) => name)], rows);
}

function recallSection(report: RunReport, entries: readonly NamedMetrics[]): string {
  if (entries.length === 0) return '';
  const chart = groupedBars(pageTheme, {
    title: 'Recall of each class',
    xLabel: 'share of the class’s images that are recognised',
    format: (value) => percent(value),
    tickFormat: percentMark,
    categories: report.classes.map((name, index) => ({
      name,
      note: `${count(report.classCounts[index])} real`,
    })),
    series: entries.map(({ name, metrics }) => ({
      name,
      values: metrics.perClassRecall,
      intervals: metrics.confusion.map((row, index) => {
        const total = row.reduce((sum, images) => sum + images, 0);
        return proportionInterval(row[index] ?? 0, total);
      }),
    })),
  });
  const shown = entries[0];
  const confusion = shown === undefined ? '' : confusionFigure(shown, report.classes);
  return section(
    'Per class',
    'Thin rules: 95% intervals from the number of images (Wilson). Point at a cell of the matrix for its count.',
    figures([chart, confusion], true),
  );
}

function epochTable(epochs: readonly EpochRecord[]): string {
  const head = [
    'epoch',
    'steps',
    'loss',
    'balanced acc. (val.)',
    'synthetic',
    'fidelity',
    'tail',
    'synthesis',
    'training',
    'evaluation',
    'shards redone',
  ];
  const rows = epochs.map((record) =>
    [
      String(record.epoch),
      count(record.optimizerSteps),
      decimal(record.trainLoss),
      percent(record.validation?.balancedAccuracy),
      count(record.syntheticImages),
      percent(record.fidelity?.all),
      percent(record.fidelity?.tail),
      duration(record.synthesisSeconds),
      duration(record.trainSeconds),
      duration(record.evaluateSeconds),
      count(record.shardsRedone),
    ].map((cell) => ({ text: cell })),
  );
  return `<details>${text('summary', 'Epochs as a table')}${table(head, rows)}</details>`;
}

/** The page of a run; pictures and config.json are read from `runDir`, and left out where they are missing. */
export async function renderRunHtml(report: RunReport, runDir: string): Promise<string> {
  const entries = splits(report);
  const grids = frames('grid', await gridFrames(runDir, '', report.epochs, embeddingBudget()));
  const config = await runText(runDir, 'config.json');
  const body = [
    text('h1', `${report.method}, seed ${report.seed}`),
    text('p', runSentence(report), 'lead'),
    text('p', dataSentence(report.classes, report.classCounts), 'note'),
    dataDoubts(report),
    headlineTiles(report),
    entries.length === 0 ? '' : metricsTable(entries),
    recallSection(report, entries),
    section(
      'Learning curves',
      '',
      figures(runCurves(pageTheme, report.epochs, 370, 230)),
      epochTable(report.epochs),
    ),
    quotaSection('Quotas and accuracy by class', report.epochs, report.classes, report.classCounts),
    grids.style === ''
      ? ''
      : section('Synthetic images', 'Choose an epoch, or use the arrow keys.', grids.markup),
    confusionSection(entries.slice(1), report.classes),
    environmentSection(report.environment, report.weightsDigest),
    reproduceSection(
      [`ballast run --config ${basename(runDir)}/config.json --out ${basename(runDir)}-again`],
      'With the same engine version, processor type and thread count the weights come out equal, bit for bit.',
      config,
    ),
  ];
  return page(`Ballast: ${report.method}, seed ${report.seed}`, body, grids.style);
}

/** Writes report.html into the run folder and gives its path. */
export async function writeReportHtml(runDir: string, report: RunReport): Promise<string> {
  const path = join(runDir, 'report.html');
  await writeFileAtomic(path, await renderRunHtml(report, runDir));
  return path;
}
