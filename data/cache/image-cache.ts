/**
 * Decoded images on disk, so that an image is decoded once for all processes and runs. A folder for each way of decoding
 * (size, channels, crop, scale, version of the decoder), and in it packs, two files each:
 *
 *   NAME.images   decoded images, one after the other
 *   NAME.index    SHA-256 of the file that each was decoded from, 32 bytes each, in the same order
 *
 * The content of a file decides whether its image is there: a changed image is decoded again, and no other. Many processes
 * may write at once, each its own packs; a pack appears whole, its index last. The cache is bounded: the packs that were
 * used longest ago go first. It may be deleted at any time.
 */
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import type { Place } from './packed-images.ts';

const DIGEST_BYTES = 32;
/** A pack is finished when it is larger, so that a process that dies loses at most that much. */
const PACK_BYTES = 2 ** 28;
const DEFAULT_LIMIT_BYTES = 64 * 2 ** 30;
/** A file of an unfinished pack that has not been written to for this long belongs to a process that died. */
const STALE_MS = 3_600_000;

/** The cached images of one decoding configuration, and a writer for more. */
export class ImageCache {
  readonly #folder: string;
  readonly #size: number;
  readonly #places: Map<string, Place>;
  #pack: Pack | null = null;

  private constructor(folder: string, size: number, places: Map<string, Place>) {
    this.#folder = folder;
    this.#size = size;
    this.#places = places;
  }

  /** Opens the folder of `recipe` (any plain value) below `root`, whose images have `size` bytes. */
  static async open(root: string, recipe: unknown, size: number): Promise<ImageCache> {
    const name = createHash('sha256').update(JSON.stringify(recipe)).digest('hex').slice(0, 32);
    const folder = join(root, name);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const places = new Map<string, Place>();
    for (const file of await readdir(folder))
      if (file.endsWith('.index')) await readIndex(join(folder, file), size, places);
    return new ImageCache(folder, size, places);
  }

  /** Where the image of a file's content is, or null. */
  find(digest: string): Place | null {
    return this.#places.get(digest) ?? null;
  }

  /** Adds an image. It is found at once by this process, by others when its pack is finished. */
  async add(digest: string, image: Uint8Array): Promise<Place> {
    const known = this.find(digest);
    if (known) return known;
    if (this.#pack === null || this.#pack.digests.length * this.#size >= PACK_BYTES) {
      const full = this.#pack;
      this.#pack = new Pack(join(this.#folder, randomUUID()), this.#size);
      await full?.finish();
    }
    const pack = this.#pack;
    const place = { pack: pack.path, slot: pack.digests.length };
    this.#places.set(digest, place);
    await pack.write(digest, image);
    return place;
  }

  /** Finishes the last pack: everything that was added can be read, and stays. */
  async finish(): Promise<void> {
    const pack = this.#pack;
    this.#pack = null;
    await pack?.finish();
  }
}

class Pack {
  readonly path: string;
  readonly digests: string[] = [];
  readonly #index: string;
  readonly #size: number;
  readonly #file: Promise<FileHandle>;
  readonly #writes = new Set<Promise<unknown>>();

  constructor(base: string, size: number) {
    this.path = `${base}.images`;
    this.#index = `${base}.index`;
    this.#size = size;
    this.#file = open(this.path, 'wx', 0o600);
    this.#file.catch(() => undefined); // heard by the first write
  }

  async write(digest: string, image: Uint8Array): Promise<void> {
    const slot = this.digests.push(digest) - 1;
    const writing = this.#file.then((file) => file.write(image, 0, this.#size, slot * this.#size));
    this.#writes.add(writing);
    await writing.finally(() => this.#writes.delete(writing));
  }

  async finish(): Promise<void> {
    await Promise.all(this.#writes);
    const file = await this.#file;
    await file.datasync();
    await file.close();
    await writeFile(`${this.#index}.tmp`, Buffer.from(this.digests.join(''), 'hex'), { mode: 0o600 });
    await rename(`${this.#index}.tmp`, this.#index);
  }
}

/** A pack that is damaged or was removed just now counts as absent. */
async function readIndex(path: string, size: number, places: Map<string, Place>): Promise<void> {
  const pack = path.replace(/index$/, 'images');
  try {
    const digests = await readFile(path);
    const count = digests.length / DIGEST_BYTES;
    if ((await stat(pack)).size !== count * size) return;
    for (let slot = 0; slot < count; slot++)
      places.set(digests.toString('hex', slot * DIGEST_BYTES, (slot + 1) * DIGEST_BYTES), { pack, slot });
    await utimes(pack, new Date(), new Date()).catch(() => undefined); // a read-only folder still serves
  } catch {
    return;
  }
}

export interface PackFile {
  /** Path of its images. */
  readonly path: string;
  readonly sizeBytes: number;
  readonly usedAtMs: number;
  /** Whether it has an index. */
  readonly isFinished: boolean;
}

/** The packs to remove: those that a dead process left, and beyond the limit those that were used longest ago; never one of `inUse`. */
export function chooseOldPacks(
  packs: readonly PackFile[],
  limitBytes: number,
  inUse: ReadonlySet<string>,
  nowMs: number,
): string[] {
  const order = packs.toSorted(
    (a, b) => Number(inUse.has(b.path)) - Number(inUse.has(a.path)) || b.usedAtMs - a.usedAtMs,
  );
  let sum = 0;
  return order.flatMap(({ path, sizeBytes, usedAtMs, isFinished }) => {
    if (!isFinished) return nowMs - usedAtMs > STALE_MS ? [path] : [];
    sum += sizeBytes;
    return sum > limitBytes && !inUse.has(path) ? [path] : [];
  });
}

/** Removes what is too much of all ways of decoding below `root`. */
export async function boundImageCache(root: string, inUse: ReadonlySet<string>): Promise<void> {
  for (const path of chooseOldPacks(await listPacks(root), limitBytes(), inUse, Date.now())) {
    await rm(path.replace(/images$/, 'index'), { force: true }); // first: no pack is found without its images
    await rm(path, { force: true });
  }
}

export async function listPacks(root: string): Promise<PackFile[]> {
  const names = await readdir(root, { recursive: true }).catch(() => []);
  const finished = new Set(names.filter((name) => name.endsWith('.index')));
  const packs = names.filter((name) => name.endsWith('.images'));
  const files = packs.map(async (name): Promise<PackFile | null> => {
    const path = join(root, name);
    const found = await stat(path).catch(() => null);
    if (found === null) return null; // another process has removed it
    const isFinished = finished.has(name.replace(/images$/, 'index'));
    return { path, sizeBytes: found.size, usedAtMs: found.mtimeMs, isFinished };
  });
  return (await Promise.all(files)).filter((file) => file !== null);
}

/** The value of BALLAST_IMAGE_CACHE_GIB, otherwise 64 GiB. */
export function limitBytes(): number {
  const gibibytes = Number(process.env['BALLAST_IMAGE_CACHE_GIB'] ?? '');
  return gibibytes > 0 ? gibibytes * 2 ** 30 : DEFAULT_LIMIT_BYTES;
}

/**
 * The folder of the cache: BALLAST_IMAGE_CACHE, otherwise `ballast/images` of the user's cache folder. Null when the
 * variable is `off`, and for a user without a home, which containers may have.
 */
export function imageCacheFolder(): string | null {
  const chosen = process.env['BALLAST_IMAGE_CACHE'] ?? '';
  if (chosen !== '') return chosen === 'off' ? null : chosen;
  const base = process.env['XDG_CACHE_HOME'] ?? '';
  try {
    return join(isAbsolute(base) ? base : join(homedir(), '.cache'), 'ballast', 'images');
  } catch {
    return null;
  }
}
