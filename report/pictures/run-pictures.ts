/** learning-curves.png and confusion.png of a run folder: pictures to look at without a browser, or to paste. */
import { join } from 'node:path';
import { writeFileAtomic } from '../../common/files.ts';
import { cellsOf, confusionChart, worstMixups } from '../charts/confusion-chart.ts';
import { drawPng } from '../charts/draw.ts';
import { type RunCurves, runCharts } from '../charts/run-charts.ts';
import { printTheme } from '../charts/theme.ts';
import { finalResult } from '../final-result.ts';
import type { EpochRecord, RunReport } from '../records.ts';

const CURVE_WIDTH = 460;
const MATRIX_WIDTH = 620;
/** Larger matrices show the classes that are mixed up most. */
const MOST_CLASSES = 40;

function curvesOf(epochs: readonly EpochRecord[]): RunCurves {
  return {
    epoch: epochs.map((record) => record.epoch),
    trainLoss: epochs.map((record) => record.trainLoss),
    balancedAccuracy: epochs.map((record) => record.validation?.balancedAccuracy ?? null),
    accuracy: epochs.map((record) => record.validation?.accuracy ?? null),
    fewShotRecall: epochs.map((record) => record.validation?.fewShotRecall ?? null),
    fidelity: epochs.map((record) => record.fidelity?.all ?? null),
    fidelityTail: epochs.map((record) => record.fidelity?.tail ?? null),
  };
}

/** Writes learning-curves.png and, where the run was evaluated, confusion.png; gives the paths written. */
export async function writeRunPictures(runDir: string, report: RunReport): Promise<string[]> {
  const curves = join(runDir, 'learning-curves.png');
  await writeFileAtomic(
    curves,
    await drawPng(runCharts(curvesOf(report.epochs), printTheme), { width: CURVE_WIDTH }),
  );
  const measured = finalResult(report);
  if (measured === null) return [curves];
  const cells = cellsOf(measured.metrics);
  const { classes } = report;
  const mixed = worstMixups(cells, classes.length, MOST_CLASSES / 2).flatMap(({ truth, predicted }) => [
    truth,
    predicted,
  ]);
  const shown =
    classes.length > MOST_CLASSES
      ? [...new Set(mixed)].sort((a, b) => a - b)
      : classes.map((_, index) => index);
  const title = `Confusion on ${measured.split}, ${report.method}`;
  const matrix = join(runDir, 'confusion.png');
  const chart = confusionChart({ title, classes, cells, shown }, printTheme);
  await writeFileAtomic(matrix, await drawPng([chart], { width: MATRIX_WIDTH }));
  return [curves, matrix];
}
