/** `ballast data`: what the reader sees, before anything is trained on it. */
import type { Command } from 'commander';
import { resolve } from 'node:path';
import { dataConfigSchema } from '../config/data-config.ts';
import { layerFlags } from '../config/load.ts';
import { mergeConfig } from '../config/merge.ts';
import { parseStrict } from '../config/validation.ts';
import { type Dataset, type ImageSet, loadDataset } from '../data/dataset.ts';
import type { CommandContext } from './context.ts';
import { addConfigFlags, configFromFlags, DATA_FLAGS } from './flags.ts';

const FLAGS = DATA_FLAGS.filter(({ path }) => path.at(-1) !== 'source');
const SKIPPED_SHOWN = 20;

export function addDataCommand(program: Command, context: CommandContext): void {
  const command = program
    .command('data')
    .summary('show classes, counts and splits of a data set')
    .description(
      'Reads a data set as a run would, and shows its classes, counts, splits and unreadable images.',
    )
    .argument('<source>', "'fashion-mnist', or a folder, CSV, NPZ or IDX file")
    .option('--json', 'print JSON');
  addConfigFlags(command, FLAGS);
  command.action((source: string) => showData(source, command, context));
}

async function showData(source: string, command: Command, { cwd, stdout }: CommandContext): Promise<void> {
  const path = source === 'fashion-mnist' ? source : resolve(cwd, source);
  const flags = layerFlags(null, mergeConfig(configFromFlags(command, FLAGS), { data: { source: path } }));
  const config = parseStrict(dataConfigSchema, flags.values['data'], flags.locate);
  const summary = summarize(await loadDataset(config));
  const { json } = command.opts<{ json?: boolean }>();
  stdout.write(json ? `${JSON.stringify(summary)}\n` : `${describe(summary)}\n`);
}

export interface DataSummary {
  readonly name: string;
  readonly size: string;
  readonly digest: string;
  readonly classes: readonly ClassSummary[];
  readonly skipped: Dataset['skipped'];
  readonly warnings: readonly string[];
}

interface ClassSummary {
  readonly name: string;
  readonly train: number;
  readonly validation: number;
  readonly test: number;
}

export function summarize(dataset: Dataset): DataSummary {
  const { name, height, width, channels, digest, classes, train, validation, test, skipped, warnings } =
    dataset;
  const count = (set: ImageSet | null, c: number) => set?.labels.filter((label) => label === c).length ?? 0;
  return {
    name,
    size: `${width}×${height} px, ${channels === 1 ? 'grey' : 'colour'}`,
    digest,
    classes: classes.map((className, c) => ({
      name: className,
      train: count(train, c),
      validation: count(validation, c),
      test: count(test, c),
    })),
    skipped,
    warnings,
  };
}

export function describe({ name, size, digest, classes, skipped, warnings }: DataSummary): string {
  const total = (split: 'train' | 'validation' | 'test') => classes.reduce((sum, row) => sum + row[split], 0);
  const counts = classes.map(({ train }) => train);
  const ratio = Math.max(...counts) / Math.max(1, Math.min(...counts));
  const rows = [
    ['class', 'train', 'validation', 'test'],
    ...classes.map((row) => [row.name, ...[row.train, row.validation, row.test].map(String)]),
    ['all', ...[total('train'), total('validation'), total('test')].map(String)],
  ];
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const table = rows.map((row) =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  '),
  );
  const more = skipped.length > SKIPPED_SHOWN ? [`  … and ${skipped.length - SKIPPED_SHOWN} more`] : [];
  return [
    `${name}: ${size}, ${classes.length} classes, imbalance ${ratio.toFixed(1)} : 1`,
    '',
    ...table,
    '',
    `digest: ${digest}`,
    `skipped: ${skipped.length}`,
    ...skipped.slice(0, SKIPPED_SHOWN).map(({ file, reason }) => `  ${file}: ${reason}`),
    ...more,
    ...warnings.map((warning) => `warning: ${warning}`),
  ].join('\n');
}
