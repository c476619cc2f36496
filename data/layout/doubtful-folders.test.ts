// Folders that are hardly classes are asked for, and each remedy works when it is followed.
import { mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { imagePaths, load, temporaryFolder, write, writeImage } from '../fixtures.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());

/** A fresh folder with images `1` to `n` in each of `folders`. */
const put = (n: number, ...folders: string[]): Promise<string> => folder.put(...imagePaths(n, ...folders));

const NONE = { validation: { from: 'none' } } as const;

/** Classes, and how many images train and test have. */
async function read(source: string): Promise<[string[], number, number]> {
  const { classes, train, test } = await load({ source, ...NONE });
  return [classes, train.labels.length, test?.labels.length ?? 0];
}

async function refusal(source: string): Promise<string> {
  const error: unknown = await load({ source, ...NONE }).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ name: 'UserError' });
  return (error as Error).message;
}

const AB = ['a', 'b'];

it.each([
  ['', 'set/a', 'set/b', 'set/set/a', 'set/set/b'],
  ['', 'set/a', 'set/b', 'set/copy/data/a', 'set/copy/data/b'],
  ['train', 'set/train/a', 'set/train/b', 'set/train/train/a', 'set/train/train/b', 'set/test/a'],
])('a copy of the classes inside themselves (%s)', async (_, ...folders) => {
  const root = await put(2, ...folders);
  const message = await refusal(root);
  expect(message).toMatch(/: holds folders named as those beside \w+\/ \(a, b\): is it a copy of them\?/);
  expect(await read(/give --data (\S+) to/.exec(message)![1]!)).toEqual([AB, 4, 0]);
  rmSync(/Remove (\S+),/.exec(message)![1]!, { recursive: true });
  expect((await read(root)).slice(0, 2)).toEqual([AB, 4]);
});

it('one folder inside a class may be named as another class', async () => {
  expect((await read(await put(2, 'a/b', 'a/c', 'b')))[0]).toEqual(AB);
});

it('masks beside images, wherever they lie', async () => {
  const root = await put(2, 'a/images', 'a/masks', 'b/images', 'b/masks');
  expect(await refusal(root)).toMatch(
    /a\/masks: seems to hold masks .*move masks\/ out of \S+ \(2 folders\)/,
  );
  for (const name of AB) rmSync(join(root, name, 'masks'), { recursive: true });
  expect(await read(root)).toEqual([AB, 4, 0]);
  const pets = await put(2, 'images', 'annotations/trimaps');
  expect(await refusal(pets)).toMatch(/annotations: seems to hold masks .*move annotations\/ out of/);
  write(join(pets, 'annotations/list.txt'), '1 1\n'); // it may name the labels, so it stays
  expect(await refusal(pets)).toMatch(/annotations\/trimaps: seems to hold masks .*move trimaps\/ out of/);
  rmSync(join(pets, 'annotations/trimaps'), { recursive: true });
  expect(await refusal(pets)).toMatch(
    /no table names them with labels \(looked at: 1 text file \(list\.txt\)/,
  );
  expect(await refusal(await put(2, 'images/train', 'labels/train'))).toMatch(/labels: seems to hold masks/);
  expect(await refusal(await put(2, 'train/images/a', 'train/Ground Truth/a'))).toMatch(
    /Ground Truth: seems/,
  );
});

it('masks beside classes are known by the names of their images, unless those are mere numbers', async () => {
  const root = mkdtempSync(join(folder.path, 'case-'));
  for (const file of ['a/x.png', 'b/y.png', 'masks/x_mask.png', 'masks/y_mask.png'])
    await writeImage(join(root, file));
  expect(await refusal(root)).toMatch(/masks: seems to hold masks/);
  expect((await read(await put(2, 'hats', 'masks', 'shoes')))[0]).toEqual(['hats', 'masks', 'shoes']);
});

it.each([
  ['c/test', 'test'],
  ['c', '.'],
])('splits within some of the classes: %s', async (name, inner) => {
  const root = await put(2, 'a/train', 'a/test', 'b/train', 'b/test', name);
  expect(await refusal(root)).toMatch(/a\/, b\/ hold train and other splits, but c\/ has no train\/: move its images into \S+c\/train\//); // prettier-ignore
  mkdirSync(join(root, 'c', 'train'));
  for (const file of ['1.png', '2.png'])
    renameSync(join(root, 'c', inner, file), join(root, 'c/train', file));
  expect(await read(root)).toEqual([['a', 'b', 'c'], 6, 4]);
});

it('images beside the splits of a class', async () => {
  const root = await put(2, 'a/train', 'a/test', 'b/train', 'b/test', 'b/more');
  expect(await refusal(root)).toMatch(/b\/ has images outside its splits: move them into a split/);
});

it('a data set with splits beside another folder', async () => {
  const root = await put(2, 'one/x/TRAIN/a', 'one/x/TRAIN/b', 'one/x/TEST/a', 'one/x/TEST/b', 'two/images');
  const message = await refusal(root);
  expect(message).toMatch(/one\/x: holds splits \(TEST\/, TRAIN\/\) with class folders in them/);
  expect(await read(/give --data (\S+),/.exec(message)![1]!)).toEqual([AB, 4, 4]);
  const two = await put(2, ...['one', 'two'].flatMap((set) => ['train/a', 'train/b', 'test/a'].map((name) => `${set}/${name}`))); // prettier-ignore
  expect(await refusal(two)).toMatch(/the folders one, two all hold folders a, b: which are the classes\?/);
});

it('names of splits on folders that do not hold the same classes', async () => {
  const root = await put(2, 'asl_train/asl_train/a', 'asl_train/asl_train/b', 'asl_test/asl_test');
  const message = await refusal(root);
  expect(message).toMatch(
    /asl_train\/ and asl_test\/ are named after splits, but do not hold the same class/,
  );
  expect(await read(/give --data (\S+) for/.exec(message)![1]!)).toEqual([AB, 4, 0]);
  mkdirSync(join(root, 'asl_test/asl_test/a'));
  renameSync(join(root, 'asl_test/asl_test/1.png'), join(root, 'asl_test/asl_test/a/1.png'));
  rmSync(join(root, 'asl_test/asl_test/2.png'));
  expect(await read(root)).toEqual([AB, 4, 1]);
  const flat = await put(2, 'train', 'test1');
  expect(await refusal(flat)).toMatch(
    /sort the images of train\/ into a folder for each class \(train\/<class>/,
  );
});

it('repeated folders are asked for with remedies that work', async () => {
  const root = await put(2, 'upper/a', 'upper/b', 'lower/a', 'lower/b');
  expect(await refusal(root)).toMatch(/Move the images of each class into one folder, or name the outer folders train, val/); // prettier-ignore
  renameSync(join(root, 'upper'), join(root, 'train'));
  renameSync(join(root, 'lower'), join(root, 'test'));
  expect(await read(root)).toEqual([AB, 4, 4]);
});

it('masks in the folders of their images are told of (BUSI)', async () => {
  const root = mkdtempSync(join(folder.path, 'case-'));
  for (const file of ['a/x (1).png', 'a/x (1)_mask.png', 'a/x (1)_mask_1.png', 'b/y.png', 'b/face_mask.png'])
    await writeImage(join(root, file));
  const { warnings } = await load({ source: root, ...NONE });
  expect(warnings).toContain(
    '2 images are named as masks of others (first: a/x (1)_mask.png): move them away, unless they are images of their class',
  );
});
