/** A finished run's pictures and page. */
import { writeRunPage } from '../../dashboard/report.ts';
import type { RunReport } from '../../report/records.ts';

export async function renderReport(dir: string, report: RunReport): Promise<void> {
  const { writeRunPictures } = await import('../../report/pictures/run-pictures.ts'); // loads a chart library
  await writeRunPictures(dir, report);
  await writeRunPage(dir, report);
}
