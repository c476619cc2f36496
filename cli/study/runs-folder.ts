/** The runs that studies keep, each in a folder named by its content: `<method>-seed<k>-<content>.<code>`. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { RunFolder } from '../../coordinator/records/run-folder.ts';
import type { RunReport } from '../../report/records.ts';
import type { StudyRun } from './plan.ts';

/** Hex digits of each digest in a folder's name. */
const CONTENT_DIGITS = 16;
const CODE_DIGITS = 8;

export type KeptRun =
  /** `code` is that of the version which made it, as in the folder's name. */
  | { readonly kind: 'finished'; readonly dir: string; readonly code: string; readonly report: RunReport }
  | { readonly kind: 'unfinished' | 'nothing'; readonly dir: string; readonly code: string };

/** Finds a run in the folder; `dir` is where it is or belongs. A finished one of other code counts when that is accepted. */
export async function findKeptRun(
  runs: string,
  { config, content, code: wholeCode }: StudyRun,
  acceptOtherCode: boolean,
): Promise<KeptRun> {
  const stem = `${config.method}-seed${config.seed}-${content.slice(0, CONTENT_DIGITS)}.`;
  const code = wholeCode.slice(0, CODE_DIGITS);
  const dir = join(runs, stem + code);
  const folder = new RunFolder(dir);
  const report = await folder.readReport();
  if (report) return { kind: 'finished', dir, code, report };
  if (acceptOtherCode)
    for (const name of await readdir(runs).catch(() => []))
      if (name.startsWith(stem)) {
        const other = await new RunFolder(join(runs, name)).readReport();
        if (other)
          return { kind: 'finished', dir: join(runs, name), code: name.slice(stem.length), report: other };
      }
  return { kind: (await folder.holdsRun()) ? 'unfinished' : 'nothing', dir, code };
}
