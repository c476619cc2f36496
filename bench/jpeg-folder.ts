/** A folder of JPEGs as people have them: classes as folders, several sizes, no two images alike. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { foldIn, integers, keyFromSeed } from '../tensor/random.ts';

const SIZES = [
  [600, 450],
  [640, 480],
  [450, 600],
  [1024, 768],
  [512, 512],
] as const;
const CLASSES = 7;
const QUALITY = 90;
/** Values in a row and a column of the noise that is scaled up to an image. */
const GRAIN = 24;
const CONCURRENT = 4;

/** Writes `count` images to `folder`; the same count gives the same files. */
export async function writeJpegFolder(folder: string, count: number): Promise<void> {
  for (let label = 0; label < CLASSES; label++)
    await mkdir(join(folder, `class-${label}`), { recursive: true });
  let next = 0;
  const work = async () => {
    while (next < count) await writeJpeg(folder, next++);
  };
  await Promise.all(Array.from({ length: CONCURRENT }, work));
}

async function writeJpeg(folder: string, index: number): Promise<void> {
  const [width, height] = SIZES[index % SIZES.length]!;
  const raw = { width: GRAIN, height: GRAIN, channels: 3 } as const;
  const noise = integers(foldIn(keyFromSeed(0), 'jpeg', index), GRAIN * GRAIN * 3, 256);
  await sharp(Uint8Array.from(noise), { raw })
    .resize(width, height, { fit: 'fill' })
    .jpeg({ quality: QUALITY })
    .toFile(join(folder, `class-${index % CLASSES}`, `${index}.jpg`));
}
