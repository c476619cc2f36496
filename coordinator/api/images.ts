/** The synthetic images that a run kept to be looked at: cut out of its epochs' pictures (`grids/`). */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import type { Image } from '../../gen/ballast/v1/Image.ts';
import type { GridIndex } from '../../report/pictures/png-grid.ts';
import { readOrNull } from '../records/checkpoints.ts';
import type { RunFolder } from '../records/run-folder.ts';
import { notFound } from './errors.ts';
import { epochName } from './resources.ts';

type Cell = GridIndex['images'][number];

/** Images of one epoch, without pixels; none where the epoch has no picture. */
export async function imagesOf(
  run: string,
  folder: RunFolder,
  epoch: number,
  classes: readonly string[],
): Promise<Image[]> {
  const index = await readIndex(folder, epoch);
  return (index?.images ?? []).map((cell) => toImage(run, epoch, index!, cell, classes));
}

/** One image with its pixels. @throws ApiError NOT_FOUND */
export async function imageOf(
  run: string,
  folder: RunFolder,
  { epoch, image }: { readonly epoch: number; readonly image: number },
  classes: readonly string[],
): Promise<Image> {
  const index = await readIndex(folder, epoch);
  const cell = index?.images.find(({ id }) => id === image);
  if (index === null || cell === undefined) {
    const name = `${epochName(run, epoch)}/images/${image}`;
    throw notFound(
      'IMAGE_NOT_FOUND',
      name,
      `${name}: the run kept no such image; ListImages has those it kept`,
    );
  }
  const { width, height, scale } = index;
  const region = { left: cell.left, top: cell.top, width: width * scale, height: height * scale };
  const png = await sharp(await readFile(join(folder.dir, folder.gridName(epoch))))
    .extract(region)
    .resize(width, height, { kernel: 'nearest' })
    .png()
    .toBuffer();
  return { ...toImage(run, epoch, index, cell, classes), png };
}

async function readIndex(folder: RunFolder, epoch: number): Promise<GridIndex | null> {
  const text = await readOrNull(join(folder.dir, `${folder.gridName(epoch)}.json`));
  return text === null ? null : (JSON.parse(text) as GridIndex);
}

function toImage(
  run: string,
  epoch: number,
  { width, height }: GridIndex,
  { id, classIndex }: Cell,
  classes: readonly string[],
): Image {
  const name = `${epochName(run, epoch)}/images/${id}`;
  return { name, className: classes[classIndex] ?? '', classIndex, width, height };
}
