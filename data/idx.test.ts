import { gzipSync } from 'node:zlib';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { UserError } from '../common/errors.ts';
import { idxBytes, temporaryFolder, write, type TemporaryFolder } from './fixtures.ts';
import { IDX_FILES, isIdxFolder, readIdxFolder } from './idx.ts';

let folder: TemporaryFolder;
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => folder.remove());

/** Three 2 × 2 images labelled 0, 2, 1. */
const IMAGES = idxBytes([3, 2, 2], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
const LABELS = idxBytes([3], [0, 2, 1]);

function put(name: string, content: Uint8Array): void {
  write(join(folder.path, name), content);
}

function putTrain(images: Uint8Array = IMAGES, labels: Uint8Array = LABELS): void {
  put(IDX_FILES.trainImages, images);
  put(IDX_FILES.trainLabels, labels);
}

async function refusal(names: string[] | null = null): Promise<string> {
  const error: unknown = await readIdxFolder(folder.path, names).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(UserError);
  return (error as UserError).message.replaceAll(folder.path, 'DIR');
}

describe('IDX folders', () => {
  it('are read plain and gzipped', async () => {
    putTrain();
    put(`${IDX_FILES.testImages}.gz`, gzipSync(idxBytes([1, 2, 2], [9, 9, 9, 9])));
    put(`${IDX_FILES.testLabels}.gz`, gzipSync(idxBytes([1], [2])));
    const source = await readIdxFolder(folder.path, null);
    expect(source.classes).toEqual(['0', '1', '2']);
    expect([...source.train.labels]).toEqual([0, 2, 1]);
    expect(source.train.ids).toEqual(['train/000000', 'train/000001', 'train/000002']);
    expect(source.train.pixels).toMatchObject({ kind: 'raw', height: 2, width: 2, channels: 1 });
    const { pixels } = source.train;
    expect(pixels.kind === 'raw' && [...pixels.data.subarray(4, 8)]).toEqual([5, 6, 7, 8]);
    expect([...source.test!.labels]).toEqual([2]);
  });

  it('are known by their train images, also spelled with a dot', () => {
    expect(isIdxFolder(folder.path)).toBe(false);
    put('train-images.idx3-ubyte', IMAGES);
    expect(isIdxFolder(folder.path)).toBe(true);
  });
});

describe('IDX mistakes', () => {
  it('a missing labels file', async () => {
    put(IDX_FILES.trainImages, IMAGES);
    expect(await refusal()).toBe(
      'DIR: train-images-idx3-ubyte is here but its labels train-labels-idx1-ubyte[.gz] are not',
    );
  });

  it('a wrong magic number', async () => {
    putTrain(Uint8Array.from([0x89, 0x50, 0x4e, 0x47, 0, 0, 0, 0]));
    expect(await refusal()).toContain('DIR/train-images-idx3-ubyte: not an IDX file');
  });

  it('another element type or rank', async () => {
    const floats = Uint8Array.from(IMAGES);
    floats[2] = 0x0d;
    putTrain(floats);
    expect(await refusal()).toContain('IDX magic names type 0x0d of rank 3; needed are unsigned bytes');
    putTrain(LABELS);
    expect(await refusal()).toContain('type 0x08 of rank 1; needed are unsigned bytes (0x08) of rank 3');
  });

  it('a truncated file, plain and gzipped', async () => {
    putTrain(IMAGES.subarray(0, IMAGES.length - 1));
    expect(await refusal()).toContain('holds 11 values where its header promises 12 (3 x 2 x 2)');
    putTrain(IMAGES.subarray(0, 10));
    expect(await refusal()).toContain('truncated in its header');
    const packed = gzipSync(IMAGES);
    putTrain(packed.subarray(0, packed.length - 9));
    expect(await refusal()).toContain('gzip data is damaged or cut off');
  });

  it('labels that are not as many as images', async () => {
    putTrain(IMAGES, idxBytes([2], [0, 1]));
    expect(await refusal()).toContain('2 labels for the 3 images');
  });

  it('a label outside the classes', async () => {
    putTrain();
    expect(await refusal(['cat', 'dog'])).toBe(
      'DIR/train-labels-idx1-ubyte: label 2 of image 1 is outside the 2 classes (cat, dog); correct it or remove the image',
    );
  });
});
