/**
 * ImageFolder: `<class>/*.jpg`, or `train/<class>/*.jpg` beside `test/` and, if there, `val/`. Classes are the
 * folders of train in natural order. A `manifest.csv` at the root with columns `path` and `group` says which images
 * belong together.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../common/errors.ts';
import { listFolder, listImages } from './image-files.ts';
import type { Items, Source } from './source.ts';
import { findColumn, readTable } from './table.ts';

const SPLIT_FOLDERS = {
  train: ['train', 'training'],
  validation: ['val', 'valid', 'validation'],
  test: ['test', 'testing'],
} as const;

export const MANIFEST = 'manifest.csv';

/** Whether a folder of this name holds validation or test images. */
export function isHeldOutFolder(name: string): boolean {
  const lower = name.toLowerCase();
  return [...SPLIT_FOLDERS.validation, ...SPLIT_FOLDERS.test].some((held) => held === lower);
}

/** The folder of the train split when `root` is laid out by splits; null when its folders are classes. */
export async function trainFolder(root: string): Promise<string | null> {
  const { folders } = await listFolder(root);
  for (const name of SPLIT_FOLDERS.train)
    if (folders.includes(name)) {
      const inside = await listFolder(join(root, name));
      // A class may be called 'train': then images lie in it, not folders.
      if (inside.folders.length > 0 && inside.images.length === 0) return name;
    }
  return null;
}

/** Whether some folder in `root` holds images. */
export async function hasClassFolders(root: string): Promise<boolean> {
  for (const name of (await listFolder(root)).folders)
    if ((await listImages(join(root, name))).length > 0) return true;
  return false;
}

/** Reads `root`. `groupColumn`: the manifest's column in place of `group`. Throws UserError. */
export async function readImageFolder(root: string, groupColumn: string | null): Promise<Source> {
  const train = await trainFolder(root);
  const groups = await readGroups(root, groupColumn);
  const classes = (await listFolder(train === null ? root : join(root, train))).folders;
  if (classes.length === 0)
    throw new UserError(
      `${root}: has no class folders; expected ${root}/<class>/*.jpg or ${root}/train/<class>/*.jpg`,
    );
  const read = (name: string): Promise<Items> => readSplit(root, name, classes, groups);
  if (train === null) return { classes, train: await read(''), validation: null, test: null, skipped: [] };
  const { folders } = await listFolder(root);
  const validation = SPLIT_FOLDERS.validation.find((name) => folders.includes(name));
  const test = SPLIT_FOLDERS.test.find((name) => folders.includes(name));
  return {
    classes,
    train: await read(train),
    validation: validation === undefined ? null : await read(validation),
    test: test === undefined ? null : await read(test),
    skipped: [],
  };
}

async function readSplit(
  root: string,
  split: string,
  classes: readonly string[],
  groups: ReadonlyMap<string, string> | null,
): Promise<Items> {
  const labels: number[] = [];
  const ids: string[] = [];
  for (const name of (await listFolder(join(root, split))).folders) {
    const label = classes.indexOf(name);
    const folder = split === '' ? name : `${split}/${name}`;
    if (label < 0)
      throw new UserError(
        `${join(root, folder)}: class '${name}' is not among the train classes (${classes.join(', ')})`,
      );
    const files = await listImages(join(root, folder));
    if (files.length === 0)
      throw new UserError(
        `${join(root, folder)}: class '${name}' is empty (no jpg or png file); add images or remove the folder`,
      );
    for (const file of files) {
      labels.push(label);
      ids.push(`${folder}/${file}`);
    }
  }
  return {
    labels: Int32Array.from(labels),
    ids,
    groups: groups && ids.map((id) => groupOf(root, groups, id)),
    pixels: { kind: 'files', files: ids.map((id) => join(root, id)) },
  };
}

function groupOf(root: string, groups: ReadonlyMap<string, string>, id: string): string {
  const group = groups.get(id);
  if (group === undefined)
    throw new UserError(
      `${join(root, MANIFEST)}: has no row for ${id}, so its group is unknown; add the row, or remove the manifest to split without groups`,
    );
  return group;
}

/** Group by path; an empty cell makes the image a group of its own. Null without a manifest of groups. */
async function readGroups(root: string, column: string | null): Promise<Map<string, string> | null> {
  const file = join(root, MANIFEST);
  if (!existsSync(file)) return null;
  const table = await readTable(file);
  const path = findColumn(table, null, ['path'], 'path');
  const group = findColumn(table, column, ['group'], 'data.csv.groupColumn');
  if (path === null || group === null) return null;
  return new Map(table.rows.map(({ values }) => [values[path]!, values[group]! || values[path]!]));
}
