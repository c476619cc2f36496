/**
 * Finds the image that a row of a table names, only among the images of one folder: by its path or its bare name, each
 * with or without extension, in Unicode NFC, with `/` or `\`. Paths in lists from other machines begin with folders
 * that do not exist here (`/home/ann/proj/images/a.png`, `../images/a.png`): a prefix common to all such rows is
 * dropped. Where the names have other endings than the files (`a.dcm`, now a.png), endings are left out.
 */
import { extname } from 'node:path';
import { UserError } from '../../common/errors.ts';
import { splitWithinName, type SplitName } from './names.ts';
import { hasImageEnding, type FoundImage } from './tree.ts';

/** Rows looked at to learn which beginning is dropped, spread over the table. */
const SAMPLE = 500;

/** Of images of the same name, the one in a folder of `split` is meant. Throws UserError when several are left. */
export type FindImage = (written: string, where: string, split: SplitName | null) => FoundImage | null;

export interface ImageFinder {
  readonly find: FindImage;
  /** The images that a name may mean. */
  readonly candidates: (written: string) => readonly FoundImage[];
  /** Parts of the names that are left out, one line each. */
  readonly notes: readonly string[];
}

export class ImageIndex {
  /** Images by path, path without ending, name and name without ending. */
  readonly #byName = new Map<string, FoundImage[]>();
  readonly #exact = new Map<string, FoundImage>();
  readonly folder: string;
  readonly count: number;

  constructor(folder: string, images: readonly FoundImage[]) {
    this.folder = folder;
    this.count = images.length;
    for (const image of images) {
      this.#exact.set(image.id, image);
      const bare = image.id.slice(image.id.lastIndexOf('/') + 1);
      for (const name of new Set([image.id, withoutEnding(image.id), bare, withoutEnding(bare)])) {
        const known = this.#byName.get(name);
        if (known) known.push(image);
        else this.#byName.set(name, [image]);
      }
    }
  }

  /** Candidates for a cleaned name; only the exact path if it exists. */
  candidates(name: string): readonly FoundImage[] {
    const exact = this.#exact.get(name);
    return exact ? [exact] : (this.#byName.get(name) ?? []);
  }

  /** A finder for the names that one column of a table holds. */
  finder(names: readonly string[]): ImageFinder {
    const step = Math.max(1, Math.floor(names.length / SAMPLE));
    const sample = names.filter((_, i) => i % step === 0).map(cleaned);
    const bare = sample.map(withoutImageEnding);
    const isBare = !this.#isReached(sample) && this.#isReached(bare);
    const plain = (written: string) => (isBare ? withoutImageEnding(cleaned(written)) : cleaned(written));
    const dropped = this.#dropped(isBare ? bare : sample);
    const candidates = (written: string) => {
      const name = plain(written);
      const direct = this.candidates(name);
      return direct.length === 0 && dropped !== null && name.startsWith(dropped)
        ? this.candidates(name.slice(dropped.length))
        : direct;
    };
    const notes = [
      ...(dropped === null ? [] : [`the beginning '${dropped}' of its image names is left out`]),
      ...(isBare ? ['its image names have other endings than the files: endings are left out'] : []),
    ];
    const find: FindImage = (written, where, split) => this.#only(candidates(written), written, where, split);
    return { find, candidates, notes };
  }

  #only(
    found: readonly FoundImage[],
    written: string,
    where: string,
    split: SplitName | null,
  ): FoundImage | null {
    if (found.length < 2) return found[0] ?? null;
    const ofSplit = split === null ? [] : found.filter(({ id }) => splitsOfFolders(id).includes(split));
    if (ofSplit.length === 1) return ofSplit[0]!;
    throw new UserError(
      `${where}: image '${written}' could be ${found[0]!.id} or ${found[1]!.id} under ${this.folder}; set data.csv.images to the right folder`,
    );
  }

  /** The beginning that is left out of `names`; null for none. */
  #dropped(names: readonly string[]): string | null {
    return this.#isKnown(names) ? null : this.#sharedStart(names);
  }

  /** Whether half of `names` are known, as they are or without a beginning. */
  #isReached(names: readonly string[]): boolean {
    return this.#isKnown(names) || this.#sharedStart(names) !== null;
  }

  #isKnown(names: readonly string[]): boolean {
    return names.filter((name) => this.candidates(name).length > 0).length >= names.length / 2;
  }

  /** The longest beginning that at least half of `names` share and without which they are paths of images. */
  #sharedStart(names: readonly string[]): string | null {
    const starts = new Map<string, number>();
    for (const name of names)
      for (let at = name.indexOf('/'); at >= 0; at = name.indexOf('/', at + 1)) {
        const rest = name.slice(at + 1);
        if (this.#exact.has(rest) || this.candidates(rest).some(({ id }) => withoutEnding(id) === rest)) {
          const start = name.slice(0, at + 1);
          starts.set(start, (starts.get(start) ?? 0) + 1);
          break;
        }
      }
    const best = [...starts].sort((a, b) => b[1] - a[1])[0];
    return best && best[1] >= names.length / 2 ? best[0] : null;
  }
}

/** With `/`, in NFC, without `./` in front. */
function cleaned(written: string): string {
  return written
    .normalize('NFC')
    .trim()
    .replaceAll('\\', '/')
    .replace(/^(?:\.\/)+/, '');
}

function withoutEnding(name: string): string {
  const ending = extname(name);
  return ending === '' ? name : name.slice(0, -ending.length);
}

function withoutImageEnding(name: string): string {
  return hasImageEnding(name) ? withoutEnding(name) : name;
}

/** The splits that the folders of a path are named after. */
function splitsOfFolders(path: string): (SplitName | null)[] {
  return path.split('/').slice(0, -1).map(splitWithinName);
}
