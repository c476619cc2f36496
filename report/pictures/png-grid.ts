/**
 * Grids of small images as one PNG: synthetic images by class, samples of a prior. Every source pixel becomes an
 * exact square of equal pixels, so that what is seen is what the classifier saw.
 */

import sharp from 'sharp';
import { printTheme } from '../charts/theme.ts';
import { escapeMarkup } from '../markup.ts';
import { fitText, loadPictureFont, PICTURE_FONT, textWidth } from './font.ts';

export interface PngGrid {
  /** [n, height, width, channels], row-major. */
  readonly images: Uint8Array;
  readonly height: number;
  readonly width: number;
  /** 1 (grey) or 3 (RGB). */
  readonly channels: number;
  /** Which images stand in each row, by index; rows may differ in length or be empty. */
  readonly rows: readonly (readonly number[])[];
  readonly rowLabels?: readonly string[];
  /** Class of each row; by default a row's position. */
  readonly rowClasses?: readonly number[];
  /** Pixels to a source pixel, 1 or more; by default images come out about 56 pixels high. */
  readonly scale?: number;
}

/** Where things lie in the PNG; pixels. */
export interface GridLayout {
  readonly width: number;
  readonly height: number;
  /** Left edge of the first image; the labels stand before it. */
  readonly left: number;
  readonly scale: number;
  readonly gap: number;
}

const LARGEST_LABEL = 160;
const BACKGROUND = 0xff;

function labelSize(cellHeight: number): number {
  return Math.max(8, Math.min(14, cellHeight - 2));
}

/** The layout that `pngGrid` uses: image (row r, column k) begins at (left + k·(w·scale + gap), gap + r·(h·scale + gap)). */
export function gridLayout(grid: PngGrid): GridLayout {
  const scale = grid.scale ?? Math.max(1, Math.round(56 / grid.height));
  const gap = 2;
  const columns = Math.max(1, ...grid.rows.map((row) => row.length));
  const size = labelSize(grid.height * scale);
  const widths = (grid.rowLabels ?? []).map((label) => textWidth(label, size));
  const left = widths.length === 0 ? gap : Math.min(LARGEST_LABEL, Math.ceil(Math.max(...widths))) + 14;
  return {
    width: left + columns * (grid.width * scale + gap),
    height: gap + Math.max(1, grid.rows.length) * (grid.height * scale + gap),
    left,
    scale,
    gap,
  };
}

/** The positions of the images in a grid, so that they can be cut out again. */
export interface GridIndex {
  /** Size of an image, pixels. */
  readonly width: number;
  readonly height: number;
  /** Pixels of the picture to a pixel of an image. */
  readonly scale: number;
  readonly images: readonly {
    readonly id: number;
    readonly classIndex: number;
    /** Upper left corner in the picture. */
    readonly left: number;
    readonly top: number;
  }[];
}

/** The index of what `pngGrid` draws; `ids` names the images. */
export function gridIndex(grid: PngGrid, ids: ArrayLike<number>): GridIndex {
  const { scale } = gridLayout(grid);
  const images = grid.rows.flatMap((row, r) =>
    row.map((index, column) => ({
      ...{ id: ids[index]!, classIndex: grid.rowClasses?.[r] ?? r },
      ...cornerOf(grid, r, column),
    })),
  );
  return { width: grid.width, height: grid.height, scale, images };
}

function cornerOf(grid: PngGrid, row: number, column: number): { left: number; top: number } {
  const { left, gap, scale } = gridLayout(grid);
  return {
    left: left + column * (grid.width * scale + gap),
    top: gap + row * (grid.height * scale + gap),
  };
}

function check(grid: PngGrid): number {
  const { height, width, channels, images, scale } = grid;
  if (channels !== 1 && channels !== 3) throw new RangeError(`images need 1 or 3 channels, got ${channels}`);
  if (scale !== undefined && !(Number.isInteger(scale) && scale >= 1))
    throw new RangeError(`scale must be a whole number from 1, got ${scale}`);
  const size = height * width * channels;
  if (!(size > 0) || images.length % size !== 0) {
    throw new RangeError(
      `${images.length} bytes are not a whole number of ${height}×${width}×${channels} images`,
    );
  }
  return images.length / size;
}

/** Copies image `index` into the RGB canvas with its upper left corner at (x0, y0). */
function paste(
  canvas: Uint8Array,
  layout: GridLayout,
  grid: PngGrid,
  index: number,
  x0: number,
  y0: number,
): void {
  const { height, width, channels, images } = grid;
  const base = index * height * width * channels;
  for (let y = 0; y < height * layout.scale; y++) {
    const sourceRow = base + Math.floor(y / layout.scale) * width * channels;
    let target = ((y0 + y) * layout.width + x0) * 3;
    for (let x = 0; x < width * layout.scale; x++) {
      const source = sourceRow + Math.floor(x / layout.scale) * channels;
      for (let channel = 0; channel < 3; channel++)
        canvas[target++] = images[source + (channels === 3 ? channel : 0)] ?? 0;
    }
  }
}

function drawLabels(grid: PngGrid, layout: GridLayout): string {
  const step = grid.height * layout.scale + layout.gap;
  const size = labelSize(grid.height * layout.scale);
  const right = layout.left - 8;
  const labels = (grid.rowLabels ?? []).slice(0, grid.rows.length).map((label, row) => {
    const y = layout.gap + row * step + (step - layout.gap) / 2 + size * 0.36;
    const text = escapeMarkup(fitText(label, size, layout.left - 13));
    return `<text x="${right}" y="${y.toFixed(1)}" text-anchor="end">${text}</text>`;
  });
  const style = `font-family="${PICTURE_FONT}, sans-serif" font-size="${size}" fill="${printTheme.ink}"`;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${layout.width}" height="${layout.height}"><g ${style}>${labels.join('')}</g></svg>`;
}

/** The grid as PNG bytes. Throws RangeError for sizes that do not fit and for indices beyond the images. */
export async function pngGrid(grid: PngGrid): Promise<Uint8Array> {
  const available = check(grid);
  const layout = gridLayout(grid);
  const canvas = new Uint8Array(layout.width * layout.height * 3).fill(BACKGROUND);
  grid.rows.forEach((row, r) =>
    row.forEach((index, column) => {
      if (!Number.isInteger(index) || index < 0 || index >= available) {
        throw new RangeError(`row ${r} names image ${index} of ${available}`);
      }
      const x = layout.left + column * (grid.width * layout.scale + layout.gap);
      const y = layout.gap + r * (grid.height * layout.scale + layout.gap);
      paste(canvas, layout, grid, index, x, y);
    }),
  );
  const picture = sharp(canvas, { raw: { width: layout.width, height: layout.height, channels: 3 } });
  if (grid.rowLabels?.length) {
    await loadPictureFont();
    picture.composite([{ input: Buffer.from(drawLabels(grid, layout)) }]);
  }
  return picture.removeAlpha().png({ compressionLevel: 9 }).toBuffer();
}
