// Tables beside folders as data sets are published: which one gives the labels, and where its images lie.
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { DataConfigInput } from '../../config/data-config.ts';
import { imagePaths as images, load, temporaryFolder, write } from '../fixtures.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());

/** A fresh folder with an image at each path, and tables of these lines. */
async function put(paths: readonly string[], tables: Record<string, readonly string[]>): Promise<string> {
  const root = await folder.put(...paths);
  for (const [name, lines] of Object.entries(tables)) write(join(root, name), `${lines.join('\n')}\n`);
  return root;
}

/** Paths of images that are numbered on through all folders. */
const numbered = (n: number, ...folders: string[]): string[] =>
  folders.flatMap((name, f) => Array.from({ length: n }, (_, i) => `${name}/x${f * n + i + 1}.png`));

/** Rows of `x1` to `xn`, with the labels a and b in turn. */
const rows = (n: number, ending = '', from = 1): string[] =>
  Array.from({ length: n }, (_, i) => `x${from + i}${ending},${'ab'[i % 2]}`);

/** Classes, how many images train, validation and test have, and what is not used. */
async function read(source: string, config: DataConfigInput = {}) {
  const { classes, train, validation, test, layout } = await load({
    source,
    validation: { from: 'train', fraction: 0 },
    ...config,
  });
  const sizes = [train, validation, test].map((part) => part?.labels.length ?? 0);
  return { classes, sizes, unused: layout.unused.map(({ what, why }) => `${what}: ${why}`), layout };
}

async function refusal(source: string, config: DataConfigInput = {}): Promise<string> {
  const error: unknown = await load({ source, ...config }).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ name: 'UserError' });
  return (error as Error).message.replaceAll(source, 'ROOT');
}

const AB = { classes: ['a', 'b'] };

describe('a table that lists the images wins over folders that merely hold them', () => {
  it('from its own folder, and from every folder above it', async () => {
    const lines = ['image,label', 'set1/1.png,a', 'set1/2.png,b', 'set2/1.png,b', 'set2/2.png,a'];
    const paths = images(2, 'My/set1', 'My/set2');
    for (const name of ['My/labels.csv', 'My/lists/labels.csv'])
      expect(await read(await put(paths, { [name]: lines }))).toMatchObject({ ...AB, sizes: [4, 0, 0] });
  });

  it('with its splits, where folders say the classes but not the splits', async () => {
    const paths = numbered(3, 'E/a', 'E/b');
    const head = ',Filename,Label,ClassName';
    const root = await put(paths, {
      'E/train.csv': [head, '0,a/x1.png,0,a', '1,a/x2.png,0,a', '2,b/x4.png,1,b'],
      'E/test.csv': [head, '0,a/x3.png,0,a', '1,b/x5.png,1,b'],
    });
    expect(await read(root)).toMatchObject({ ...AB, sizes: [3, 0, 2] });
  });

  it('when its label column is unknown: asks, and both answers work', async () => {
    const lines = rows(8).map((row, i) => `p${i},${row}`);
    const root = await put(numbered(4, 'part_1', 'part_2'), {
      'm.csv': ['patient,img_id,diagnostic', ...lines],
    });
    expect(await refusal(root)).toBe(
      'ROOT/m.csv: lists these images, but which column holds the labels? Its columns are patient, img_id, diagnostic; name it with --csv-label, or several of 0 and 1 with commas between, or take the folders as classes with --format image-folder',
    );
    expect(await read(root, { csv: { labelColumn: 'diagnostic' } })).toMatchObject({
      ...AB,
      sizes: [8, 0, 0],
    });
    expect(await read(root, { format: 'image-folder' })).toMatchObject({
      classes: ['part_1', 'part_2'],
      unused: ['1 table (m.csv): --format image-folder does not read it'],
    });
  });

  it('but not when it says the names of the folders, or has nothing that repeats', async () => {
    const paths = numbered(4, 'cat', 'dog');
    const sizes = Array.from({ length: 8 }, (_, i) => `x${i + 1},${i},${90 - i}`);
    for (const lines of [
      ['image,animal', ...rows(8).map((row) => row.replace(',a', ',Cat').replace(',b', ',Dog'))],
      ['file,fold', ...paths.map((path, i) => `${path},${i % 2}`)],
      ['image,height,width', ...sizes],
    ])
      expect(await read(await put(paths, { 't.csv': lines }))).toMatchObject({
        classes: ['cat', 'dog'],
        unused: ['1 table (t.csv): it names images, but the labels come from elsewhere'],
      });
  });

  it('of a part of the images: rows without image are refused, or skipped', async () => {
    const root = await put(numbered(4, 'images_1', 'images_2'), { 'all.csv': ['image,label', ...rows(30)] });
    expect(await refusal(root)).toMatch(/all\.csv line 10: no image 'x9' under ROOT; .*--on-bad-image skip/);
    expect(await read(root, { onBadImage: 'skip' })).toMatchObject({ ...AB, sizes: [8, 0, 0] });
  });

  it('but a part that is sorted by label stays as it is sorted', async () => {
    const lines = Array.from({ length: 30 }, (_, i) => `x${i + 1},${i % 4 < 2 ? 'mel' : 'nv'}`);
    const paths = ['melanoma/x1.png', 'melanoma/x2.png', 'nevus/x3.png', 'nevus/x4.png'];
    const root = await put(paths, { 'all.csv': ['image,label', ...lines] });
    expect(await read(root)).toMatchObject({ classes: ['melanoma', 'nevus'], sizes: [4, 0, 0] });
  });

  it('with other endings than the files have', async () => {
    const root = await put(numbered(4, 'part1', 'part2'), { 'l.csv': ['image,label', ...rows(8, '.dcm')] });
    const { layout, ...others } = await read(root);
    expect(others).toMatchObject({ ...AB, sizes: [8, 0, 0] });
    expect(layout.evidence).toContain(
      'its image names have other endings than the files: endings are left out',
    );
    const exact = await put(['1.jpg', '2.jpg', '3.png'], {
      'l.csv': ['image,label', '1.jpg,a', '2.jpg,b', '3.jpg,a'],
    });
    expect(await refusal(exact)).toContain("no image '3.jpg'");
  });

  it('cannot be read: why is told, and asked for its columns it is refused', async () => {
    const lines = ['image,label', ...rows(7), 'x8,a,b'];
    const why =
      'ROOT/l.csv line 9: has 3 values where its header names 2 columns; quote values that hold the separator, or remove the row';
    const root = await put(numbered(4, 'part1', 'part2'), { 'l.csv': lines });
    expect((await read(root)).unused.map((line) => line.replace(root, 'ROOT'))).toEqual([
      `1 table (l.csv): ${why}`,
    ]);
    expect(await refusal(root, { csv: { labelColumn: 'label' } })).toBe(
      `ROOT: no table has 'label' (--csv-label, --csv-id): ${why}`,
    );
    expect(await refusal(await put(numbered(8, 'images'), { 'l.csv': lines }))).toContain(
      `(looked at: ${why})`,
    );
    expect(await refusal(await put(numbered(8, 'train'), { 'train/l.csv': lines }))).toContain(
      'line 9: has 3 values where its header names 2 columns',
    );
  });

  it('of pixels does not list images, though numbers name some', async () => {
    const head = ['label', ...Array.from({ length: 64 }, (_, i) => `pixel${i}`)].join(',');
    const line = (label: number) => [label, ...Array.from({ length: 64 }, () => 1)].join(',');
    const root = await put(['cat/1.png', 'cat/2.png', 'dog/3.png'], { 'p.csv': [head, line(0), line(1)] });
    expect((await read(root)).unused).toEqual(['1 table (p.csv): no labels of images were found in it']);
  });
});

describe('manifest.csv', () => {
  it('is a table like others when it has labels', async () => {
    const lines = rows(8).map((row, i) => `${row},${i < 6 ? 'train' : 'test'}`);
    const root = await put(numbered(4, 'batch1', 'batch2'), {
      'manifest.csv': ['filename,label,split', ...lines],
    });
    expect(await read(root)).toMatchObject({ ...AB, sizes: [6, 0, 2] });
  });

  it('gives no groups when these are left out, and is named then', async () => {
    const paths = images(2, 'a', 'b');
    const root = await put(paths, { 'manifest.csv': ['path,group', ...paths.map((path) => `${path},g`)] });
    expect((await read(root)).unused).toEqual([]);
    expect((await read(root, { csv: { groupColumn: 'none' } })).unused).toEqual([
      '1 table (manifest.csv): it names images, but the labels come from elsewhere',
    ]);
  });
});

describe('a named label column', () => {
  it('is looked for in all tables; those without it are not read', async () => {
    const root = await put([...numbered(4, 'jpeg/train'), 'jpeg/test/t1.png'], {
      'train.csv': ['image,diagnosis,target', 'x1,unknown,0', 'x2,nevus,0', 'x3,nevus,1', 'x4,nevus,0'],
      'test.csv': ['image,age', 't1,45'],
    });
    expect(await refusal(root)).toContain('name the right one with --csv-label');
    expect(await read(root, { csv: { labelColumn: 'target' } })).toMatchObject({
      classes: ['0', '1'],
      sizes: [4, 0, 0],
    });
    expect(await refusal(root, { csv: { labelColumn: 'kind' } })).toBe(
      "ROOT: no table has 'kind' (--csv-label, --csv-id): test.csv has image, age; train.csv has image, diagnosis, target",
    );
  });

  it('is refused when its table does not list the images', async () => {
    const root = await put(images(2, 'a', 'b'), { 't.csv': ['image,kind', 'p,x', 'q,y'] });
    expect(await refusal(root, { csv: { labelColumn: 'kind' } })).toMatch(
      /^ROOT\/t\.csv: has 'kind', but does not list the train images of ROOT with labels; name the columns/,
    );
  });

  it('may be in a table with fewer rows than there are test images', async () => {
    const root = await put([...numbered(4, 'train'), ...images(9, 'test')], {
      'labels.csv': ['id,breed', ...rows(4)],
    });
    expect(await refusal(root)).toContain(
      'ROOT/labels.csv: lists these images, but which column holds the labels?',
    );
    expect(await read(root, { csv: { labelColumn: 'breed' } })).toMatchObject({ ...AB, sizes: [4, 0, 0] });
  });

  it('several tables that list images: the advice names the folder where their images are', async () => {
    const root = await put(numbered(6, 'images'), {
      'lists/train_1.csv': ['image,label', ...rows(6)],
      'lists/train_2.csv': ['image,label', ...rows(6)],
    });
    expect(await refusal(root)).toContain('(--data ROOT/lists/train_1.csv --csv-images ROOT)');
    expect(await read(join(root, 'lists/train_1.csv'), { csv: { images: root } })).toMatchObject(AB);
  });
});

describe('split folders with tables', () => {
  const APTOS = numbered(4, 'train_images/train_images', 'val_images/val_images', 'test_images/test_images');

  it('that hold the images in one more folder', async () => {
    const root = await put(APTOS, {
      'train_1.csv': ['id_code,diagnosis', ...rows(4)],
      'valid.csv': ['id_code,diagnosis', ...rows(4, '', 5)],
      'test.csv': ['id_code,diagnosis', ...rows(4, '', 9)],
    });
    expect(await read(root)).toMatchObject({ ...AB, sizes: [4, 4, 4] });
    expect(await read(root, { format: 'csv' })).toMatchObject({ ...AB, sizes: [4, 4, 4] });
  });

  it('without a known label column are asked for it', async () => {
    const patients = numbered(1, ...[1, 2, 3, 4].map((i) => `train/p${i}/s1`), 'valid/p9/s1', 'valid/p10/s1');
    const line = (path: string, i: number) => `CheXpert/${path},Male,${i % 2 === 0 ? '1.0,' : ',1.0'}`;
    const head = 'Path,Sex,No Finding,Edema';
    const root = await put(patients, {
      'train.csv': [head, ...patients.slice(0, 4).map(line)],
      'valid.csv': [head, ...patients.slice(4).map(line)],
    });
    expect(await refusal(root)).toMatch(/^ROOT\/train\.csv: lists these images, .*name it with --csv-label, or several of 0 and 1 with commas between$/); // prettier-ignore
    expect(await read(root, { csv: { labelColumn: 'No Finding,Edema' } })).toMatchObject({
      classes: ['Edema', 'No Finding'],
      sizes: [4, 2, 0],
    });
  });

  it('for a test folder without classes', async () => {
    const paths = [...images(2, 'Train/0', 'Train/1'), ...images(2, 'Test'), 'Meta/1.png'];
    const tables = {
      'Train.csv': [
        'ClassId,Path',
        '0,Train/0/1.png',
        '0,Train/0/2.png',
        '1,Train/1/1.png',
        '1,Train/1/2.png',
      ],
      'Test.csv': ['ClassId,Path', '0,Test/1.png', '1,Test/2.png'],
      'Meta.csv': ['Path,ClassId', 'Meta/1.png,0'],
    };
    const root = await put(paths, tables);
    for (const csv of [{}, { labelColumn: 'ClassId' }])
      expect(await read(root, { csv })).toMatchObject({ classes: ['0', '1'], sizes: [4, 0, 2] });
    const unlabelled = await put(paths, { ...tables, 'Test.csv': ['Path', 'Test/1.png', 'Test/2.png'] });
    expect(await read(unlabelled)).toMatchObject({ sizes: [4, 0, 0], layout: { kind: 'split folders' } });
  });

  it.each(['test/test', 'test/images', 'test/testSet'])('%s without labels is not used', async (name) => {
    const root = await put([...images(2, 'train/train/x', 'train/train/y'), ...images(3, name)], {});
    const { classes, sizes, unused } = await read(root);
    expect([classes, sizes]).toEqual([
      ['x', 'y'],
      [4, 0, 0],
    ]);
    expect(unused).toEqual([
      `3 images in ${name.slice(5)}/: the folder is none of the class folders of test/`,
    ]);
  });
});

describe('images of the same name in train and test', () => {
  it.each([
    ['train.csv', 'test.csv', 'train', 'test'],
    [
      'lists/a. Training Labels.csv',
      'lists/b. Testing Labels.csv',
      'img/a. Training Set',
      'img/b. Testing Set',
    ],
  ])('belong to %s and %s by their folders', async (train, test, own, other) => {
    const root = await put([...images(4, own), ...images(2, other)], {
      [train]: ['id,label', '1,a', '2,b', '3,a', '4,b'],
      [test]: ['id,label', '1,b', '2,a'],
    });
    const data = await load({ source: root, validation: { from: 'none' } });
    expect(data.train.ids).toEqual(['1', '2', '3', '4']);
    expect([...data.test!.labels]).toEqual([1, 0]);
    expect(data.test!.ids).toEqual([`${other}/1.png`, `${other}/2.png`]);
    expect(data.warnings).toEqual([]); // none is an image of train
  });

  it('belong to the splits that a column says; without either they are asked for', async () => {
    const paths = images(2, 'train', 'test');
    const lines = ['1,a,train', '2,b,train', '1,b,test', '2,a,test'];
    const root = await put(paths, { 'labels.csv': ['id,label,split', ...lines] });
    expect(await read(root)).toMatchObject({ ...AB, sizes: [2, 0, 2] });
    const unsaid = await put(paths, { 'labels.csv': ['id,label', '1,a', '2,b'] });
    expect(await refusal(unsaid)).toContain("image '1' could be test/1.png or train/1.png");
  });
});
