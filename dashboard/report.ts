/** report.html: the page with its data inside, of a run or of a study. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../common/files.ts';
import { epochPicture, nearestPicture } from '../report/pictures/picture-names.ts';
import type { RunReport } from '../report/records.ts';
import type { StudyResults } from '../report/study-results.ts';
import { readPageAssets, reportDocument } from './document.ts';
import { columnsOf, historyOf } from './model/epochs.ts';
import { readGrid } from './model/grids.ts';
import { readMistakes } from './model/mistakes.ts';
import {
  type GridFrame,
  historyLimit,
  type RunFacts,
  type RunUpdate,
  thinHistory,
} from './model/run-model.ts';
import { doubtsOf, evaluationsOf } from './model/folder-facts.ts';
import { RunReader } from './model/run-reader.ts';
import { listGrids, type RowPictures } from './model/studies.ts';
import type { Embedded } from './page/embedded.ts';

/** Larger pictures, and those past the budget, are shown from the folder. */
const LARGEST_EMBEDDED = 2_000_000;
const EMBEDDED_BYTES = 24_000_000;

/** The data of a finished run's page. `report` need not lie in the folder yet. */
export async function embedRun(dir: string, report: RunReport): Promise<Embedded> {
  const reader = new RunReader(dir, '.');
  await reader.refresh();
  const told = reader.update(reader.newCursor())!;
  const facts = finishedFacts(reader.facts!, report);
  const history = historyOf(report.epochs);
  thinHistory(history, historyLimit(report.classes.length));
  const grids = report.epochs.filter(({ grid }) => grid !== null).map(({ epoch }) => epoch);
  const update: RunUpdate = {
    ...{ isWhole: true, facts, epochs: columnsOf(report.epochs), history, grids, progress: null },
    ...{ latest: null, events: told.events, spans: told.spans },
  };
  const pictures = new Pictures(dir);
  const real = facts.hasRealImages ? await pictures.frame('real.png', 0) : null;
  const frames: GridFrame[] = [];
  // The last epochs first: should the budget end, those are inside.
  for (const epoch of grids.toReversed()) frames.push(await pictures.frame(epochPicture(epoch), epoch));
  const splits = facts.predictions.map((split) => readMistakes(dir, split, new URLSearchParams()));
  return { kind: 'run', update, frames, real, mistakes: await Promise.all(splits) };
}

function finishedFacts(facts: RunFacts, report: RunReport): RunFacts {
  return {
    ...facts,
    ...{ state: 'succeeded', reason: '', method: report.method, seed: report.seed },
    ...{ classes: report.classes, classCounts: report.classCounts, seconds: report.seconds },
    ...{ workers: report.workers, weightsDigest: report.weightsDigest, environment: report.environment },
    plannedEpochs: facts.plannedEpochs ?? report.epochs.length,
    doubts: doubtsOf(report),
    evaluations: evaluationsOf(report),
  };
}

class Pictures {
  readonly #dir: string;
  #left = EMBEDDED_BYTES;

  constructor(dir: string) {
    this.#dir = dir;
  }

  async frame(name: string, epoch: number): Promise<GridFrame> {
    const found = await readGrid(this.#dir, name);
    const nearest = found?.hasNearest ? await this.source(nearestPicture(name)) : null;
    return { epoch, source: await this.source(name), index: found?.index ?? null, nearest };
  }

  async source(name: string): Promise<string | null> {
    const path = join(this.#dir, 'grids', name);
    const size = await stat(path).then(
      (facts) => facts.size,
      () => null,
    );
    if (size === null) return null;
    if (size > Math.min(LARGEST_EMBEDDED, this.#left)) return `./grids/${name}`;
    this.#left -= size;
    return `data:image/png;base64,${(await readFile(path)).toString('base64')}`;
  }
}

/** Writes report.html of a run and gives its path. @throws UserError when the page was not built, or for a full disk */
export async function writeRunPage(dir: string, report: RunReport): Promise<string> {
  return write(dir, await embedRun(dir, report), `${report.method}, seed ${report.seed} – Ballast`);
}

/**
 * Writes report.html of a study into `dir`, with the images of each row's first run, and gives its path.
 * @throws UserError as above
 */
export async function writeStudyPage(dir: string, results: StudyResults): Promise<string> {
  const pictures: RowPictures[] = [];
  for (const { row, run, pictures: listed } of await listGrids(results, (run) =>
    Promise.resolve(join(dir, run)),
  )) {
    const files = new Pictures(join(dir, run));
    const found: { caption: string; source: string }[] = [];
    for (const { caption, name } of listed) {
      const source = await files.source(name);
      if (source !== null) found.push({ caption, source });
    }
    pictures.push({ row, pictures: found });
  }
  return write(dir, { kind: 'study', results, pictures }, `${results.title} – Ballast`);
}

async function write(dir: string, data: Embedded, title: string): Promise<string> {
  const path = join(dir, 'report.html');
  await writeFileAtomic(path, reportDocument(await readPageAssets(), data, title));
  return path;
}
