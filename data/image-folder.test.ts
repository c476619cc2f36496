import { mkdirSync, renameSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { load, temporaryFolder, write, writeImage, type TemporaryFolder } from './fixtures.ts';
import { compareNames } from './natural-order.ts';
import { countClasses } from './source.ts';
import { bytesOf } from './images.ts';

let folder: TemporaryFolder;
let root: string;
beforeEach(() => {
  folder = temporaryFolder();
  root = join(folder.path, 'pets');
});
afterEach(() => folder.remove());

async function putImages(...paths: string[]): Promise<void> {
  for (const [i, path] of paths.entries()) await writeImage(join(root, path), { value: 10 * i });
}

async function refusal(config: Parameters<typeof load>[0] = { source: root }): Promise<string> {
  const error: unknown = await load(config).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ name: 'UserError' });
  return (error as Error).message.replaceAll(root, 'ROOT');
}

describe('ImageFolder', () => {
  it('with class folders: classes and files in natural order', async () => {
    await putImages('10/b.png', '10/a10.png', '10/a2.png', '9/deep/c.png', '9/d.jpg');
    const data = await load({ source: root, validation: { from: 'none' } });
    expect(data.name).toBe('pets');
    expect(data.classes).toEqual(['9', '10']);
    expect(data.train.ids).toEqual(['9/d.jpg', '9/deep/c.png', '10/a2.png', '10/a10.png', '10/b.png']);
    expect([...data.train.labels]).toEqual([0, 0, 1, 1, 1]);
    expect([data.height, data.width, data.channels]).toEqual([8, 8, 3]);
    // One colour each; PNG is exact: 20, 10, 0 are the values given to a2, a10 and b above.
    expect([2, 3, 4].map((i) => bytesOf(data.train.images)[i * 192])).toEqual([20, 10, 0]);
    expect([data.validation, data.test, data.train.groups]).toEqual([null, null, null]);
  });

  it('with split folders, whose own validation is used', async () => {
    await putImages(
      'train/cat/1.png',
      'train/dog/1.png',
      'val/cat/2.png',
      'test/dog/3.png',
      'test/cat/3.png',
    );
    const data = await load({ source: root });
    expect(data.train.ids).toEqual(['train/cat/1.png', 'train/dog/1.png']);
    expect(data.validation!.ids).toEqual(['val/cat/2.png']);
    expect(data.test!.ids).toEqual(['test/cat/3.png', 'test/dog/3.png']);
    expect(data.warnings).toEqual(['validation has no image of dog']);
  });

  it("may have a class called 'train'", async () => {
    await putImages('bus/1.png', 'train/1.png');
    expect((await load({ source: root, validation: { from: 'none' } })).classes).toEqual(['bus', 'train']);
  });

  it('follows links and passes over hidden files', async () => {
    await putImages('cat/1.png', '.cache/x.png', 'cat/.2.png');
    await writeImage(join(folder.path, 'elsewhere', '1.png'));
    symlinkSync(join(folder.path, 'elsewhere'), join(root, 'dog'));
    const data = await load({ source: root, validation: { from: 'none' } });
    expect(data.train.ids).toEqual(['cat/1.png', 'dog/1.png']);
  });

  it('takes test images from another folder, by class name', async () => {
    await putImages('cat/1.png', 'dog/1.png', 'fox/1.png');
    const test = join(folder.path, 'other');
    await writeImage(join(test, 'dog', '1.png'));
    await writeImage(join(test, 'fox', '1.png'));
    const data = await load({ source: root, test, validation: { from: 'none' } });
    expect([...data.test!.labels]).toEqual([1, 2]);
    expect(data.test!.ids).toEqual(['test:dog/1.png', 'test:fox/1.png']);
    renameSync(join(test, 'fox'), join(test, 'wolf'));
    expect(await refusal({ source: root, test })).toContain(
      "class 'wolf' is not among the train classes (cat, dog, fox)",
    );
  });
});

describe('manifest.csv', () => {
  const MANIFEST = [
    'path,id,group',
    'a/1.png,1,p',
    'a/2.png,2,p',
    'a/3.png,3,q',
    'b/4.png,4,r',
    'b/5.png,5,',
  ];

  it('gives the groups, which validation keeps whole', async () => {
    await putImages('a/1.png', 'a/2.png', 'a/3.png', 'b/4.png', 'b/5.png');
    write(join(root, 'manifest.csv'), MANIFEST.join('\n'));
    for (const seed of [1, 2, 3, 4]) {
      const data = await load({ source: root, validation: { from: 'train', fraction: 0.4, seed } });
      const shared = data.train.groups!.filter((group) => data.validation!.groups!.includes(group));
      expect(shared).toEqual([]);
      expect(countClasses(data.validation!.labels, 2)[1]).toBe(1);
      expect([...data.train.groups!, ...data.validation!.groups!].sort()).toEqual([
        'b/5.png',
        'p',
        'p',
        'q',
        'r',
      ]);
    }
  });

  it('must name every image', async () => {
    await putImages('a/1.png', 'a/9.png', 'b/4.png');
    write(join(root, 'manifest.csv'), MANIFEST.join('\n'));
    expect(await refusal()).toContain('ROOT/manifest.csv: has no row for a/9.png, so its group is unknown');
  });

  it('warns of groups on both sides of train and test', async () => {
    await putImages('train/a/1.png', 'train/b/1.png', 'test/a/2.png', 'test/b/2.png');
    const rows = ['train/a/1.png,p', 'train/b/1.png,q', 'test/a/2.png,p', 'test/b/2.png,s'];
    write(join(root, 'manifest.csv'), ['path,group', ...rows].join('\n'));
    expect((await load({ source: root, validation: { from: 'none' } })).warnings).toEqual([
      '1 groups (first: p) have images both in train and in test: its figures are too good',
    ]);
  });
});

describe('ImageFolder mistakes', () => {
  it('a missing folder', async () => {
    expect(await refusal()).toBe(
      "ROOT: no such file or folder (data.source); give the path of a folder, a .csv or a .npz file, or 'fashion-mnist'",
    );
  });

  it('a folder without images', async () => {
    mkdirSync(join(root, 'cat'), { recursive: true });
    expect(await refusal()).toContain('ROOT: holds no data of a known format');
    expect(await refusal({ source: root, format: 'idx' })).toContain('no train-images-idx3-ubyte[.gz] here');
    expect(await refusal({ source: root, format: 'npz' })).toContain('ROOT: format npz needs a .npz file');
  });

  it('an empty class', async () => {
    await putImages('cat/1.png', 'dog/1.png');
    mkdirSync(join(root, 'fox'));
    expect(await refusal()).toBe(
      "ROOT/fox: class 'fox' is empty (no jpg or png file); add images or remove the folder",
    );
  });

  it('one class', async () => {
    await putImages('cat/1.png', 'cat/2.png');
    expect(await refusal()).toBe("ROOT: has only the class 'cat'; a classifier needs at least two classes");
  });

  it('a test class that train does not have', async () => {
    await putImages('train/cat/1.png', 'train/dog/1.png', 'test/fox/1.png');
    expect(await refusal()).toBe(
      'ROOT/test: none of its folders (fox) is a class of train (cat, dog); name them as there, or give --data with the folder of train alone',
    );
    await putImages('test/cat/1.png');
    expect(await refusal()).toBe(
      "ROOT/test/fox: class 'fox' is not among the train classes (cat, dog); add a train folder of that name with images, or remove this folder",
    );
  });
});

describe('compareNames', () => {
  it('counts numbers and is total', () => {
    const names = ['b', 'a10', 'a2', 'a02', '10', '9', 'a', 'A', 'a2b', ''];
    expect(names.sort(compareNames)).toEqual(['', '9', '10', 'A', 'a', 'a02', 'a2', 'a2b', 'a10', 'b']);
  });
});
