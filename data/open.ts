/** Finds the reader of a source: by the configured format, else by what lies at the path. */
import { existsSync } from 'node:fs';
import type { DataConfig } from '../config/data-config.ts';
import { UserError } from '../common/errors.ts';
import { FASHION_MNIST, FASHION_MNIST_CLASSES, readFashionMnist, type Places } from './fashion-mnist.ts';
import { isIdxFolder, readIdxFolder } from './idx.ts';
import type { Items, SkippedImage, Source } from './source.ts';

/** Reads the source that `config` names. Throws UserError when it is missing or of no known format. */
export async function openSource(config: DataConfig, places: Places): Promise<Source> {
  if (config.source === FASHION_MNIST && !existsSync(config.source)) return readFashionMnist(places);
  return openPath(config, config.source);
}

function openPath(config: DataConfig, path: string): Promise<Source> {
  if (!existsSync(path)) throw new UserError(`${path}: no such file or folder; check the path (data.source)`);
  if (isIdxFolder(path))
    return readIdxFolder(path, config.source === FASHION_MNIST ? FASHION_MNIST_CLASSES : null);
  throw new UserError(`${path}: holds no data of a known format`);
}

/** The test images at `path`, with labels in terms of `classes`. */
export async function openTest(
  config: DataConfig,
  path: string,
  classes: readonly string[],
): Promise<{ items: Items; skipped: readonly SkippedImage[] }> {
  const source = await openPath(config, path);
  const items = source.test ?? source.train;
  const places = source.classes.map((name) => classes.indexOf(name));
  const labels = items.labels.map((label) => {
    if (places[label] === -1)
      throw new UserError(
        `${path}: class '${source.classes[label]}' is not among the train classes (${classes.join(', ')})`,
      );
    return places[label]!;
  });
  return { items: { ...items, labels }, skipped: source.skipped };
}
