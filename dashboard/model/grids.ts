/** Pictures of a run folder: `grids/epoch-003.png`, the nearest training images beside it, and real images of each class. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { UserError } from '../../common/errors.ts';
import { readJson } from './folder-facts.ts';
import type { GridIndex } from './run-model.ts';

/** No other file of the folder can be asked for. */
const PICTURE = /^(epoch-\d{3,9}(-nearest)?|real)\.png$/;

/** @throws UserError when there is no such picture */
export async function readPicture(dir: string, name: string): Promise<Buffer> {
  if (!PICTURE.test(name)) throw new UserError(`no picture '${name}'`);
  try {
    return await readFile(join(dir, 'grids', name));
  } catch (thrown) {
    throw new UserError(`no picture '${name}'`, { cause: thrown });
  }
}

/** Where the images of a picture are, and whether the nearest training images are there too; null without an index. */
export async function readGrid(
  dir: string,
  name: string,
): Promise<{ index: GridIndex; hasNearest: boolean } | null> {
  if (!PICTURE.test(name)) throw new UserError(`no picture '${name}'`);
  const index = (await readJson(dir, join('grids', `${name}.json`))) as GridIndex | null;
  if (!Array.isArray(index?.images)) return null;
  return { index, hasNearest: index.images.some(({ nearest }) => nearest !== undefined) };
}
