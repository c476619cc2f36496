/** Images that a table names, with or without labels: those of train where it has splits. */
import { basename, dirname } from 'node:path';
import type { DataConfig } from '../../config/data-config.ts';
import { UserError } from '../../common/errors.ts';
import type { SkippedImage } from '../source.ts';
import { listed, readTable } from '../table.ts';
import { chooseId, chooseSplit } from './columns.ts';
import { ImageIndex } from './find-image.ts';
import { splitWithinName } from './names.ts';
import { imagesOf, readTree } from './tree.ts';

/** Each image once, in the order of the rows. Rows without their image are `missing`. Throws UserError. */
export async function listedImages(
  file: string,
  options: DataConfig['csv'],
): Promise<{ files: string[]; ids: string[]; missing: SkippedImage[] }> {
  const table = await readTable(file);
  const folder = options.images ?? dirname(file);
  const images = new ImageIndex(folder, imagesOf(await readTree(folder)));
  const id = chooseId(table, options, images);
  if (id === null)
    throw new UserError(
      `${file}: which column holds the image names? Its columns are ${listed(table.columns)}; name one in data.csv.idColumn (--csv-id)`,
    );
  const split = chooseSplit(table, options, []);
  const { find } = images.finder(table.rows.map(({ values }) => values[id]!));
  const ofSplit = split === null ? splitWithinName(basename(file)) : 'train';
  const ids = new Map<string, string>();
  const missing: SkippedImage[] = [];
  for (const { line, values } of table.rows) {
    const where = `${file} line ${line}`;
    if (split !== null && split.splitOf(values[split.index]!) !== 'train') continue;
    const found = find(values[id]!, where, ofSplit);
    if (found === null) missing.push({ file: where, reason: `no image '${values[id]}' under ${folder}` });
    else if (!ids.has(found.file)) ids.set(found.file, values[id]!);
  }
  return { files: [...ids.keys()], ids: [...ids.values()], missing };
}
