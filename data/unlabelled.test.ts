// Images are found again by what they decode to: the stored bytes differ here (PNG against TIFF, NPZ against PNG).
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import sharp from 'sharp';
import { afterAll, describe, expect, it } from 'vitest';
import { dataConfigSchema, type DataConfigInput } from '../config/data-config.ts';
import { idxBytes, load, npyBytes, temporaryFolder, write, writeImage, zipBytes } from './fixtures.ts';
import { imageDigests, loadUnlabelled, NO_EXCLUSIONS, unlabelledShape } from './unlabelled.ts';
import { bytesOf } from './images.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());
const at = (path: string): string => join(folder.path, path);
const SHAPE = { height: 2, width: 2, channels: 1 };

function read(source: string, data: DataConfigInput = {}, shape = SHAPE) {
  return loadUnlabelled([source], shape, NO_EXCLUSIONS, dataConfigSchema.parse(data));
}

const grey = (path: string, value: number) => writeImage(at(path), { size: 2, value, grey: true });

describe('sources of images without labels', () => {
  it('reads a folder, flat and nested, and leaves out folders of validation and test images', async () => {
    for (const [path, value] of [['a.png', 1], ['deep/er/b.png', 2], ['train/c.png', 3]] as const) await grey(`folder/${path}`, value); // prettier-ignore
    for (const path of ['Test/d.png', 'val/x/e.png']) await grey(`folder/${path}`, 9);
    const { images, ids, counts } = await read(at('folder'));
    expect(ids).toEqual(['folder/a.png', 'folder/deep/er/b.png', 'folder/train/c.png']);
    expect([...bytesOf(images)]).toEqual([1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3]);
    expect(counts).toEqual({ found: 5, used: 3, heldOut: 2, inTrain: 0, repeated: 0 });
    expect(await unlabelledShape([at('folder')], dataConfigSchema.parse({}))).toEqual(SHAPE);
  });

  it('reads the train rows of a CSV file without a label column, and says what is missing', async () => {
    await grey('csv/a.png', 1);
    await grey('csv/b.png', 2);
    write(at('csv/list.csv'), 'image_id,split\na,train\nb,test\nc,train\n');
    const { ids, skipped } = await read(at('csv/list.csv'), { onBadImage: 'skip' });
    expect(ids).toEqual(['list.csv/a']);
    expect(skipped).toEqual([
      { file: `${at('csv/list.csv')} line 4`, reason: `no image 'c' under ${at('csv')}` },
    ]);
    write(at('csv/list.jsonl'), '{"file_name":"b.png"}\n');
    expect((await read(at('csv/list.jsonl'))).ids).toEqual(['list.jsonl/b.png']);
    await expect(read(at('csv/list.csv'))).rejects.toThrow(/list\.csv line 4: no image 'c'.*--on-bad-image/);
  });

  it('reads an NPZ file and IDX images that have no labels beside them', async () => {
    const npy = npyBytes('|u1', [2, 2, 2], Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8]));
    write(at('x.npz'), zipBytes([{ name: 'images.npy', packed: npy, bytes: npy.length, method: 0 }]));
    expect([...bytesOf((await read(at('x.npz'))).images)]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    write(at('idx/train-images-idx3-ubyte.gz'), gzipSync(idxBytes([1, 2, 2], [1, 2, 3, 4])));
    expect([...bytesOf((await read(at('idx'))).images)]).toEqual([1, 2, 3, 4]);
    expect((await read(at('idx/train-images-idx3-ubyte.gz'))).ids).toEqual([
      'train-images-idx3-ubyte.gz/train/000000',
    ]);
  });

  it.each([
    ['nowhere', 'no such file or folder (unlabelled)'],
    ['empty', 'holds no image'],
    ['labels.npz', 'has no array of images (here are: train_labels)'],
  ])('refuses %s', async (name, message) => {
    write(at('empty/readme.txt'), 'nothing');
    const npy = npyBytes('|u1', [1], Uint8Array.of(1));
    const member = { name: 'train_labels.npy', packed: npy, bytes: npy.length, method: 0 };
    write(at('labels.npz'), zipBytes([member]));
    await expect(read(at(name))).rejects.toThrow(message);
  });
});

it('leaves out, and counts, images equal to held-out, training and earlier ones', async () => {
  for (const [path, value] of [['train/a/1', 10], ['train/b/1', 20], ['test/a/1', 30], ['test/b/1', 40], ['val/a/1', 50], ['val/b/1', 60]] as const) await grey(`labelled/${path}.png`, value); // prettier-ignore
  const dataset = await load({ source: at('labelled') });
  const values = { test: 40, validation: 50, train: 10, new: 70, again: 70, other: 71 };
  for (const [name, value] of Object.entries(values)) {
    const bytes = new Uint8Array(4).fill(value);
    const image = sharp(bytes, { raw: { width: 2, height: 2, channels: 1 } }).toColourspace('b-w');
    write(at(`pool/${name}.tiff`), await image.tiff({ compression: 'none' }).toBuffer());
  }
  const { images, counts } = await loadUnlabelled(
    [at('pool')],
    SHAPE,
    { heldOut: imageDigests(dataset.validation, dataset.test), train: imageDigests(dataset.train) },
    dataConfigSchema.parse({}),
  );
  expect(counts).toEqual({ found: 6, used: 2, heldOut: 2, inTrain: 1, repeated: 1 });
  expect([...bytesOf(images)]).toEqual([70, 70, 70, 70, 71, 71, 71, 71]);
});
