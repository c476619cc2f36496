/**
 * Fashion-MNIST (Xiao, Rasul and Vollgraf 2017, MIT licence): 60,000 train and 10,000 test images, 28 × 28 grey, ten
 * classes. It is searched for in the user's folders, where Debian's `dataset-fashion-mnist` puts it, and in the cache;
 * otherwise it is downloaded into the cache and verified by SHA-256.
 */
import { createHash } from 'node:crypto';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { toError, UserError } from '../common/errors.ts';
import { IDX_FILES, isIdxFolder, readIdxFolder } from './idx.ts';
import type { Source } from './source.ts';

export const FASHION_MNIST = 'fashion-mnist';

export const FASHION_MNIST_CLASSES: readonly string[] = [
  't-shirt',
  'trouser',
  'pullover',
  'dress',
  'coat',
  'sandal',
  'shirt',
  'sneaker',
  'bag',
  'ankle-boot',
];

const DEBIAN_FOLDER = '/usr/share/datasets/fashion-mnist';
const MIRRORS: readonly string[] = [
  'https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion',
  'http://fashion-mnist.s3-website.eu-central-1.amazonaws.com',
];
const FETCH_TIMEOUT_MS = 120_000;
const MAX_UNPACKED_BYTES = 64 * 2 ** 20;

/** SHA-256 of the published files once unpacked (the gzip header differs between the site and Debian). */
const SHA256: Readonly<Record<string, string>> = {
  [`${IDX_FILES.trainImages}.gz`]: 'c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888',
  [`${IDX_FILES.trainLabels}.gz`]: 'bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9',
  [`${IDX_FILES.testImages}.gz`]: '5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b',
  [`${IDX_FILES.testLabels}.gz`]: '0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34',
};

/** Where things are and how they are fetched; every field has a usual value. */
export interface Places {
  /** Folders searched first, each for `fashion-mnist/`. */
  readonly roots?: readonly string[];
  readonly environment?: Readonly<Record<string, string | undefined>>;
  readonly home?: string;
  readonly systemFolder?: string;
  readonly fetch?: (url: string, init: { signal: AbortSignal }) => Promise<Response>;
}

/** Reads Fashion-MNIST, fetching it where it is nowhere. Throws UserError that says how to get it. */
export async function readFashionMnist(places: Places = {}): Promise<Source> {
  const folders = searchedFolders(places);
  const cache = folders.at(-1)!;
  const found = folders.find(isIdxFolder);
  if (!found) await fetchInto(cache, folders, places.fetch ?? fetch);
  const source = await readIdxFolder(found ?? cache, FASHION_MNIST_CLASSES);
  if (!source.test) throw new UserError(`${found ?? cache}: ${IDX_FILES.testImages}[.gz] is missing`);
  return source;
}

/** Where Fashion-MNIST may lie, in the order of search; the last is the cache, where it is fetched to. */
export function searchedFolders(places: Places = {}): readonly string[] {
  const environment = places.environment ?? process.env;
  return [
    ...(places.roots ?? []).map((root) => join(root, FASHION_MNIST)),
    ...(environment.BALLAST_DATA_DIR ? [join(environment.BALLAST_DATA_DIR, FASHION_MNIST)] : []),
    places.systemFolder ?? DEBIAN_FOLDER,
    join(places.home ?? homedir(), '.cache', 'ballast', FASHION_MNIST),
  ];
}

async function fetchInto(
  folder: string,
  searched: readonly string[],
  get: NonNullable<Places['fetch']>,
): Promise<void> {
  // The train images come last: they mark the folder as complete (isIdxFolder).
  const names = Object.keys(SHA256).reverse();
  for (const name of names) {
    const bytes = await fetchOne(name, searched, get);
    await mkdir(folder, { recursive: true });
    const partial = join(folder, `${name}.${process.pid}.partial`);
    await writeFile(partial, bytes);
    await rename(partial, join(folder, name));
  }
}

async function fetchOne(
  name: string,
  searched: readonly string[],
  get: NonNullable<Places['fetch']>,
): Promise<Uint8Array> {
  const failures: string[] = [];
  for (const mirror of MIRRORS) {
    try {
      const response = await get(`${mirror}/${name}`, { signal: AbortSignal.timeout(FETCH_TIMEOUT_MS) });
      if (!response.ok) throw new Error(`HTTP ${response.status}`);
      const bytes = new Uint8Array(await response.arrayBuffer());
      if (
        createHash('sha256')
          .update(gunzipSync(bytes, { maxOutputLength: MAX_UNPACKED_BYTES }))
          .digest('hex') !== SHA256[name]
      )
        throw new Error('its SHA-256 is not the published one');
      return bytes;
    } catch (error) {
      failures.push(`${new URL(mirror).host}: ${toError(error).message}`);
    }
  }
  throw new UserError(
    `Fashion-MNIST is neither in ${searched.join(', ')} nor could ${name} be fetched (${failures.join('; ')}); ` +
      `install it (apt-get install dataset-fashion-mnist) or set BALLAST_DATA_DIR to the folder that holds fashion-mnist/`,
  );
}
