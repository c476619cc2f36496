/** `ballast data`: what the reader sees, before anything is trained on it. */
import type { Command } from 'commander';
import { resolve } from 'node:path';
import { dataConfigSchema } from '../../config/data-config.ts';
import { layerFlags } from '../../config/load.ts';
import { mergeConfig } from '../../config/merge.ts';
import { parseStrict } from '../../config/validation.ts';
import { writeFileAtomic } from '../../common/files.ts';
import { loadDataset } from '../../data/dataset.ts';
import { FASHION_MNIST } from '../../data/fashion-mnist.ts';
import { imageCacheFolder, limitBytes, listPacks } from '../../data/cache/image-cache.ts';
import type { DecodeProgress } from '../../data/decode.ts';
import { progressLine, type ProgressLine } from '../../report/terminal/progress-line.ts';
import type { CommandContext } from '../base/context.ts';
import { describe, summarize } from './summary.ts';
import { addConfigFlags, configFromFlags, DATA_FLAGS } from '../base/flags.ts';

const FLAGS = DATA_FLAGS.filter(({ path }) => path.at(-1) !== 'source');
/** Images of several sizes are looked at in this one. */
const LOOKING_SIZE = 64;

export function addDataCommand(program: Command, context: CommandContext): void {
  const command = program
    .command('data')
    .summary('show classes, counts and splits of a data set')
    .description(
      'Reads a data set as a run would, and shows the result: layout, columns, classes, counts, splits, sizes, duplicate and unreadable images.',
    )
    .argument('<source>', "'fashion-mnist', or a folder, CSV, NPZ or IDX file")
    .option('--json', 'print JSON')
    .option('--picture <file>', 'PNG to write: images of each class, histograms of classes and sizes');
  addConfigFlags(command, FLAGS);
  command.action((source: string) => showData(source, command, context));
}

async function showData(source: string, command: Command, context: CommandContext): Promise<void> {
  const { cwd, stdout } = context;
  const path = source === FASHION_MNIST ? source : resolve(cwd, source);
  const flags = layerFlags(null, mergeConfig(configFromFlags(command, FLAGS), { data: { source: path } }));
  const config = parseStrict(dataConfigSchema, flags.values['data'], flags.locate);
  const decoding = decodingLine(context.stderr);
  const dataset = await loadDataset(
    config,
    {},
    { mixedSize: LOOKING_SIZE, onDecode: (progress) => decoding.update(progress) },
  );
  decoding.close();
  const { json, picture } = command.opts<{ json?: boolean; picture?: string }>();
  const summary = summarize(dataset, config.imageSize === null && dataset.sizes.length > 1);
  if (picture !== undefined) {
    const { drawDataset } = await import('./picture.ts'); // loaded late: it draws charts
    await writeFileAtomic(resolve(cwd, picture), await drawDataset(dataset));
  }
  stdout.write(json ? `${JSON.stringify(summary)}\n` : `${describe(summary)}\n${await describeCache()}`);
  if (picture !== undefined && !json) stdout.write(`picture: ${picture}\n`);
}

/** Progress of decoding, on a separate line for each part of the data that takes long. */
function decodingLine(out: CommandContext['stderr']): {
  update(progress: DecodeProgress): void;
  close(): void;
} {
  let line: { readonly total: number; readonly shown: ProgressLine } | null = null;
  const close = () => line?.shown.close();
  return {
    update({ done, count }) {
      if (line?.total !== count) {
        close();
        const options = {
          isTTY: out.isTTY === true,
          columns: out.columns ?? 100,
          clock: () => performance.now(),
        };
        line = { total: count, shown: progressLine(out, { ...options, label: 'decoding', total: count, unit: 'images' }) }; // prettier-ignore
      }
      line.shown.update(done);
    },
    close,
  };
}

/** A line about the image cache, if it holds anything. */
async function describeCache(): Promise<string> {
  const folder = imageCacheFolder();
  const packs = folder === null ? [] : await listPacks(folder);
  if (packs.length === 0) return '';
  const gibibytes = (bytes: number) => (bytes / 2 ** 30).toFixed(1);
  const size = packs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  return `image cache: ${gibibytes(size)} of at most ${gibibytes(limitBytes())} GiB in ${folder}, which may be deleted at any time\n`;
}
