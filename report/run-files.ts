/** What a page takes from a run folder beside the report: pictures, config. A missing file is left out, not an error. */

import { readFile, stat } from 'node:fs/promises';
import { join, posix, sep } from 'node:path';
import { errorCode, toError, UserError } from '../common/errors.ts';
import type { RunReport } from './records.ts';

const LARGEST_EMBEDDED = 2_000_000;

/** The bytes that a page may still embed; one for all of its pictures. */
export interface EmbeddingBudget {
  bytes: number;
}

export function embeddingBudget(): EmbeddingBudget {
  return { bytes: 24_000_000 };
}

async function orNull<T>(work: () => Promise<T>): Promise<T | null> {
  try {
    return await work();
  } catch (thrown) {
    if (errorCode(thrown) === 'ENOENT' || errorCode(thrown) === 'ENOTDIR') return null;
    throw thrown;
  }
}

/** A path as a relative address: each part percent-encoded. */
export function relativeAddress(path: string): string {
  const parts = path.split(sep).join('/').split('/');
  const address = parts.map(encodeURIComponent).join('/');
  return posix.isAbsolute(address) ? address : `./${address}`;
}

/**
 * Where the page of folder `pageDir` finds the PNG at `path` (relative to that folder): inside the page for small
 * ones while the budget lasts, else by relative address; null when there is no such file.
 */
export async function pictureSource(
  pageDir: string,
  path: string,
  budget: EmbeddingBudget,
): Promise<string | null> {
  const file = join(pageDir, path);
  const facts = await orNull(() => stat(file));
  if (facts === null || !facts.isFile()) return null;
  if (facts.size > Math.min(LARGEST_EMBEDDED, budget.bytes)) return relativeAddress(path);
  budget.bytes -= facts.size;
  return `data:image/png;base64,${(await readFile(file)).toString('base64')}`;
}

/** The text of a file of the run folder, or null when there is none. */
export async function runText(runDir: string, name: string): Promise<string | null> {
  return orNull(() => readFile(join(runDir, name), 'utf8'));
}

/** report.json of a run folder, or null when there is none. @throws UserError when it is not JSON. */
export async function readRunReport(runDir: string): Promise<RunReport | null> {
  const content = await runText(runDir, 'report.json');
  if (content === null) return null;
  try {
    return JSON.parse(content) as RunReport;
  } catch (thrown) {
    throw new UserError(
      `${join(runDir, 'report.json')} is not JSON (${toError(thrown).message}): delete it and write the report again.`,
    );
  }
}
