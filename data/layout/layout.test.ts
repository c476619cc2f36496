// Folders and tables as they turn up: what is read, what is refused, and that nothing is left out without a word.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { DataConfigInput } from '../../config/data-config.ts';
import type { LoadedDataset } from '../dataset.ts';
import { imagePaths as images, load, temporaryFolder, write } from '../fixtures.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());

const { put } = folder;

function table(root: string, name: string, ...lines: string[]): string {
  write(join(root, name), `${lines.join('\n')}\n`);
  return join(root, name);
}

const NONE = { validation: { from: 'none' } } as const;

/** Classes, and how many images each part has. */
async function read(
  source: string,
  config: DataConfigInput = {},
): Promise<[string[], number, number, number]> {
  const data = await load({ source, ...config });
  const size = (part: 'validation' | 'test') => data[part]?.labels.length ?? 0;
  return [data.classes, data.train.labels.length, size('validation'), size('test')];
}

async function refusal(source: string, config: DataConfigInput = {}): Promise<string> {
  const error: unknown = await load({ source, ...NONE, ...config }).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ name: 'UserError' });
  return (error as Error).message.replaceAll(folder.path, 'DIR');
}

const warnings = async (source: string, config: DataConfigInput = NONE): Promise<readonly string[]> =>
  (await load({ source, ...config })).warnings;

describe('split folders', () => {
  it.each([
    [
      ['Training', 'Testing'],
      [4, 0, 4],
    ],
    [
      ['train', 'Test', 'validate'],
      [4, 4, 4],
    ],
    [
      ['TRAIN', 'dev', 'evaluation'],
      [4, 4, 4],
    ],
    [
      ['train_images', 'Test Set'],
      [4, 0, 4],
    ],
    [
      ['train', 'dev', 'val'],
      [4, 8, 0],
    ],
  ])('%j are known in any case', async (splits, counts) => {
    const root = await put(...splits.flatMap((split) => images(2, `${split}/a`, `${split}/b`)));
    expect((await load({ source: root, ...NONE })).layout.kind).toBe('split folders');
    expect(await read(root, { validation: { from: 'train', fraction: 0 } })).toEqual([['a', 'b'], ...counts]);
  });

  it('may lie in a folder of their own, or in the class folders', async () => {
    expect(await read(await put(...images(2, 'data/train/a', 'data/train/b', 'data/test/a')), NONE)).toEqual([['a', 'b'], 4, 0, 2]); // prettier-ignore
    const inner = await put(...images(2, 'a/train', 'b/train', 'a/test', 'b/test'));
    expect(await read(inner, NONE)).toEqual([['a', 'b'], 4, 0, 4]);
  });

  it('and classes may lie below any number of single folders, with a table beside those', async () => {
    const classes = await put(...images(2, 'food-101/images/pie', 'food-101/images/ribs'));
    write(join(classes, 'food-101/meta/train.txt'), 'pie/1\n');
    expect(await read(classes, NONE)).toEqual([['pie', 'ribs'], 4, 0, 0]);
    expect(await warnings(classes)).toEqual(['1 text file (train.txt) is not used: such a file is not read']);
    const split = await put(...images(2, 'a/b/train/x', 'a/b/train/y', 'a/b/test/x'));
    expect(await read(split, NONE)).toEqual([['x', 'y'], 4, 0, 2]);
    const listed = await put(...images(2, 'set/images'));
    table(listed, 'set/labels/all.csv', 'image,label', '1,a', '2,b');
    expect(await read(listed, NONE)).toEqual([['a', 'b'], 2, 0, 0]);
  });

  it('mean the same with a stray image, and other folders, beside them; those are named', async () => {
    const root = await put(...images(2, 'train/a', 'train/b', 'test/a'), 'train/montage.png', 'x.png', 'old/1.png'); // prettier-ignore
    expect(await read(root, NONE)).toEqual([['a', 'b'], 4, 0, 2]);
    expect(await warnings(root)).toEqual([
      '1 image (montage.png) is not used: it is beside the class folders of train/',
      '1 image (x.png) is not used: it is beside the split folders',
      '1 image in old/ is not used: the folder is none of the split folders',
      'test has no image of b',
    ]);
  });

  it.each([
    [['seg_train/seg_train', 'seg_test/seg_test'], 'seg_pred/seg_pred'],
    [['1_train', '2_test'], '3_more'],
    [['train/images', 'test/images'], 'docs'],
  ])('%j are known by the word that differs, and begin where their classes do', async (splits, other) => {
    const root = await put(
      ...splits.flatMap((name) => images(2, `${name}/a`, `${name}/b`)),
      `${other}/1.png`,
    );
    const { classes, train, test, layout } = await load({ source: root, ...NONE });
    expect([classes, train.labels.length, test?.labels.length]).toEqual([['a', 'b'], 4, 4]);
    expect(layout.unused.map(({ what }) => what)).toEqual([`1 image in ${other.split('/')[0]}/`]);
  });

  it('are no splits when their other words differ, or their folders', async () => {
    const words = await put(...images(2, 'test_tube/a', 'train_station/a', 'bus/b'));
    expect((await read(words, NONE))[0]).toEqual(['bus', 'test_tube', 'train_station']);
    const folders = await put(...images(2, 'toy_train/a', 'toy_test/b'));
    expect((await read(folders, NONE))[0]).toEqual(['toy_test', 'toy_train']);
  });

  it('with folders that are no classes of train are refused, with the files looked at', async () => {
    const root = await put(...images(2, 'train/n01/images', 'train/n02/images', 'val/images'));
    write(join(root, 'val/val_annotations.txt'), '1.png\tn01\n');
    expect(await refusal(root)).toMatch(
      /val: none of its folders \(images\) is a class of train \(n01, n02\) \(looked at: 1 text file \(val_annotations\.txt\), not read: write a CSV file with the columns image and label\); name them/,
    );
  });

  it('are asked for when train/ may be a class', async () => {
    const root = await put(...images(2, 'train/steam', 'train/electric', 'bus/old', 'car/old'));
    expect(await refusal(root)).toMatch(/is train\/ a split beside bus\/, car\/, or a class like them\?/);
  });

  it('without classes or a table are refused, with the tables looked at', async () => {
    const root = await put(...images(2, 'train', 'test'));
    table(root, 'notes.csv', 'who,when', 'me,now');
    expect(await refusal(root)).toMatch(
      /test\/, train\/ are named after splits, but hold no class folders.*notes\.csv with columns who, when/,
    );
  });

  it('are asked for when folders of unknown names hold the same folders', async () => {
    const root = await put(...images(2, 'fold1/a', 'fold1/b', 'fold2/a', 'fold2/b'));
    expect(await refusal(root)).toMatch(
      /the folders fold1, fold2 all hold folders a, b: which are the classes\?/,
    );
  });
});

describe('files', () => {
  it('of NAS, macOS and Windows are passed over and counted', async () => {
    const root = await put(...images(2, 'cat', 'dog'), 'cat/@eaDir/1.png/THUMB.jpg', '__MACOSX/cat/._1.png', 'dog/.hidden.png'); // prettier-ignore
    writeFileSync(join(root, 'Thumbs.db'), '');
    const { classes, train, layout } = await load({ source: root, ...NONE });
    expect([classes, train.labels.length, layout.junk]).toEqual([['cat', 'dog'], 4, 4]);
  });

  it('are images by their content', async () => {
    const root = await put(...images(1, 'a', 'b'));
    const other = await put('x.png');
    const { readFile } = await import('node:fs/promises');
    const png = await readFile(join(other, 'x.png'));
    for (const name of ['b/hash', 'b/x.jfif', 'b/y.txt']) write(join(root, name), png);
    write(join(root, 'b/readme.txt'), 'no image');
    expect(await read(root, NONE)).toEqual([['a', 'b'], 5, 0, 0]);
  });

  it('are compared in Unicode NFC', async () => {
    const [composed, decomposed] = ['n\u00e9vus', 'ne\u0301vus'];
    const root = await put(...images(2, `train/${composed}`, 'train/x', `test/${decomposed}`));
    expect(await read(root, NONE)).toEqual([[composed, 'x'].sort(), 4, 0, 2]);
    const listed = await put(`${decomposed}1.png`, 'o.png');
    const list = table(listed, 'nfc.csv', 'image,label', `${composed}1,a`, 'o,b');
    expect(await read(list, NONE)).toEqual([['a', 'b'], 2, 0, 0]);
  });
});

describe('other formats', () => {
  it('are named where folders give the classes, but not what is for people', async () => {
    const root = await put(...images(2, 'cat', 'dog'));
    for (const name of ['split.txt', 'boxes.json', 'README.txt', 'notes.md']) write(join(root, name), 'x');
    expect((await load({ source: root, ...NONE })).layout.unused.map(({ what }) => what)).toEqual([
      '1 annotation file (boxes.json)',
      '1 text file (split.txt)',
    ]);
  });

  it.each([
    ['labels.txt', '1 text file (labels.txt), not read: write a CSV file with the columns image and label'],
    ['x.xlsx', '1 spreadsheet (x.xlsx), not read: save it as CSV'],
    ['meta.csv', 'meta.csv with columns who, when; --csv-id and --csv-label name columns'],
    [
      'list/names.txt',
      '1 text file (names.txt), not read: write a CSV file with the columns image and label',
    ],
  ])('%s is named where nothing gives labels', async (name, told) => {
    const root = await put(...images(2, 'all'));
    write(join(root, name), 'who,when\nme,now\n');
    const start = `${root.replace(folder.path, 'DIR')}: all images are in one folder, all/, and no table names them with labels`;
    expect(await refusal(root)).toBe(`${start} (looked at: ${told})`);
  });

  it.each([
    [
      'data/train-00000-of-00001.parquet',
      /1 Parquet or Arrow file .*write its images as files, in a folder for each class/,
    ],
    ['photos.zip', /1 archive \(photos\.zip\), not read: unpack it/],
    [
      'cifar-10-batches-py/data_batch_1',
      /1 CIFAR batch .*numpy\.savez\(FILE, train_images=…, train_labels=…\)/,
    ],
  ])('%s without images is named, with the way to a format that is read', async (name, told) => {
    const root = await put();
    write(join(root, name), 'x');
    expect(await refusal(root)).toMatch(told);
    if (!name.includes('/'))
      expect(await refusal(join(root, name))).toMatch(/is not read \(archive\): unpack it/);
  });

  it('of tables: pixels and addresses are told, not asked for as columns', async () => {
    const root = await put();
    const pixels = Array.from({ length: 192 }, (_, i) => `pixel${i}`);
    const file = table(root, 'hmnist.csv', `${pixels.join(',')},label`, `${pixels.map(() => 7).join(',')},1`);
    const advice = /holds pixels, not names; .*np\.delete\(a, 192, 1\)\.reshape\(-1, 8, 8, 3\)/;
    expect(await refusal(file)).toMatch(advice);
    expect(await refusal(root)).toMatch(advice);
    const hostile = table(
      root,
      '$(reboot).csv',
      `label,${pixels.join(',')}`,
      `1,${pixels.map(() => 7).join(',')}`,
    );
    expect(await refusal(hostile)).toMatch(/write them as an NPZ file$/);
    const addresses = table(
      root,
      'urls.csv',
      'image_url,label',
      'https://a.org/1.png,a',
      'https://a.org/2.png,b',
    );
    expect(await refusal(addresses)).toMatch(/has addresses in its column 'image_url': download the images/);
  });
});

describe('tables beside folders', () => {
  it('one in each split folder (Hugging Face, Roboflow)', async () => {
    const root = await put(...images(2, 'train', 'test'));
    for (const split of ['train', 'test'])
      table(root, `${split}/metadata.csv`, 'file_name,label', '1.png,a', '2.png,b');
    expect(await read(root, NONE)).toEqual([['a', 'b'], 2, 0, 2]);
    for (const split of ['train', 'test'])
      table(root, `${split}/metadata.csv`, 'filename, a, b', '1.png, 1, 0', '2.png, 0, 1');
    expect(await read(root, NONE)).toEqual([['a', 'b'], 2, 0, 2]);
  });

  it('as lines of JSON; lists and objects in them are named', async () => {
    const root = await put(...images(3, 'train'));
    const row = (image: number, label: unknown) =>
      JSON.stringify({ file_name: `${image}.png`, label, boxes: [1] });
    table(
      root,
      'train/metadata.jsonl',
      row(1, 'a'),
      '',
      row(2, 'b'),
      '{"file_name":"3.png","label":"a","__proto__":1}',
    );
    const { classes, train, layout } = await load({ source: root, ...NONE });
    expect([classes, [...train.labels]]).toEqual([
      ['a', 'b'],
      [0, 1, 0],
    ]);
    expect(layout.evidence.at(-2)).toMatch(/metadata\.jsonl: lists and objects are not read: boxes$/);
    const file = table(root, 'train/metadata.jsonl', row(1, 'a'), '[1]');
    expect(await refusal(file)).toMatch(/metadata\.jsonl line 2: is not a JSON object, such as/);
    table(root, 'train/metadata.jsonl', row(1, 'a'), '{"file_name"');
    expect(await refusal(file)).toMatch(/metadata\.jsonl line 2: is not JSON/);
  });

  it('one a split by its name, and images that none names are counted', async () => {
    const root = await put(...images(4, 'img'));
    table(root, 'train.csv', 'image,label', '1,a', '2,b');
    table(root, 'val_labels.csv', 'image,label', '3,a');
    expect(await read(root)).toEqual([['a', 'b'], 2, 1, 0]);
    expect(await warnings(root, {})).toContain('1 image (img/4.png) is not used: no row names it');
  });

  it('two for train are asked for', async () => {
    const root = await put(...images(2, 'img'));
    for (const name of ['train.csv', 'train-backup.csv']) table(root, name, 'image,label', '1,a', '2,b');
    expect(await refusal(root)).toMatch(/train-backup\.csv, train\.csv all list images; name the right one/);
  });

  it('that name finer classes than the folders are asked for', async () => {
    const root = await put(...images(2, 'cat', 'dog'));
    const rows = ['cat/1,tabby', 'cat/2,manx', 'dog/1,pug', 'dog/2,collie'];
    const file = table(root, 'breeds.csv', 'path,label', ...rows);
    expect(await refusal(root)).toContain('could both give the classes; choose with --format');
    expect(await read(root, { ...NONE, format: 'image-folder' })).toEqual([['cat', 'dog'], 4, 0, 0]);
    expect((await read(file, NONE))[0]).toHaveLength(4);
  });
});

describe('columns', () => {
  const rows = (...lines: string[]) => put('1.png', '2.png', '3.png', '4.png').then((root) => table(root, 't.csv', ...lines)); // prettier-ignore

  it('one-hot labels, with a class that no row has', async () => {
    const file = await rows('image,MEL,NV,UNK', '1,1.0,0.0,0.0', '2,0.0,1.0,0.0', '3,1,0,0');
    const { classes, layout } = await load({ source: file, ...NONE });
    expect(classes).toEqual(['MEL', 'NV']);
    expect(layout.evidence).toContain("column 'UNK' is the class of no row: it is not a class");
  });

  it('several labels an image are refused, or left out', async () => {
    expect(await refusal(await rows('image,a,b,c', '1,1,1,1', '2,0,1,1', '3,1,1,1'))).toMatch(/line 2: has several labels/); // prettier-ignore
    expect(await refusal(await rows('image,sex,a,b', '1,1,1,0', '2,0,0,1', '3,1,0,1'))).toContain('name the right ones with --csv-label a,b'); // prettier-ignore
    const joined = await rows('image,label', '1,Effusion|Edema', '2,Edema|Effusion', '3,None', '4,Effusion');
    expect(await refusal(joined)).toMatch(/2 of 4 rows \(line 2, 3\) have several labels/);
    expect(await read(joined, { ...NONE, csv: { missingLabels: 'skip' } })).toEqual([['Effusion', 'None'], 2, 0, 0]); // prettier-ignore
  });

  it('1 and 1.0 are one class; missing labels are refused, or left out, with their lines', async () => {
    const file = await rows('image,label', '1,1', '2,1.0', '3,0', '4,NaN');
    expect(await refusal(file)).toContain('1 of 4 rows (line 5) have no label');
    const skip = { ...NONE, csv: { missingLabels: 'skip' } } as const;
    expect(await read(file, skip)).toEqual([['0', '1'], 3, 0, 0]);
    expect(await warnings(file, skip)).toEqual([
      `${file}: 1 of 4 rows (line 5) have no label and are left out`,
      '1 image (4.png) is not used: no row names it',
    ]);
  });

  it('two that fit are asked for, unless they say the same', async () => {
    const lines = ['image,diagnosis,target', '1,nevus,0', '2,unknown,0', '3,melanoma,1'];
    expect(await refusal(await rows(...lines))).toContain(
      'several columns could hold the labels: diagnosis (3 values), target (2 values); name the right one with --csv-label',
    );
    const same = await rows('image,target,diagnosis', '1,0,nevus', '2,0,nevus', '3,1,melanoma');
    expect(await read(same, NONE)).toEqual([['melanoma', 'nevus'], 3, 0, 0]);
  });

  it('splits as names, flags and numbers; a column of other values is none', async () => {
    const split = async (head: string, ...values: string[]) => {
      const lines = values.map((value, i) => `${i + 1},${'ab'[i % 2]},${value}`);
      const file = await rows(`image,label,${head}`, ...lines);
      return read(file, { validation: { from: 'train', fraction: 0 } });
    };
    expect(await split('is_valid', 'False', 'False', 'True', 'True')).toEqual([['a', 'b'], 2, 2, 0]);
    expect(await split('partition', '0', '0', '1', '2')).toEqual([['a', 'b'], 2, 1, 1]);
    expect(await split('subset', 'NIH', 'RSNA', 'NIH', 'RSNA')).toEqual([['a', 'b'], 4, 0, 0]);
    const two = await rows('image,label,partition', '1,a,0', '2,b,0', '3,a,1');
    expect(await refusal(two)).toContain("column 'partition' numbers its parts 0, 1");
    expect(await read(two, { ...NONE, csv: { splitColumn: 'none' } })).toEqual([['a', 'b'], 3, 0, 0]);
  });

  it('equal rows count once, others of one image are refused', async () => {
    expect(await warnings(await rows('image,label', '1,a', '1,a', '2,b'))).toContainEqual(expect.stringContaining('1 rows repeat others')); // prettier-ignore
    expect(await refusal(await rows('image,label', '1,a', '1,b', '2,b'))).toContain("line 3: image '1' is already named in line 2"); // prettier-ignore
  });
});

describe('CSV as programs write it', () => {
  const GOOD = [['a', 'b'], 2, 0, 0];
  it.each([
    ['a trailing comma', 'image,label,\r\n1,a,\r\n\r\n2,b,\r\n'],
    ['a comment on top', '# made by hand\nimage,label\n1,a\n2,b\n'],
    ['quotes inside', 'image,label,note\n1,a,5" x 3"\n2,b,he said "no"\n'],
    ['a short row', 'image,label,age\n1,a\n2,b,3\n'],
    ['a header with commas in names', 'image,label,Size[W,H],\n1,a,3,4\n2,b,3,4\n'],
    ['tabs', 'image\tlabel\n1\ta\n2\tb\n'],
  ])('%s', async (_, text) => {
    const root = await put('1.png', '2.png');
    write(join(root, 'list.tab'), text);
    expect(await read(join(root, 'list.tab'), NONE)).toEqual(GOOD);
  });

  it('UTF-16 and Windows-1252', async () => {
    const root = await put('1.png', '2.png');
    const text = 'image;label\n1;m\u00e9lanome\n2;x\n';
    const file = join(root, 'l.csv');
    writeFileSync(file, Buffer.from(`\ufeff${text}`, 'utf16le'));
    expect((await read(file, NONE))[0]).toEqual(['m\u00e9lanome', 'x']);
    writeFileSync(file, Buffer.from(text, 'latin1'));
    const data: LoadedDataset = await load({ source: file, ...NONE });
    expect(data.classes).toEqual(['m\u00e9lanome', 'x']);
    expect(data.warnings).toEqual([expect.stringContaining('read as Windows-1252')]);
  });

  it('too many values are refused with their line', async () => {
    const root = await put('1.png');
    expect(await refusal(table(root, 'l.csv', 'image,label', '1,a,b'))).toContain('l.csv line 2: has 3 values where its header names 2 columns'); // prettier-ignore
  });

  it('paths from elsewhere: refused with the folder to name, and then read', async () => {
    const root = await put('images/1.png', 'images/2.png');
    mkdirSync(join(root, 'lists'));
    for (const start of [`${root}/images/`, '../images/', 'C:\\ann\\images\\', 'proj/images/']) {
      const file = table(root, 'lists/l.csv', 'path,label', `${start}1.png,a`, `${start}2.png,b`);
      expect(await refusal(file)).toContain('--csv-images ');
      expect(await read(file, { ...NONE, csv: { images: join(root, 'images') } })).toEqual(GOOD);
    }
  });
});

it('a share of every class becomes test, groups whole, where there is no test split', async () => {
  const root = await put(...images(8, 'a', 'b'));
  const ids = images(8, 'a', 'b');
  table(root, 'manifest.csv', 'path,group', ...ids.map((id, i) => `${id},g${Math.floor(i / 2)}`));
  const config = { ...NONE, testFraction: 0.25 };
  expect(await read(root, config)).toEqual([['a', 'b'], 12, 0, 4]);
  const { train, test } = await load({ source: root, ...config });
  expect(test!.groups!.filter((group) => train.groups!.includes(group))).toEqual([]);
  expect(await refusal(await put(...images(2, 'train/a', 'train/b', 'test/a')), config)).toContain('has a test split of 2 images already'); // prettier-ignore
});
