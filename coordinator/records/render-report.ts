/** A finished run's pictures and page. */
import { writeRunPage } from '../../dashboard/report.ts';
import { writeRunPictures } from '../../report/pictures/run-pictures.ts';
import type { RunReport } from '../../report/records.ts';

export async function renderReport(dir: string, report: RunReport): Promise<void> {
  await writeRunPictures(dir, report);
  await writeRunPage(dir, report);
}
