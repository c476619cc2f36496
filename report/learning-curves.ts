/** learning-curves.png and confusion.png of a run folder: pictures to look at without a browser, or to paste. */

import { finalResult } from './final-result.ts';
import { join } from 'node:path';
import sharp from 'sharp';
import { writeFileAtomic } from '../common/files.ts';
import { drawing } from './axes.ts';
import { printTheme, type Theme } from './chart-theme.ts';
import { confusionChart } from './confusion-chart.ts';
import { decimal, percent, percentMark } from './format.ts';
import { lineChart } from './line-chart.ts';
import { element } from './markup.ts';
import type { EpochRecord, RunReport } from './records.ts';

/** Pixels of the PNG to one of the drawing. */
const DENSITY = 2;
const MARGIN = 16;
const WIDTH = 480;
const HEIGHT = 250;

/** The curves of one run: loss, quality on validation, and, where it was judged, class fidelity. */
export function runCurves(
  theme: Theme,
  epochs: readonly EpochRecord[],
  width = WIDTH,
  height = HEIGHT,
): string[] {
  const shared = { x: epochs.map((record) => record.epoch), xLabel: 'epoch', width, height };
  const share = (value: number): string => percent(value, 1);
  const loss = lineChart(theme, {
    ...shared,
    title: 'Training loss',
    yLabel: 'cross-entropy, nats',
    domain: 'zero',
    format: (value) => decimal(value, 2),
    series: [{ name: 'loss', values: epochs.map((record) => record.trainLoss) }],
  });
  const quality = lineChart(theme, {
    ...shared,
    title: 'Accuracy on validation',
    yLabel: 'share of images',
    format: share,
    tickFormat: percentMark,
    series: [
      { name: 'balanced', values: epochs.map((record) => record.validation?.balancedAccuracy ?? null) },
      { name: 'plain', values: epochs.map((record) => record.validation?.accuracy ?? null) },
      { name: 'few-shot', values: epochs.map((record) => record.validation?.fewShotRecall ?? null) },
    ],
  });
  if (epochs.every((record) => record.fidelity === null)) return [loss, quality];
  const fidelity = lineChart(theme, {
    ...shared,
    title: 'Class fidelity of synthetic images',
    yLabel: 'share given the intended class by the judge',
    format: share,
    tickFormat: percentMark,
    series: [
      { name: 'all classes', values: epochs.map((record) => record.fidelity?.all ?? null) },
      { name: 'tail', values: epochs.map((record) => record.fidelity?.tail ?? null) },
    ],
  });
  return [loss, quality, fidelity];
}

/** SVG text as PNG bytes at twice its size, with a margin. */
export async function rasterize(svg: string): Promise<Uint8Array> {
  return sharp(Buffer.from(svg), { density: 72 * DENSITY })
    .flatten({ background: printTheme.paper })
    .extend({ top: MARGIN, bottom: MARGIN, left: MARGIN, right: MARGIN, background: printTheme.paper })
    .png({ compressionLevel: 9 })
    .toBuffer();
}

/** Drawings side by side in one. */
function sideBySide(drawings: readonly string[], width: number, height: number): string {
  const placed = drawings.map((svg, index) =>
    element('g', { transform: `translate(${index * width} 0)` }, svg),
  );
  return drawing(printTheme, 'learning curves', drawings.length * width, height, ...placed);
}

/** Writes learning-curves.png and, where the run was evaluated, confusion.png; gives the paths written. */
export async function writeLearningCurves(runDir: string, report: RunReport): Promise<string[]> {
  const curves = sideBySide(runCurves(printTheme, report.epochs), WIDTH + 16, HEIGHT + 8);
  const written = [join(runDir, 'learning-curves.png')];
  await writeFileAtomic(join(runDir, 'learning-curves.png'), await rasterize(curves));
  const measured = finalResult(report);
  if (measured === null) return written;
  const title = `Confusion on ${measured.split}, ${report.method}`;
  const matrix = confusionChart(printTheme, title, measured.metrics.confusion, report.classes);
  await writeFileAtomic(join(runDir, 'confusion.png'), await rasterize(matrix));
  return [...written, join(runDir, 'confusion.png')];
}
