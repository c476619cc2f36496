import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { load, temporaryFolder, write, writeImage, type TemporaryFolder } from './fixtures.ts';

let folder: TemporaryFolder;
let root: string;
beforeEach(() => {
  folder = temporaryFolder();
  root = join(folder.path, 'data');
});
afterEach(() => folder.remove());

const NO_VALIDATION = { from: 'none' } as const;

async function putImages(...paths: string[]): Promise<void> {
  for (const path of paths) await writeImage(join(root, path));
}

function putTable(name: string, ...lines: string[]): string {
  write(join(root, name), `${lines.join('\n')}\n`);
  return join(root, name);
}

async function refusal(config: Parameters<typeof load>[0]): Promise<string> {
  const error: unknown = await load(config).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ name: 'UserError' });
  return (error as Error).message.replaceAll(root, 'ROOT');
}

describe('data sets as they are published', () => {
  it('HAM10000: HAM10000_metadata.csv and two folders of images', async () => {
    await putImages(
      'HAM10000_images_part_1/ISIC_0027419.jpg',
      'HAM10000_images_part_1/ISIC_0025030.jpg',
      'HAM10000_images_part_2/ISIC_0034320.jpg',
    );
    putTable(
      'HAM10000_metadata.csv',
      'lesion_id,image_id,dx,dx_type,age,sex,localization',
      'HAM_0000118,ISIC_0027419,nv,histo,80.0,male,scalp',
      'HAM_0000118,ISIC_0025030,nv,histo,80.0,male,scalp',
      'HAM_0002730,ISIC_0034320,bkl,histo,,female,"back, upper"',
    );
    const data = await load({ source: root, imageSize: 4, validation: NO_VALIDATION });
    expect(data.classes).toEqual(['bkl', 'nv']);
    expect(data.train.ids).toEqual(['ISIC_0027419', 'ISIC_0025030', 'ISIC_0034320']);
    expect([...data.train.labels]).toEqual([1, 1, 0]);
    expect(data.train.groups).toEqual(['HAM_0000118', 'HAM_0000118', 'HAM_0002730']);
    expect(data.test).toBeNull();
  });

  it('APTOS 2019: train.csv beside other tables, numbers as labels', async () => {
    await putImages(
      'train_images/000c1434d8d7.png',
      'train_images/001639a390f0.png',
      'test_images/0005cfc8afb6.png',
    );
    putTable('train.csv', 'id_code,diagnosis', '000c1434d8d7,2', '001639a390f0,10');
    putTable('test.csv', 'id_code', '0005cfc8afb6');
    putTable('sample_submission.csv', 'id_code,diagnosis', '0005cfc8afb6,0');
    const data = await load({ source: root, imageSize: 4, validation: NO_VALIDATION });
    expect(data.classes).toEqual(['2', '10']);
    expect(data.train.ids).toEqual(['000c1434d8d7', '001639a390f0']);
    expect(data.train.groups).toBeNull();
  });
});

describe('CSV columns', () => {
  it('are chosen by name, with a split column, from a named images folder', async () => {
    await putImages('../pictures/x.png', '../pictures/sub/y.png', '../pictures/z.png', '../pictures/w.png');
    const source = putTable(
      'list.csv',
      'scan;kind;who;part',
      'x.png;good;p1;train',
      'sub\\y.png;bad;p2;Train',
      './z;good;p3;val',
      'w;bad;;test',
    );
    const data = await load({
      source,
      csv: {
        images: join(folder.path, 'pictures'),
        idColumn: 'scan',
        labelColumn: 'kind',
        groupColumn: 'who',
        splitColumn: 'part',
      },
    });
    expect(data.classes).toEqual(['bad', 'good']);
    expect([...data.train.labels]).toEqual([1, 0]);
    expect(data.validation!.groups).toEqual(['p3']);
    expect(data.test!.groups).toEqual(['w']); // an empty group: the image is independent
  });

  it('missing by name: the columns there are', async () => {
    const source = putTable('list.csv', 'image_id,dx', 'a,b');
    expect(await refusal({ source, csv: { labelColumn: 'diagnosis' } })).toBe(
      "ROOT/list.csv: has no column 'diagnosis' (data.csv.labelColumn); its columns are image_id, dx",
    );
  });

  it('unknown: asks which', async () => {
    const source = putTable('list.csv', 'scan,kind', 'a,b');
    expect(await refusal({ source })).toBe(
      'ROOT/list.csv: which column holds the image names? Its columns are scan, kind; name one in data.csv.idColumn (--csv-id)',
    );
  });
});

describe('CSV rows', () => {
  it('without an image are refused, or recorded and skipped', async () => {
    await putImages('a.png', 'b.png');
    const source = putTable('list.csv', 'image_id,dx', 'a,x', 'gone,x', 'b,y');
    expect(await refusal({ source })).toContain("ROOT/list.csv line 3: no image 'gone' under ROOT");
    const data = await load({ source, onBadImage: 'skip', validation: NO_VALIDATION });
    expect(data.train.ids).toEqual(['a', 'b']);
    expect(data.skipped).toEqual([{ file: `${source} line 3`, reason: `no image 'gone' under ${root}` }]);
  });

  it.each([
    ['an empty label', ['a,'], '1 of 1 rows (line 2) have no label'],
    ['the same image twice', ['a,x', 'a.png,y'], "line 3: image 'a.png' is already named in line 2"],
    ['two images of that name', ['c,x'], "line 2: image 'c' could be one/c.png or two/c.png"],
    ['a missing cell', ['a'], '1 of 1 rows (line 2) have no label'],
    ['no rows', [], 'has no rows under its header'],
    ['one class', ['a,x', 'b,x'], "has only the class 'x'"],
  ])('with %s are refused', async (_, rows, message) => {
    await putImages('a.png', 'b.png', 'one/c.png', 'two/c.png');
    const source = putTable('list.csv', 'image_id,dx', ...rows);
    expect(await refusal({ source })).toContain(message);
  });

  it.each([
    [
      'an unknown split',
      'b,y,holdout',
      "line 3: split 'holdout' is not one of train, validation (val), test",
    ],
    [
      'a test class that train has not',
      'b,y,test',
      "image 'b' of test has class 'y', which no train image has (x); add rows of train images of that class, or remove its rows",
    ],
  ])('with %s are refused', async (_, row, message) => {
    await putImages('a.png', 'b.png');
    expect(await refusal({ source: putTable('list.csv', 'image_id,dx,split', 'a,x,train', row) })).toContain(
      message,
    );
  });
});

describe('CSV detection', () => {
  it('asks when two tables list the images', async () => {
    await putImages('a.png', 'b.png');
    putTable('one.csv', 'image_id,dx', 'a,x', 'b,y');
    putTable('two.csv', 'image_id,dx', 'a,x', 'b,y');
    expect(await refusal({ source: root })).toContain('one.csv, two.csv all list images; name the right one');
  });

  it('does not take a short list beside class folders for the manifest', async () => {
    await putImages('cat/1.png', 'cat/2.png', 'dog/3.png', 'dog/4.png');
    putTable('excluded.csv', 'id,class', '9,cat');
    const data = await load({ source: root, validation: NO_VALIDATION });
    expect(data.classes).toEqual(['cat', 'dog']);
  });
});
