// Tables that hold pixels are told of, at little cost.
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { load, temporaryFolder, write, writeImage } from '../fixtures.ts';
import { readableTables } from './choose-tables.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());

const fresh = (): string => mkdtempSync(join(folder.path, 'case-'));
const PIXELS = Array.from({ length: 64 }, (_, i) => `pixel${i}`);

function table(root: string, name: string, ...lines: string[]): { name: string; file: string } {
  write(join(root, name), `${lines.join('\n')}\n`);
  return { name, file: join(root, name) };
}

it('a table of pixels beside images is read no further than its column names', async () => {
  const root = fresh();
  for (const name of ['1.png', '2.png']) await writeImage(join(root, 'all', name));
  const header = [...PIXELS, '"label"'].join(',');
  const far = `${'7,'.repeat(100)}1`; // more values than columns: refused if it were read
  const {
    tables: [found],
  } = await readableTables([table(root, 'hmnist.csv', `# by hand\r\n${header}\r`, far)]);
  expect(found).toMatchObject({ columns: [...PIXELS, 'label'], rows: [] });
  await expect(load({ source: root })).rejects.toThrow(
    /hmnist\.csv holds pixels, not names; write them as an NPZ/,
  );
});

it('numbered columns of 0 and 1 are classes where another column names the images', async () => {
  const root = fresh();
  const classes = Array.from({ length: 64 }, (_, i) => i);
  const rows = [0, 1].map((label) => `${label},${classes.map((each) => Number(each === label)).join(',')}`);
  for (const name of ['0.png', '1.png']) await writeImage(join(root, 'all', name));
  table(root, 'list.csv', `image,${classes.join(',')}`, ...rows);
  expect((await load({ source: root, validation: { from: 'none' } })).classes).toEqual(['0', '1']);
});

it('tables have one limit together', async () => {
  const root = fresh();
  const files = ['a.csv', 'b.csv', 'c.csv'].map((name) => table(root, name, 'x,y', '1,2', '3,4'));
  const { tables, unread } = await readableTables(files, 8);
  expect(tables.map(({ file }) => file)).toEqual(files.slice(0, 2).map(({ file }) => file));
  expect(unread).toMatchObject([
    { name: 'c.csv', why: expect.stringContaining('of all tables together') as string },
  ]);
});

it('pixels as a text of numbers are told of (FER2013)', async () => {
  const root = fresh();
  const text = Array.from({ length: 64 }, (_, i) => i * 4).join(' ');
  const { file } = table(
    root,
    'fer.csv',
    'emotion,pixels,Usage',
    `0,${text},Training`,
    `1,${text},PublicTest`,
  );
  const advice =
    /fer\.csv holds pixels in its column 'pixels', not names; write .*np\.array\(text\.split\(\), 'uint8'\)\.reshape\(8, 8\)/;
  await expect(load({ source: root })).rejects.toThrow(advice);
  await expect(load({ source: file })).rejects.toThrow(advice);
});
