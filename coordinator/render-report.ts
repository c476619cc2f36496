/** A finished run's pictures and pages. */
import { writeReportHtml } from '../report/html.ts';
import { writeLearningCurves } from '../report/learning-curves.ts';
import type { RunReport } from '../report/records.ts';

export async function renderReport(dir: string, report: RunReport): Promise<void> {
  await writeLearningCurves(dir, report);
  await writeReportHtml(dir, report);
}
