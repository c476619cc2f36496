import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { idxBytes, temporaryFolder, write } from '../../data/fixtures.ts';
import { priorConfigSchema } from './config.ts';
import { describeOrigin, loadPriorImages } from './images.ts';
import { bytesOf } from '../../data/images.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());

/** 40 images of two classes, each of one brightness that is its number. */
function idxFolder(): string {
  const dir = join(folder.path, 'idx');
  const pixels = Array.from({ length: 40 }, (_, i) => new Array<number>(16).fill(i)).flat();
  write(join(dir, 'train-images-idx3-ubyte'), idxBytes([40, 4, 4], pixels));
  write(
    join(dir, 'train-labels-idx1-ubyte'),
    idxBytes(
      [40],
      Array.from({ length: 40 }, (_, i) => i % 2),
    ),
  );
  return dir;
}

it('trains on labelled images and the archive, each once, and on nothing that was held out', async () => {
  const data = {
    source: idxFolder(),
    validation: { from: 'none' },
    development: { from: 'train', fraction: 0.2 },
    archive: { from: 'train', labelled: 0.25 },
  };
  const images = await loadPriorImages(priorConfigSchema.parse({ data }));
  // eight of 40 are held out to choose by, a quarter of the other 32 keep their labels
  expect(images.count).toBe(32);
  expect(images.labels).toHaveLength(8);
  const numbers = Array.from({ length: 32 }, (_, i) => bytesOf(images.images)[i * 16]!);
  expect(new Set(numbers).size).toBe(32);
  expect(describeOrigin(images)).toBe('8 labelled training images and 24 of the archive');
  const without = await loadPriorImages(priorConfigSchema.parse({ data: { ...data, archive: null } }));
  expect(without.count).toBe(32); // without an archive, all keep their labels
  expect(without.labels).toHaveLength(32);
  expect(without.digest).not.toBe(images.digest);
});
