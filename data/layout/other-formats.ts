/** Files and tables that hold images or labels in a way that is not read: their names, and the way to one that is. */
import { basename } from 'node:path';
import { listed, type Table } from '../table.ts';
import { type Unread, type Unused, unusedFiles } from './layout.ts';
import type { Folder } from './tree.ts';

const AS_FILES = 'write its images as files, in a folder for each class';
const AS_ARRAYS = 'save its arrays as an NPZ file: numpy.savez(FILE, train_images=…, train_labels=…)';
const AS_TABLE = 'write a CSV file with the columns image and label';
const FORMATS = [
  { names: /\.(?:parquet|arrow|feather)$/i, noun: 'Parquet or Arrow file', remedy: AS_FILES },
  { names: /\.(?:tfrecords?|mdb|rec)$|\.tfrecords?-\d+-of-\d+$/i, noun: 'record file', remedy: AS_FILES },
  { names: /\.(?:h5|hdf5|mat|npy|pkl|pickle|pt|pth)$/i, noun: 'array file', remedy: AS_ARRAYS },
  { names: /^(?:data|test)_batch(?:_\d+)?(?:\.bin)?$/i, noun: 'CIFAR batch', remedy: AS_ARRAYS },
  { names: /\.(?:xlsx?|ods)$/i, noun: 'spreadsheet', remedy: 'save it as CSV' },
  { names: /\.(?:zip|tar|tgz|gz|bz2|xz|7z|rar)$/i, noun: 'archive', remedy: 'unpack it' },
  { names: /\.(?:json|xml)$/i, noun: 'annotation file', remedy: AS_TABLE },
  { names: /\.(?:txt|lst|list)$/i, noun: 'text file', remedy: AS_TABLE },
] as const;
/** Text files for people. */
const FOR_PEOPLE = /readme|licen[cs]e|notice|citation|copying|changelog|requirements/i;
const PIXEL_COLUMN = /^(?:pixel|px|p)?_?\d+$|^\d+x\d+$/i;
/** As FER2013 has them. */
const PIXEL_TEXT = /^\d{1,3}(?: \d{1,3})+$/;
const LABEL_COLUMN = /^(?:labels?|class|target|y)$/i;
/** Fewer numbered columns may mean something else. */
const LEAST_PIXELS = 64;
/** One that a shell takes as it is between quotes. */
const PLAIN_PATH = /^[\w./ -]+$/;
const ADDRESS = /^https?:\/\//i;

export interface OtherFiles extends Unused {
  readonly remedy: string;
}

/** The files of `folders`, by format. Those below them are not looked at. */
export function otherFiles(folders: readonly Folder[]): OtherFiles[] {
  const names = folders.flatMap(({ others }) => others).filter(({ name }) => !FOR_PEOPLE.test(name));
  return FORMATS.flatMap(({ names: pattern, noun, remedy }) =>
    unusedFiles(names.filter(({ name }) => pattern.test(name)), noun, 'such a file is not read', 'such files are not read').map((unused) => ({ ...unused, remedy })),
  ); // prettier-ignore
}

/** What a file is that is not read, by its name; null for others, and for texts, which may be tables. */
export function otherFormat(name: string): { readonly noun: string; readonly remedy: string } | null {
  return FORMATS.find(({ names, noun }) => noun !== 'text file' && names.test(name)) ?? null;
}

/** ` (…)` for a message, on files and tables that might hold what is missing; empty for none. */
export function lookedAt(
  others: readonly OtherFiles[],
  tables: readonly Table[],
  unread: readonly Unread[] = [],
): string {
  const files = others.map(({ what, remedy }) => `${what}, not read: ${remedy}`);
  const advice = tables.map(adviceOn);
  const named = tables.map(
    ({ file, columns }, i) => advice[i] ?? `${basename(file)} with columns ${listed(columns)}`,
  );
  const flags = advice.includes(null) ? ['--csv-id and --csv-label name columns'] : [];
  const all = [...named, ...flags, ...unread.map(({ why }) => why), ...files];
  return all.length > 0 ? ` (looked at: ${all.join('; ')})` : '';
}

/** Advice on a table without a line of column names, or one that holds pixels or addresses; null for others. */
export function adviceOn(table: Table): string | null {
  const { file, columns, rows } = table;
  const name = basename(file);
  if (columns.some((column) => /\.(?:jpe?g|png|tiff?|bmp)$/i.test(column)))
    return `the first line of ${name} (${listed(columns)}) looks like data: put a line of column names above it, for example image,label`;
  const pixels = pixelsOf(columns);
  if (pixels !== null) {
    const command = PLAIN_PATH.test(file) ? `: ${toNpz(file, pixels.label, pixels.shape)}` : '';
    return `${name} holds pixels, not names; write them as an NPZ file${command}`;
  }
  const texts = columns.findIndex((_, i) => PIXEL_TEXT.test(rows[0]?.values[i] ?? ''));
  const shape = texts < 0 ? null : shapeOf(rows[0]!.values[texts]!.split(' ').length);
  if (shape !== null)
    return `${name} holds pixels in its column '${columns[texts]}', not names; write them as an NPZ file: numpy.savez(FILE, train_images=…, train_labels=…), with np.array(text.split(), 'uint8').reshape(${shape}) for each image`;
  const addresses = columns.findIndex((_, i) => rows.every(({ values }) => ADDRESS.test(values[i]!)));
  if (addresses >= 0)
    return `${name} has addresses in its column '${columns[addresses]}': download the images, and write their file names there`;
  return null;
}

/** Whether a table with these columns holds pixels with labels, and so lists no image files, whatever its rows are. */
export function arePixels(columns: readonly string[]): boolean {
  const pixels = pixelsOf(columns);
  return pixels !== null && LABEL_COLUMN.test(columns[pixels.label]!);
}

/** The position of the label among columns of pixels, and the shape of these; null for other columns. */
function pixelsOf(columns: readonly string[]): { label: number; shape: string } | null {
  const others = columns.flatMap((column, i) => (PIXEL_COLUMN.test(column) ? [] : [i]));
  const shape = shapeOf(columns.length - others.length);
  return shape !== null && others.length === 1 ? { label: others[0]!, shape } : null;
}

function toNpz(file: string, label: number, shape: string): string {
  const images = `np.delete(a, ${label}, 1).reshape(-1, ${shape}).astype('uint8')`;
  return `python3 -c "import numpy as np; a = np.loadtxt('${file}', delimiter=',', skiprows=1, dtype=int); np.savez('${file}.npz', train_images=${images}, train_labels=a[:, ${label}])"`;
}

/** Height, width and channels of as many pixels, for NumPy; null when they make no square. */
function shapeOf(pixels: number): string | null {
  if (pixels < LEAST_PIXELS) return null;
  const [grey, colour] = [Math.sqrt(pixels), Math.sqrt(pixels / 3)];
  if (Number.isInteger(grey)) return `${grey}, ${grey}`;
  return Number.isInteger(colour) ? `${colour}, ${colour}, 3` : null;
}
