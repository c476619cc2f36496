/**
 * Pictures of an epoch's synthetic images in `grids/`: the images, one row per class (`epoch-003.png`); the training
 * image nearest to each, in the same place (`epoch-003-nearest.png`); and, once per run, real images of each class
 * (`real.png`). A `.json` beside a picture gives the position of each image. The same run draws the same bytes.
 */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { writeFileAtomic } from '../../common/files.ts';
import type { Dataset } from '../../data/dataset.ts';
import { gatherImages } from '../../data/images.ts';
import { classMembers } from '../../data/long-tail.ts';
import { nearestPicture } from '../../report/pictures/picture-names.ts';
import { gridIndex, type PngGrid, pngGrid } from '../../report/pictures/png-grid.ts';
import type { KeptImages } from './kept-images.ts';
import { type Nearest, NearestImages } from './nearest-images.ts';

/** Images per class. */
const COLUMNS = 12;
/** Approximate maximum per picture. */
const MOST_PIXELS = 40_000_000;

export class EpochPictures {
  readonly #dataset: Dataset;
  readonly #nearest: NearestImages;

  constructor(dataset: Dataset) {
    this.#dataset = dataset;
    this.#nearest = new NearestImages(dataset.train, dataset, dataset.classes.length);
  }

  /** Draws the epoch's images to `path`, `….png`, and the related files to the same folder. */
  async draw({ images, labels, ids }: KeptImages, path: string): Promise<void> {
    const { classes, height } = this.#dataset;
    const members = classMembers(labels, classes.length);
    const trained = classMembers(this.#dataset.train.labels, classes.length);
    const most = Math.max(1, Math.floor(MOST_PIXELS / (COLUMNS * Math.max(56, height) ** 2)));
    const rowClasses = gridClasses(trained.map(countOf), members.map(countOf), most);
    const rows = rowClasses.map((label) => members[label]!.slice(0, COLUMNS));
    const grid = { ...this.#shapeOf(rowClasses), images, rows };
    const asked = rows.flatMap((row, r) => row.map((index) => ({ index, label: rowClasses[r]! })));
    const found = this.#nearest.find(images, asked);
    const index = gridIndex(grid, ids);
    const cells = index.images.map((cell, i) => ({ ...cell, nearest: this.#describe(found[i]!) }));
    await this.#drawReal(join(dirname(path), 'real.png'), rowClasses, trained);
    const nearest = found.map((one) => one.index);
    await writeFileAtomic(nearestPicture(path), await this.#drawTrained(nearest, rows, grid));
    await writeFileAtomic(path, await pngGrid(grid));
    await writeFileAtomic(`${path}.json`, `${JSON.stringify({ ...index, images: cells })}\n`);
  }

  #shapeOf(rowClasses: readonly number[]): Omit<PngGrid, 'images' | 'rows'> {
    const { classes, height, width, channels } = this.#dataset;
    return { height, width, channels, rowClasses, rowLabels: rowClasses.map((label) => classes[label]!) };
  }

  #describe({ index, distance }: Nearest) {
    const { labels, ids } = this.#dataset.train;
    return { classIndex: labels[index]!, image: ids[index] ?? '', distance };
  }

  /** Images of each class, evenly spread over it; drawn with the first epoch's picture. */
  async #drawReal(
    path: string,
    rowClasses: readonly number[],
    trained: readonly (readonly number[])[],
  ): Promise<void> {
    if (existsSync(`${path}.json`)) return;
    const rows = rowClasses.map((label) => {
      const own = trained[label]!;
      const count = Math.min(COLUMNS, own.length);
      return Array.from({ length: count }, (_, i) => own[Math.floor((i * own.length) / count)]!);
    });
    const shape = this.#shapeOf(rowClasses);
    await writeFileAtomic(path, await this.#drawTrained(rows.flat(), rows, shape));
    const index = gridIndex(
      { ...shape, images: new Uint8Array(), rows },
      this.#dataset.train.labels.map((_, i) => i),
    );
    await writeFileAtomic(`${path}.json`, `${JSON.stringify(index)}\n`);
  }

  /** The training images of these positions, one after the other into rows as long as `rows`. */
  async #drawTrained(
    positions: readonly number[],
    rows: readonly (readonly number[])[],
    shape: Omit<PngGrid, 'images' | 'rows'>,
  ): Promise<Uint8Array> {
    const { height, width, channels } = shape;
    const images = gatherImages(this.#dataset.train.images, positions, height * width * channels);
    let next = 0;
    return pngGrid({ ...shape, images, rows: rows.map((row) => row.map(() => next++)) });
  }
}

const countOf = ({ length }: readonly number[]) => length;

/** The classes to draw: all, or, of those with synthetic images, the `most` with the fewest training images. */
export function gridClasses(trained: readonly number[], made: readonly number[], most: number): number[] {
  const all = [...trained.keys()];
  if (all.length <= most) return all;
  const drawn = all.filter((label) => made[label]! > 0).sort((a, b) => trained[a]! - trained[b]! || a - b);
  return drawn.slice(0, most).sort((a, b) => a - b);
}
