import { join } from 'node:path';
import { zipSync } from 'fflate';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { UserError } from '../common/errors.ts';
import { npyBytes, temporaryFolder, write, type TemporaryFolder } from './fixtures.ts';
import { npyTexts, npyValues, parseNpy } from './npy.ts';
import { readNpz } from './npz.ts';

let folder: TemporaryFolder;
let file: string;
beforeEach(() => {
  folder = temporaryFolder();
  file = join(folder.path, 'mini.npz');
});
afterEach(() => folder.remove());

/**
 * Written by NumPy 2.4.6: np.savez_compressed(…, train_images=i, train_labels=[[0], [1]] (u1), val_images=i[:1] + 10,
 * val_labels=[[1]] (i8), test_images=i + 20, test_labels=[[1], [0]] (i8)), i = np.arange(8, dtype='u1').reshape(2, 2, 2).
 */
const BY_NUMPY =
  'UEsDBC0AAAAIAAAAIQBhYP21//////////8QABQAdHJhaW5faW1hZ2VzLm5weQEAEACIAAAAAAAAAE8AAAAAAAAAm+wX6hsQ' +
  'ychQxlCtnpJanFykbqWgXlNqqK6joJ6WX1RSlJgXn1+UkgoSd0vMKU4FihdnJBakAvkaRjoKIKSpo1CrQB7gYmBkYmZhZWMH' +
  'AFBLAwQtAAAACAAAACEAgxey5f//////////EAAUAHRyYWluX2xhYmVscy5ucHkBABAAggAAAAAAAABIAAAAAAAAAJvsF+ob' +
  'EMnIUMZQrZ6SWpxcpG6loF5Taqiuo6Cell9UUpSYF59flJIKEndLzClOBYoXZyQWpAL5GkY6CoaaOgq1CmQDLgZGAFBLAwQt' +
  'AAAACAAAACEAc79ncf//////////DgAUAHZhbF9pbWFnZXMubnB5AQAQAIQAAAAAAAAATAAAAAAAAACb7BfqGxDJyFDGUK2e' +
  'klqcXKRupaBeU2qorqOgnpZfVFKUmBefX5SSChJ3S8wpTgWKF2ckFqQC+RqGOgpGQKSpo1CrQB7g4uLm4QUAUEsDBC0AAAAI' +
  'AAAAIQAOqgSl//////////8OABQAdmFsX2xhYmVscy5ucHkBABAAiAAAAAAAAABKAAAAAAAAAJvsF+obEMnIUMZQrZ6SWpxc' +
  'pG6loG6TaaGuo6Cell9UUpSYF59flJIKEndLzClOBYoXZyQWpAL5GoY6CoaaOgq1CmQDLkYGCAAAUEsDBC0AAAAIAAAAIQCD' +
  'JT8u//////////8PABQAdGVzdF9pbWFnZXMubnB5AQAQAIgAAAAAAAAATwAAAAAAAACb7BfqGxDJyFDGUK2eklqcXKRupaBe' +
  'U2qorqOgnpZfVFKUmBefX5SSChJ3S8wpTgWKF2ckFqQC+RpGOgogpKmjUKtAHuASERUTl5CUkgYAUEsDBC0AAAAIAAAAIQCJ' +
  'bqW6//////////8PABQAdGVzdF9sYWJlbHMubnB5AQAQAJAAAAAAAAAASgAAAAAAAACb7BfqGxDJyFDGUK2eklqcXKRupaBu' +
  'k2mhrqOgnpZfVFKUmBefX5SSChJ3S8wpTgWKF2ckFqQC+RpGOgqGmjoKtQpkAy5GBlQAAFBLAQItAy0AAAAIAAAAIQBhYP21' +
  'TwAAAIgAAAAQAAAAAAAAAAAAAACAAQAAAAB0cmFpbl9pbWFnZXMubnB5UEsBAi0DLQAAAAgAAAAhAIMXsuVIAAAAggAAABAA' +
  'AAAAAAAAAAAAAIABkQAAAHRyYWluX2xhYmVscy5ucHlQSwECLQMtAAAACAAAACEAc79ncUwAAACEAAAADgAAAAAAAAAAAAAA' +
  'gAEbAQAAdmFsX2ltYWdlcy5ucHlQSwECLQMtAAAACAAAACEADqoEpUoAAACIAAAADgAAAAAAAAAAAAAAgAGnAQAAdmFsX2xh' +
  'YmVscy5ucHlQSwECLQMtAAAACAAAACEAgyU/Lk8AAACIAAAADwAAAAAAAAAAAAAAgAExAgAAdGVzdF9pbWFnZXMubnB5UEsB' +
  'Ai0DLQAAAAgAAAAhAIlupbpKAAAAkAAAAA8AAAAAAAAAAAAAAIABwQIAAHRlc3RfbGFiZWxzLm5weVBLBQYAAAAABgAGAG4B' +
  'AABMAwAAAAA=';

const BYTES = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
const IMAGES = npyBytes('|u1', [2, 2, 2], BYTES);
const LABELS = npyBytes('|u1', [2, 1], Uint8Array.of(1, 0));

function zip(arrays: Record<string, Uint8Array>): void {
  const entries = Object.entries(arrays).map(([name, bytes]) => [`${name}.npy`, bytes] as const);
  write(file, zipSync(Object.fromEntries(entries)));
}

async function refusal(arrays: Record<string, Uint8Array>): Promise<string> {
  zip(arrays);
  const error: unknown = await readNpz(file).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(UserError);
  return (error as UserError).message.replaceAll(file, 'FILE');
}

describe('MedMNIST NPZ', () => {
  it('written by NumPy is read', async () => {
    write(file, Buffer.from(BY_NUMPY, 'base64'));
    const { classes, train, validation, test } = await readNpz(file);
    expect(classes).toEqual(['0', '1']);
    expect([train, validation, test].map((items) => [...items!.labels])).toEqual([[0, 1], [1], [1, 0]]);
    const pixels = [train, validation, test].map((items) => items!.pixels);
    expect(pixels.map((p) => p.kind === 'raw' && [...p.data])).toEqual([
      [0, 1, 2, 3, 4, 5, 6, 7],
      [10, 11, 12, 13],
      [20, 21, 22, 23, 24, 25, 26, 27],
    ]);
    expect(train.pixels).toMatchObject({ height: 2, width: 2, channels: 1 });
  });

  it('may have three channels and only train', async () => {
    zip({ train_images: npyBytes('|u1', [2, 1, 1, 3], BYTES.subarray(0, 6)), train_labels: LABELS });
    const source = await readNpz(file);
    expect(source.train.pixels).toMatchObject({ height: 1, width: 1, channels: 3 });
    expect(source.validation).toBeNull();
    expect(source.test).toBeNull();
  });
});

describe('NPZ as people save it', () => {
  const read = async (images: Uint8Array, labels: Uint8Array = LABELS) => {
    zip({ train_images: images, train_labels: labels });
    const { classes, train, layout } = await readNpz(file);
    return { classes, labels: [...train.labels], doubts: layout.doubts, pixels: train.pixels.kind === 'raw' ? train.pixels : null }; // prettier-ignore
  };

  it.each([
    [
      '12 bits in 16',
      npyBytes('<u2', [2, 1, 1], Uint8Array.of(0xff, 0x0f, 0, 0)),
      [255, 0],
      'read as 12 bits',
    ],
    ['floats of 0 to 1', npyBytes('<f4', [2, 1, 1], Uint8Array.of(0, 0, 0x80, 0x3f, 0, 0, 0, 0x3f)), [255, 128], 'floats of 0 to 1'], // prettier-ignore
    ['booleans', npyBytes('|b1', [2, 1, 1], Uint8Array.of(1, 0)), [255, 0], '0 and 1'],
    ['RGBA, laid on black', npyBytes('|u1', [2, 1, 1, 4], Uint8Array.of(100, 50, 20, 255, 100, 50, 20, 0)), [100, 50, 20, 0, 0, 0], null], // prettier-ignore
    ['channels first', npyBytes('|u1', [2, 3, 1, 2], Uint8Array.from({ length: 12 }, (_, i) => i)), [0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11], null], // prettier-ignore
  ])('%s', async (_, images, bytes, doubt) => {
    const { pixels, doubts } = await read(images);
    expect([...pixels!.data]).toEqual(bytes);
    expect(doubts).toEqual(doubt === null ? [] : [expect.stringContaining(doubt)]);
  });

  it('labels from 1, with gaps, one-hot, and as texts', async () => {
    expect((await read(IMAGES, npyBytes('|u1', [2], Uint8Array.of(4, 1)))).classes).toEqual(['1', '4']);
    const oneHot = await read(IMAGES, npyBytes('|u1', [2, 3], Uint8Array.of(0, 0, 1, 1, 0, 0)));
    expect([oneHot.classes, oneHot.labels]).toEqual([['0', '2'], [1, 0]]); // prettier-ignore
    const names = npyBytes('|S3', [2], Buffer.from('nv\0mel'));
    expect((await read(IMAGES, names)).classes).toEqual(['mel', 'nv']);
  });

  it("Keras' names", async () => {
    zip({ x_train: IMAGES, y_train: LABELS, x_test: IMAGES, y_test: LABELS });
    expect((await readNpz(file)).test!.labels).toHaveLength(2);
  });
});

describe('NPZ mistakes', () => {
  it('no labels', async () => {
    expect(await refusal({ train_images: IMAGES })).toBe(
      'FILE: has train_images but no train_labels; labels are needed to train and to test a classifier',
    );
    expect(await refusal({ train_images: IMAGES, train_labels: LABELS, test_images: IMAGES })).toContain(
      'has test_images but no test_labels',
    );
  });

  it('no train images: lists the arrays', async () => {
    expect(await refusal({ a: IMAGES, b: LABELS })).toContain('no array train_images (here are: a, b)');
  });

  it('not a zip file, or cut off', async () => {
    write(file, 'not a zip');
    await expect(readNpz(file)).rejects.toThrow('not a readable NPZ (zip) file');
    const whole = zipSync({ 'train_images.npy': IMAGES, 'train_labels.npy': LABELS });
    write(file, whole.subarray(0, whole.length / 2));
    await expect(readNpz(file)).rejects.toThrow('not a readable NPZ (zip) file');
  });

  it('an array that unpacks to too much', async () => {
    const zipped = zipSync({ 'train_images.npy': IMAGES, 'train_labels.npy': LABELS });
    const directory = Buffer.from(zipped).indexOf(Buffer.from([0x50, 0x4b, 1, 2])); // its first entry
    new DataView(zipped.buffer, zipped.byteOffset).setUint32(directory + 24, 0xf0000000, true);
    write(file, zipped);
    await expect(readNpz(file)).rejects.toThrow(
      'array train_images.npy unpacks to 4026531840 bytes, above the limit of 2147483648',
    );
  });

  it('labels that do not match', async () => {
    const three = npyBytes('|u1', [3], Uint8Array.of(0, 1, 0));
    expect(await refusal({ train_images: IMAGES, train_labels: three })).toContain('3 labels for 2 images');
    const many = npyBytes('|u1', [2, 2], Uint8Array.of(0, 1, 1, 1));
    expect(await refusal({ train_images: IMAGES, train_labels: many })).toContain('gives an image 2 labels');
    const negative = npyBytes('|i1', [2], Uint8Array.of(0, 255));
    expect(await refusal({ train_images: IMAGES, train_labels: negative })).toContain('label -1 of image 1');
  });

  it('a test label that no train image has', async () => {
    const outside = npyBytes('|u1', [2, 1], Uint8Array.of(0, 7));
    const arrays = { train_images: IMAGES, train_labels: LABELS, test_images: IMAGES, test_labels: outside };
    expect(await refusal(arrays)).toContain(
      'FILE: test_labels: label 7 of image 1 is outside the 2 classes (0, 1)',
    );
  });

  it('images that are no images', async () => {
    const volume = npyBytes('|u1', [1, 2, 2, 2], BYTES);
    expect(await refusal({ train_images: volume, train_labels: LABELS })).toContain('of shape (1, 2, 2, 2)');
  });
});

describe('parseNpy', () => {
  it('reads little-endian integers of every width', () => {
    const two = Uint8Array.of(0xfe, 0xff, 1, 0);
    expect(npyValues(parseNpy(npyBytes('<i2', [2], two), 'x'))).toEqual([-2, 1]);
    expect(npyValues(parseNpy(npyBytes('<u2', [2], two), 'x'))).toEqual([65534, 1]);
    expect(npyValues(parseNpy(npyBytes('<i4', [1], two), 'x'))).toEqual([131070]);
    expect(npyValues(parseNpy(npyBytes('<i8', [1], new Uint8Array(8).fill(255)), 'x'))).toEqual([-1]);
  });

  it('reads the other byte order, floats, texts and Fortran order', () => {
    // By np.array([[1, 2, 3], [4, 5, 6]], order='F'): stored 1 4 2 5 3 6.
    const fortran = parseNpy(npyBytes('|u1', [2, 3], Uint8Array.of(1, 4, 2, 5, 3, 6), true), 'x');
    expect([...fortran.bytes]).toEqual([1, 2, 3, 4, 5, 6]);
    expect(npyValues(parseNpy(npyBytes('>i4', [1], Uint8Array.of(0, 0, 1, 2)), 'x'))).toEqual([258]);
    // IEEE 754: 0x3e00 is 1.5 in binary16, 0xbf800000 is −1 in binary32.
    expect(npyValues(parseNpy(npyBytes('<f2', [1], Uint8Array.of(0x00, 0x3e)), 'x'))).toEqual([1.5]);
    expect(npyValues(parseNpy(npyBytes('<f4', [1], Uint8Array.of(0, 0, 0x80, 0xbf)), 'x'))).toEqual([-1]);
    const text = Uint8Array.of(0xe9, 0, 0, 0, 0x61, 0, 0, 0, 0x62, 0, 0, 0, 0, 0, 0, 0);
    expect(npyTexts(parseNpy(npyBytes('<U2', [2], text), 'x'))).toEqual(['éa', 'b']);
  });

  it.each([
    ['another magic', new Uint8Array(20), 'not an NPY array'],
    [
      'Python objects',
      npyBytes('|O', [1], new Uint8Array(8)),
      "save labels with .astype('int64') or .astype(str)",
    ],
    ['complex numbers', npyBytes('<c8', [1], new Uint8Array(8)), 'has dtype <c8, which is not read'],
    [
      'missing values',
      npyBytes('|u1', [2, 2], new Uint8Array(3)),
      'holds 3 bytes of values where shape (2, 2)',
    ],
    ['a cut header', npyBytes('|u1', [2], new Uint8Array(2)).subarray(0, 40), 'header is damaged'],
  ])('refuses %s', (_, bytes, message) => {
    expect(() => parseNpy(bytes, 'x')).toThrow(UserError);
    expect(() => parseNpy(bytes, 'x')).toThrow(message);
  });
});
