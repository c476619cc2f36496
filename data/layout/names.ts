/**
 * Names that mean something wherever they stand: splits, columns, values that stand for "missing", and files that
 * operating systems and storage devices leave about. All are compared in Unicode NFC, in any case.
 */

export type SplitName = 'train' | 'validation' | 'test';

export const SPLITS: readonly SplitName[] = ['train', 'validation', 'test'];

/** As Hugging Face's `imagefolder` and Keras know them. */
const SPLIT_WORDS: ReadonlyMap<string, SplitName> = new Map([
  ...['train', 'training', 'trainset', 'trn'].map((word) => [word, 'train'] as const),
  ...['val', 'valid', 'validate', 'validation', 'dev', 'development', 'valset'].map(
    (word) => [word, 'validation'] as const,
  ),
  ...['test', 'testing', 'testset', 'tst', 'eval', 'evaluation'].map((word) => [word, 'test'] as const),
]);
/** Words that may stand beside a split's name in the name of a folder: `train_images`, `Test Set`. */
const BESIDE = new Set([
  'set',
  'split',
  'data',
  'dataset',
  'images',
  'image',
  'imgs',
  'img',
  'input',
  'jpeg',
  'png',
]);

/** The split that a folder or a value is named after; null for other names. */
export function splitOfName(name: string): SplitName | null {
  const words = wordsOf(name).filter((word) => !BESIDE.has(word));
  return words.length === 1 ? (SPLIT_WORDS.get(words[0]!) ?? null) : null;
}

/** Whether a name says only that images are held, or of which split: `images`, `testSet`. */
export function isHolderName(name: string): boolean {
  return wordsOf(name).every((word) => BESIDE.has(word) || SPLIT_WORDS.has(word));
}

/** Whether one of the folders of a path is named after the validation or test split. */
export function isHeldOut(path: string): boolean {
  return path.split('/').slice(0, -1).some((name) => ['validation', 'test'].includes(splitOfName(name)!)); // prettier-ignore
}

/** The only split among the words of a file's name (`ISIC_2019_Training_GroundTruth.csv`); otherwise null. */
export function splitWithinName(name: string): SplitName | null {
  const found = new Set(wordsOf(name).flatMap((word) => SPLIT_WORDS.get(word) ?? []));
  return found.size === 1 ? [...found][0]! : null;
}

/** The only split among the words of a name, and its other words but numbers: `seg_train`, `1_test`; null for others. */
export function splitAmongWords(name: string): { split: SplitName; others: string } | null {
  const split = splitWithinName(name);
  if (split === null) return null;
  const others = wordsOf(name).filter((word) => SPLIT_WORDS.get(word) !== split && !/^\d+$/.test(word));
  return { split, others: others.join(' ') };
}

const IMAGES = new Set([...BESIDE, 'inputs', 'photos', 'originals', 'jpegimages']);
const MASKS = /^(?:mask|annotation|annot|trimap|label|segmentation|groundtruth|truth|gt)s?$/;
/** Words that may stand beside those of masks: `Ground Truth`, `SegmentationClass`. */
const BESIDE_MASKS = new Set(['ground', 'class', 'object']);

/** Whether a folder is named after the kind of its content, images or masks of images, rather than after a class. */
export function contentOfName(name: string): 'images' | 'masks' | null {
  const words = wordsOf(name).filter((word) => !IMAGES.has(word) && !SPLIT_WORDS.has(word));
  if (words.length === 0) return 'images';
  const others = words.filter((word) => !MASKS.test(word));
  return others.length < words.length && others.every((word) => BESIDE_MASKS.has(word)) ? 'masks' : null;
}

function wordsOf(name: string): string[] {
  const spaced = name.normalize('NFC').replace(/([a-z])([A-Z])/g, '$1 $2');
  return spaced
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter((word) => word !== '');
}

/** A column's name in the form used for comparison: NFC, lower case, words joined by `_`. */
export function plainName(name: string): string {
  return name
    .normalize('NFC')
    .trim()
    .toLowerCase()
    .replace(/[\s_-]+/g, '_');
}

/** Texts that pandas, R and spreadsheets write for a missing value. ('None' is left out: it is a class of many data sets.) */
const MISSING = new Set(['', 'nan', '-nan', 'na', 'n/a', '<na>', 'null', '#n/a', '#na', '#n/a n/a', 'nat']);

export function isMissing(value: string): boolean {
  return MISSING.has(value.toLowerCase());
}

const JUNK = new Set([
  ...[
    '__macosx',
    'icon\r',
    'thumbs.db',
    'ehthumbs.db',
    'desktop.ini',
    '$recycle.bin',
    'system volume information',
  ],
  ...['@eadir', '#recycle', '#snapshot', '@recycle', '@recently-snapshot', '@sharebin', '@tmp', '~snapshot'],
  ...['lost+found', 'network trash folder', 'temporary items', '__pycache__', 'recycler'],
]);

/** Whether macOS, Windows, a NAS or a program left this file or folder behind; hidden ones count as such. */
export function isJunk(name: string): boolean {
  return name.startsWith('.') || name.startsWith('~$') || JUNK.has(name.toLowerCase());
}
