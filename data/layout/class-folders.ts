/**
 * ImageFolder: `<class>/*.jpg`, `train/<class>/*.jpg` beside other splits, or `<class>/train/*.jpg`. Classes are the
 * folders that train has, in natural order. Files and folders outside this layout are named and counted, and never
 * change the meaning of the others.
 */
import { UserError } from '../../common/errors.ts';
import { compareNames } from '../natural-order.ts';
import type { Items, Source } from '../source.ts';
import { listed } from '../table.ts';
import { alike, type Layout, unusedFiles, type Unused, describeUnused } from './layout.ts';
import { isHolderName, SPLITS, splitAmongWords, splitOfName, type SplitName } from './names.ts';
import { lookedAt, otherFiles } from './other-formats.ts';
import { allFolders, type Folder, imagesOf, withImages } from './tree.ts';

/** A folder of images of one class and split. */
export interface ClassFolder {
  readonly split: SplitName;
  readonly name: string;
  readonly folder: Folder;
  /** Path from the root. */
  readonly path: string;
}

const ENDING = /\.[^./]*$/;
const MASK = /[_-](?:mask|segmentation)(?:_\d+)?\.[^./]*$/i;

export type Groups = (id: string) => string;

/** Folders of `top` that hold images, as classes of `split`. */
export function classFoldersIn(top: Folder, split: SplitName, path: string): ClassFolder[] {
  return top.folders.flatMap((folder) => {
    const isForgotten = isEmpty(folder) && split === 'train';
    if (isForgotten)
      throw new UserError(
        `${folder.file}: class '${folder.name}' is empty (no jpg or png file); add images or remove the folder`,
      );
    return folder.imageCount > 0 ? [{ split, name: folder.name, folder, path: path + folder.name }] : [];
  });
}

function isEmpty({ imageCount, folders, tables, archives, others }: Folder): boolean {
  return imageCount + folders.length + tables.length + archives.length + others.length === 0;
}

/** Folders that are named after splits and hold images; null unless one of them is train. */
export function splitFolders(top: Folder): Map<SplitName, Folder[]> | null {
  const found = new Map<SplitName, Folder[]>();
  for (const folder of withImages(top)) {
    const split = splitOfName(folder.name);
    if (split !== null) found.set(split, [...(found.get(split) ?? []), folder]);
  }
  return found.has('train') ? found : splitsAmongWords(top);
}

/**
 * `seg_train/`, `seg_test/`, `seg_pred/`: names that share all words but the split, on folders that hold the same classes. Null for
 * others.
 */
function splitsAmongWords(top: Folder): Map<SplitName, Folder[]> | null {
  const found = new Map<SplitName, Folder[]>();
  const words = new Set<string>();
  for (const folder of withImages(top)) {
    const named = splitAmongWords(folder.name);
    if (named === null) continue;
    words.add(named.others);
    found.set(named.split, [...(found.get(named.split) ?? []), folder]);
  }
  const classes = [...found.values()]
    .flat()
    .map((folder) => unwrapped(folder).folders.map(({ name }) => name));
  const isShared = classes.every((names) => names.some((name) => classes[0]!.includes(name)));
  return found.has('train') && found.size > 1 && words.size === 1 && isShared ? found : null;
}

/** The folder in which a split's classes begin: `train/images/<class>/`. */
export function unwrapped(folder: Folder): Folder {
  const inner = withImages(folder);
  const isWrapper = folder.images.length === 0 && inner.length === 1 && inner[0]!.images.length === 0;
  return isWrapper ? unwrapped(inner[0]!) : folder;
}

interface SplitClasses {
  readonly folders: ClassFolder[];
  readonly unused: Unused[];
  /** Splits of which a folder has images, but no classes. */
  readonly unlabelled: SplitName[];
  /** Says that a split has none of the classes of train. */
  strange: UserError | null;
}

/** Class folders of all splits, by their paths from `whole`. */
export function classesOfSplits(whole: Folder, splits: ReadonlyMap<SplitName, Folder[]>): SplitClasses {
  const found: SplitClasses = { folders: [], unused: [], unlabelled: [], strange: null };
  const trained = new Set<string>();
  const hasTrained = ({ folders }: Folder) => folders.some(({ name }) => trained.has(name));
  for (const split of SPLITS)
    for (const folder of splits.get(split) ?? []) {
      const inner = hasTrained(folder) ? folder : unwrapped(folder);
      const isKnown = split === 'train' || hasTrained(inner);
      const path = `${inner.file.slice(whole.file.length + 1)}/`;
      const classes = !isKnown && isHolder(inner) ? [] : classFoldersIn(inner, split, path);
      if (split === 'train') for (const { name } of classes) trained.add(name);
      else if (classes.length === 0) found.unlabelled.push(split);
      else if (!isKnown) found.strange ??= strangeClasses(folder, classes, [...trained]);
      found.folders.push(...classes);
      found.unused.push(...unusedIn(inner, classes.map((each) => each.folder), `class folders of ${folder.name}/`)); // prettier-ignore
    }
  return found;
}

/** Whether a folder of a split holds nothing but a folder of images whose name is no class: `test/images/*.jpg`. */
function isHolder(folder: Folder): boolean {
  const [only, ...more] = withImages(folder);
  if (only === undefined || more.length > 0 || !isHolderName(only.name)) return false;
  return withImages(only).length === 0 && otherFiles([...allFolders(folder)]).length === 0;
}

function strangeClasses(
  folder: Folder,
  classes: readonly ClassFolder[],
  trained: readonly string[],
): UserError {
  const inside = lookedAt(otherFiles([...allFolders(folder)]), []);
  return new UserError(
    `${folder.file}: none of its folders (${listed(classes.map(({ name }) => name))}) is a class of train (${listed(trained)})${inside}; name them as there, or give --data with the folder of train alone`,
  );
}

/** `<class>/train/*.jpg`: each folder holds folders named after splits, and nothing else of relevance. */
export function splitsInClasses(top: Folder): ClassFolder[] | null {
  const classes = withImages(top);
  if (classes.length < 2 || !classes.every(isSplitOnly)) return null;
  return classes.flatMap((outer) =>
    withImages(outer).map((folder) => ({
      ...{ split: splitOfName(folder.name)!, name: outer.name, folder },
      path: `${outer.name}/${folder.name}`,
    })),
  );
}

/** Whether `folder` has images in folders named after splits, one of them train, and nowhere else. */
export function isSplitOnly({ folders, images }: Folder): boolean {
  return (
    images.length === 0 &&
    folders.some((folder) => splitOfName(folder.name) === 'train') &&
    folders.every((folder) => folder.imageCount === 0 || splitOfName(folder.name) !== null)
  );
}

/** A source from class folders of any splits. `groups` gives an image's group by its path from the root. */
export function readClassFolders(
  root: string,
  folders: readonly ClassFolder[],
  groups: Groups | null,
  layout: Layout,
): Source {
  const trained = folders.filter(({ split }) => split === 'train').map(({ name }) => name);
  const classes = [...new Set(trained)].sort(compareNames);
  if (classes.length === 0)
    throw new UserError(
      `${root}: has no class folders; expected ${root}/<class>/*.jpg or ${root}/train/<class>/*.jpg`,
    );
  const [train, validation, test] = SPLITS.map((split) =>
    itemsOf(
      folders.filter((folder) => folder.split === split),
      classes,
      groups,
    ),
  );
  const ids = [train, validation, test].flatMap((items) => items?.ids ?? []);
  const doubts = [...layout.doubts, ...masksAmong(ids), ...alike(classes)];
  return {
    ...{ classes, train: train!, validation: validation!, test: test!, skipped: [] },
    layout: { ...layout, doubts },
  };
}

/** A doubt about images that are named as masks of others: `benign (1)_mask.png` beside `benign (1).png`. */
function masksAmong(ids: readonly string[]): string[] {
  const named = ids.filter((id) => MASK.test(id));
  if (named.length === 0) return [];
  const stems = new Set(ids.map((id) => id.replace(ENDING, '')));
  const masks = named.filter((id) => stems.has(id.replace(MASK, '')));
  if (masks.length === 0) return [];
  return [
    `${masks.length} images are named as masks of others (first: ${masks[0]}): move them away, unless they are images of their class`,
  ];
}

/** Images of the folders of one split; null for none. */
function itemsOf(
  chosen: readonly ClassFolder[],
  classes: readonly string[],
  groups: Groups | null,
): Items | null {
  if (chosen.length === 0) return null;
  const positions = new Map(classes.map((name, index) => [name, index]));
  const labels: number[] = [];
  const ids: string[] = [];
  const files: string[] = [];
  for (const { name, folder, path } of chosen) {
    const label = positions.get(name);
    if (label === undefined)
      throw new UserError(
        `${folder.file}: class '${name}' is not among the train classes (${listed(classes)}); add a train folder of that name with images, or remove this folder`,
      );
    for (const image of imagesOf(folder)) {
      labels.push(label);
      ids.push(`${path}/${image.id}`);
      files.push(image.file);
    }
  }
  return {
    ...{ labels: Int32Array.from(labels), ids },
    groups: groups && ids.map(groups),
    pixels: { kind: 'files', files },
  };
}

/** Entries of `top` that are not used: loose images, other folders, other files. */
export function unusedIn(top: Folder, used: readonly Folder[], where: string): Unused[] {
  const loose = unusedFiles(top.images, 'image', `it is beside the ${where}`, `they are beside the ${where}`);
  const folders = withImages(top).filter((folder) => !used.includes(folder));
  const idle = folders.map(({ name, imageCount }) => ({
    what: `${imageCount} image${imageCount === 1 ? '' : 's'} in ${name}/`,
    count: imageCount,
    why: `the folder is none of the ${where}`,
  }));
  return [...loose, ...idle];
}

export function folderLayout(
  kind: Layout['kind'],
  evidence: readonly string[],
  unused: readonly Unused[],
  junk: number,
  doubts: readonly string[] = [],
): Layout {
  return { kind, evidence, columns: null, unused, junk, doubts: [...doubts, ...unused.map(describeUnused)] };
}
