import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FASHION_MNIST_CLASSES, readFashionMnist, searchedFolders } from './fashion-mnist.ts';
import { idxBytes, load, temporaryFolder, write, type TemporaryFolder } from './fixtures.ts';
import { IDX_FILES, isIdxFolder } from './idx.ts';
import { countClasses } from './source.ts';
import { bytesOf } from './images.ts';

let folder: TemporaryFolder;
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => folder.remove());

function putData(where: string, label: number): void {
  const images = idxBytes([1, 2, 2], [1, 2, 3, 4]);
  write(join(where, IDX_FILES.trainImages), images);
  write(join(where, IDX_FILES.trainLabels), idxBytes([1], [label]));
  write(join(where, IDX_FILES.testImages), images);
  write(join(where, IDX_FILES.testLabels), idxBytes([1], [label]));
}

/** No place but those under the temporary folder. */
const places = () => ({
  roots: [join(folder.path, 'root')],
  environment: { BALLAST_DATA_DIR: join(folder.path, 'environment') },
  systemFolder: join(folder.path, 'system'),
  home: join(folder.path, 'home'),
  fetch: () => Promise.reject(new Error('no network')),
});

describe('Fashion-MNIST', () => {
  it('is looked for in the given roots, BALLAST_DATA_DIR, the system folder and the cache, in this order', async () => {
    const label = async () => (await readFashionMnist(places())).train.labels[0];
    putData(join(folder.path, 'home/.cache/ballast/fashion-mnist'), 1);
    expect(await label()).toBe(1);
    putData(join(folder.path, 'system'), 2);
    expect(await label()).toBe(2);
    putData(join(folder.path, 'environment/fashion-mnist'), 3);
    expect(await label()).toBe(3);
    putData(join(folder.path, 'root/fashion-mnist'), 4);
    expect(await label()).toBe(4);
  });

  it('says how to get it when it is nowhere', async () => {
    const loading = readFashionMnist(places());
    await expect(loading).rejects.toMatchObject({ name: 'UserError' });
    await expect(loading).rejects.toThrow(/no network.*apt-get install dataset-fashion-mnist/);
  });

  it('refuses a download with another checksum and keeps nothing of it', async () => {
    const asked: string[] = [];
    const get = (url: string) => {
      asked.push(url);
      return Promise.resolve(new Response(gzipSync('not the data')));
    };
    await expect(readFashionMnist({ ...places(), fetch: get })).rejects.toThrow(
      'its SHA-256 is not the published one',
    );
    expect(asked).toHaveLength(2); // both mirrors
    expect(existsSync(join(folder.path, 'home/.cache/ballast/fashion-mnist'))).toBe(false);
  });

  it('tries the second mirror when the first has no such file', async () => {
    const get = () => Promise.resolve(new Response('', { status: 404 }));
    await expect(readFashionMnist({ ...places(), fetch: get })).rejects.toThrow(/HTTP 404.*HTTP 404/);
  });
});

const REAL = searchedFolders().find(isIdxFolder);

describe.skipIf(REAL === undefined)(
  `Fashion-MNIST itself${REAL === undefined ? ` (skipped: it is in none of ${searchedFolders().join(', ')}; apt-get install dataset-fashion-mnist)` : ''}`,
  () => {
    it('makes the long-tailed set of 4,964 images with a balanced validation set', async () => {
      const data = await load({
        source: 'fashion-mnist',
        longTail: { ratio: 100, largest: 2000, seed: 0 },
        validation: { from: 'unused', limit: 1003 },
      });
      expect(data.classes).toEqual(FASHION_MNIST_CLASSES);
      expect([data.height, data.width, data.channels]).toEqual([28, 28, 1]);
      expect(data.train.labels).toHaveLength(4964);
      expect(countClasses(data.train.labels, 10)).toEqual([2000, 1199, 719, 431, 258, 155, 93, 56, 33, 20]);
      expect(countClasses(data.validation!.labels, 10)).toEqual([
        101, 101, 101, 100, 100, 100, 100, 100, 100, 100,
      ]);
      expect(countClasses(data.test!.labels, 10)).toEqual(new Array(10).fill(1000));
      const trained = new Set(data.train.ids);
      expect(data.validation!.ids.filter((id) => trained.has(id))).toEqual([]);
      // Mean of all test pixels, by NumPy from the same files.
      const sum = bytesOf(data.test!.images).reduce((total, value) => total + value, 0);
      expect(sum / data.test!.images.length).toBeCloseTo(73.146566, 4);
    });

    it('can be fetched: a mirror that serves the same content passes the checksum', async () => {
      const get = (url: string) => {
        const name = url.slice(url.lastIndexOf('/') + 1);
        return Promise.resolve(new Response(readFileSync(join(REAL!, name))));
      };
      const source = await readFashionMnist({ ...places(), fetch: get });
      expect(source.train.labels).toHaveLength(60_000);
      expect(
        existsSync(join(folder.path, 'home/.cache/ballast/fashion-mnist/train-images-idx3-ubyte.gz')),
      ).toBe(true);
    });
  },
);
