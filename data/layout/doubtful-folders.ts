/**
 * Folders that might be read as classes, though something speaks against it: a data set that holds a copy of itself,
 * masks beside the images, splits in some of the classes only, names of splits. A UserError asks.
 */
import { UserError } from '../../common/errors.ts';
import { listed } from '../table.ts';
import { isSplitOnly, splitFolders, unwrapped } from './class-folders.ts';
import { contentOfName, splitAmongWords, splitOfName } from './names.ts';
import { allFolders, type Folder, imagesOf, withImages } from './tree.ts';

/** @throws UserError when a folder of `top` is not likely to be a class */
export function refuseDoubtfulClasses(top: Folder): void {
  refuseStrays(top);
  refuseSplitNames(top);
  refuseInnerSplits(top);
  refuseRepeated(top, withImages(top).map((folder) => ({ name: folder.name, folder }))); // prettier-ignore
}

/** @throws UserError when `top` holds a copy of itself, or masks beside images, which are no class in any layout */
export function refuseStrays(top: Folder): void {
  refuseMasks(top);
  const outer = withImages(top);
  for (const folder of outer) {
    const inner = unwrapped(folder);
    const others = outer.filter((other) => other !== folder).map(({ name }) => name);
    const shared = withImages(inner).filter(({ name }) => others.includes(name));
    if (shared.length > 1)
      throw new UserError(
        `${inner.file}: holds folders named as those beside ${folder.name}/ (${listed(shared.map(({ name }) => name))}): is it a copy of them? Remove ${folder.file}, or give --data ${inner.file} to read that alone`,
      );
  }
}

function refuseMasks(top: Folder): void {
  const found = [...allFolders(top)].flatMap(masksIn).map(withoutLists);
  if (found.length === 0) return;
  const names = [...new Set(found.map(({ name }) => `${name}/`))];
  throw new UserError(
    `${found[0]!.file}: seems to hold masks or annotations of the images beside it, not images of a class: move ${listed(names)} out of ${top.file}${found.length > 1 ? ` (${found.length} folders)` : ''}, or rename it if it is a class`,
  );
}

/** Folders named after masks, beside one named after images, or beside classes that hold all of the same names. */
function masksIn(folder: Folder): Folder[] {
  const inner = withImages(folder);
  const masks = inner.filter(({ name }) => contentOfName(name) === 'masks');
  if (masks.length === 0) return [];
  if (inner.some(({ name }) => contentOfName(name) === 'images')) return masks;
  const others = inner.filter((each) => !masks.includes(each)).flatMap(stemsOf);
  const known = new Set(others);
  const areNames = known.size === others.length && inner.length - masks.length > 1; // not numbers in each folder
  return areNames ? masks.filter((each) => stemsOf(each).every((stem) => known.has(stem))) : [];
}

/** The folder inside `folder` that has all its images, if `folder` has lists too, which may name the labels. */
function withoutLists(folder: Folder): Folder {
  const [only, ...more] = withImages(folder);
  const hasLists = folder.tables.length + folder.others.length > 0;
  return only && more.length === 0 && folder.images.length === 0 && hasLists ? withoutLists(only) : folder;
}

/** Names of all images without endings, and without a word for masks at their end. */
function stemsOf(folder: Folder): string[] {
  const names = imagesOf(folder).map(({ id }) => id.slice(id.lastIndexOf('/') + 1));
  return names.map((name) => name.replace(/\.[^.]*$/, '').replace(/[_-](?:mask|segmentation|trimap)$/i, ''));
}

/** `asl_train/A/`, `asl_test/`; `train/`, `test1/`: names that differ in the split only, but not the folders of a split. */
function refuseSplitNames(top: Folder): void {
  const named = withImages(top).map((folder) => ({
    ...splitAmongWords(folder.name.replace(/(?<!\d)\d+$/, '')),
    folder,
    classes: withImages(unwrapped(folder)).length,
  }));
  for (const train of named.filter(({ split }) => split === 'train')) {
    const isOther = ({ split, others }: (typeof named)[number]) =>
      split !== undefined && split !== 'train' && others === train.others;
    const other = named.find(isOther);
    if (!other || (train.classes === 1 && other.classes === 1)) continue;
    const [first, second] = [`${train.folder.name}/`, `${other.folder.name}/`];
    throw new UserError(
      `${top.file}: ${first} and ${second} are named after splits, but do not hold the same class folders: ${
        train.classes > 1
          ? `give --data ${train.folder.file} for its classes alone, sort the images of ${second} into folders named as those`
          : `sort the images of ${first} into a folder for each class (${first}<class>/*.jpg), give a CSV of image names and labels`
      }, or rename both if they are classes`,
    );
  }
}

/** `a/train/`, `a/test/` in some folders of `top`, but not in all, or with the classes in them. */
function refuseInnerSplits(top: Folder): void {
  const split = withImages(top).filter((folder) => (splitFolders(unwrapped(folder))?.size ?? 0) > 1);
  for (const folder of split) {
    const inner = unwrapped(folder);
    const splits = splitFolders(inner)!;
    const names = [...splits.values()].flat().map(({ name }) => `${name}/`);
    if (splits.get('train')!.some((train) => withImages(unwrapped(train)).length > 1))
      throw new UserError(
        `${inner.file}: holds splits (${listed(names)}) with class folders in them, so ${folder.name}/ is hardly a class: give --data ${inner.file}, or move it away`,
      );
  }
  const other = withImages(top).find((folder) => !isSplitOnly(folder));
  if (split.length === 0 || other === undefined) return;
  const names = listed(split.map(({ name }) => `${name}/`));
  const hasTrain = withImages(other).some(({ name }) => splitOfName(name) === 'train');
  throw new UserError(
    `${top.file}: ${names} hold train and other splits, but ${other.name}/ ${hasTrain ? 'has images outside its splits: move them into a split' : `has no train/: move its images into ${other.file}/train/`}, or move ${other.name}/ away`,
  );
}

/**
 * When every folder holds the same folders (`indoor/cat`, `outdoor/cat`), which level names the classes is not known;
 * asks. Names of single files never count.
 */
export function refuseRepeated(
  top: Folder,
  outer: readonly { readonly name: string; readonly folder: Folder }[],
): void {
  const deep = outer.filter(({ folder }) => folder.images.length === 0 && folder.folders.length > 1);
  if (outer.length < 2 || deep.length < outer.length) return;
  const first = new Set(deep[0]!.folder.folders.map(({ name }) => name));
  const shared = deep[1]!.folder.folders.filter(({ name }) => first.has(name)).map(({ name }) => name);
  if (shared.length > 1)
    throw new UserError(
      `${top.file}: the folders ${listed(outer.map(({ name }) => name))} all hold folders ${listed(shared)}: which are the classes? Move the images of each class into one folder, or name the outer folders train, val and test if they are splits`,
    );
}
