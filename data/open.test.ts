// Test images in another place (--test): nothing of it is left out without a word, and train images are never scored.
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { imagePaths as images, load, temporaryFolder, write } from './fixtures.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());

const { put } = folder;

const NONE = { validation: { from: 'none' } } as const;

it('what the place of the test images does not use is named, and splits beside its own', async () => {
  const root = await put(...images(2, 'data/a', 'data/b', 'te/a', 'te/b'), 'te/stray.png');
  const { layout, warnings } = await load({ source: join(root, 'data'), test: join(root, 'te'), ...NONE });
  expect(layout.unused.map(({ what }) => what)).toEqual(['test: 1 image (stray.png)']);
  expect(warnings).toEqual(['test: 1 image (stray.png) is not used: it is beside the class folders']);
});

it.each([
  [['train', 'val'], 'its train split is used, not 4 images of validation'],
  [['train', 'val', 'test'], 'its test split is used, not 4 images of train and 4 images of validation'],
])('of the splits %j one is used, and the others are counted', async (splits, told) => {
  const root = await put(...images(2, 'data/a', 'data/b', ...splits.flatMap((name) => [`te/${name}/a`, `te/${name}/b`]))); // prettier-ignore
  const data = await load({ source: join(root, 'data'), test: join(root, 'te'), ...NONE });
  expect(data.test!.labels.length).toBe(4);
  expect(data.warnings).toEqual([`test: of ${join(root, 'te')} only ${told}`]);
});

it("the data's own test split, which is not used then, is counted", async () => {
  const root = await put(...images(2, 'd/train/a', 'd/train/b', 'd/test/a', 'd/test/b', 'te/a', 'te/b'));
  const { warnings } = await load({ source: join(root, 'd'), test: join(root, 'te'), ...NONE });
  expect(warnings).toEqual([
    `test: the data's own test split of 4 images is not used: ${join(root, 'te')} is`,
  ]);
});

it('the folder of train images is not that of test images of the same names', async () => {
  const root = await put(...images(4, 'train'), ...images(2, 'test'));
  write(join(root, 'train.csv'), 'id,label\n1,a\n2,b\n3,a\n4,b\n');
  write(join(root, 'test.csv'), 'id,label\n1,b\n2,a\n');
  write(join(root, 'lists/test.csv'), 'id,label\n1,b\n2,a\n');
  const config = { source: join(root, 'train.csv'), csv: { images: join(root, 'train') }, ...NONE };
  const { test, warnings } = await load({ ...config, test: join(root, 'test.csv') });
  expect(test!.ids).toEqual(['test:1', 'test:2']);
  expect(warnings.filter((line) => line.includes('both'))).toEqual([]);
  const elsewhere = join(root, 'lists/test.csv');
  await expect(load({ ...config, test: elsewhere })).rejects.toThrow(
    `${elsewhere}: most images that it names are train images under ${join(root, 'train')}; put it beside the test images`,
  );
});

it('test images beside their table are found, though the data names a folder of images', async () => {
  const root = await put(...images(2, 'train'), 'test/t1.png', 'test/t2.png');
  write(join(root, 'train.csv'), 'id,label\n1,a\n2,b\n');
  write(join(root, 'test/list.csv'), 'id,label\nt1,b\nt2,a\n');
  const config = { source: join(root, 'train.csv'), csv: { images: join(root, 'train') }, ...NONE };
  expect([...(await load({ ...config, test: join(root, 'test/list.csv') })).test!.labels]).toEqual([1, 0]);
});

it('columns named for the data are not asked of test folders', async () => {
  const root = await put(...images(2, 'all'), ...images(2, 'test/x', 'test/y'));
  write(join(root, 'train.csv'), 'id,label,kind\nall/1,a,x\nall/2,b,y\n');
  write(join(root, 'test/notes.csv'), 'who,when\nme,now\n');
  const config = { source: join(root, 'train.csv'), csv: { labelColumn: 'kind' }, ...NONE };
  expect([...(await load({ ...config, test: join(root, 'test') })).test!.labels]).toEqual([0, 0, 1, 1]);
});
