/** `ballast compare` and `ballast demo`: several methods over the same data, at equal optimiser steps. */
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { UserError } from '../../common/errors.ts';
import { packageRoot } from '../../common/package-root.ts';
import { layerFlags, loadConfigFile } from '../../config/load.ts';
import { mergeConfig } from '../../config/merge.ts';
import { findRun, planRuns } from './comparison.ts';
import type { CommandContext } from '../base/context.ts';
import { addConfigFlags, COMPARE_FLAGS, configFromFlags } from '../base/flags.ts';
import { RunKeys } from './run-key.ts';
import { performStudy } from './perform-study.ts';
import { parsePort } from '../base/with-run-services.ts';

interface CompareOptions {
  readonly config?: string;
  readonly methods: string;
  readonly seeds: string;
  readonly parallel: string;
  readonly out: string;
  readonly overwrite?: boolean;
  readonly title?: string;
  readonly nats?: string;
  readonly metricsPort?: string;
  readonly json?: boolean;
}

const DEMO_METHODS = 'erm,oversample,oversample+mixup,oversample+randaugment,iois+oversample+mixup+finish';

export function addCompareCommand(program: Command, context: CommandContext): void {
  const command = program
    .command('compare')
    .summary('compare methods over paired seeds')
    .description(
      'Runs every method with every seed, at equal optimiser steps, and writes one report. The same command keeps ' +
        'finished runs and continues interrupted ones.',
    )
    .requiredOption('--methods <list>', 'methods, separated by commas: erm,logit-adjust,iois+logit-adjust')
    .requiredOption('--out <dir>', 'folder of the comparison; each run gets <method>-seed<k> inside')
    .option('--config <file>', 'YAML or JSON file with the configuration that all runs share')
    .option('--title <text>', 'title of the report');
  addSharedOptions(command);
  addConfigFlags(command, COMPARE_FLAGS);
  command.action(() => compare(command, command.opts<CompareOptions>(), context));
}

/** The preset that `make demo` calls: long-tailed Fashion-MNIST with the prior that ships. */
export function addDemoCommand(program: Command, context: CommandContext): void {
  const command = program
    .command('demo')
    .summary('the comparison of `make demo`')
    .description(
      `Compares ${DEMO_METHODS.replaceAll(',', ', ')} on long-tailed Fashion-MNIST with the prior that ships ` +
        '(examples/demo.yaml).',
    )
    .option('--methods <list>', 'methods, separated by commas', DEMO_METHODS)
    .option('--out <dir>', 'folder of the comparison', 'runs/demo');
  addSharedOptions(command);
  addConfigFlags(command, COMPARE_FLAGS);
  const config = join(packageRoot(), 'examples', 'demo.yaml');
  const title = 'Long-tailed Fashion-MNIST';
  command.action(() => compare(command, { title, ...command.opts<CompareOptions>(), config }, context));
}

function addSharedOptions(command: Command): void {
  command
    .option('--seeds <list>', 'seeds, separated by commas', '1')
    .option('--parallel <n>', 'runs at a time', '1')
    .option('--overwrite', 'replace runs that the folder holds')
    .option('--nats <url>', 'also publish events on this NATS server (nats://host:4222)')
    .option('--metrics-port <port>', 'serve Prometheus metrics of the run in progress')
    .option('--json', 'print one event per line, as JSON with the name of its run');
}

async function compare(command: Command, options: CompareOptions, context: CommandContext): Promise<void> {
  const { cwd } = context;
  const dir = resolve(cwd, options.out);
  const metricsPort = parsePort(options.metricsPort);
  const file = options.config === undefined ? null : await loadConfigFile(resolve(cwd, options.config));
  const shipped = command.name() === 'demo' ? { prior: shippedPrior() } : {};
  const flags = mergeConfig(shipped, configFromFlags(command, COMPARE_FLAGS));
  const methods = listOf('--methods', options.methods);
  const seeds = listOf('--seeds', options.seeds).map((text) => wholeNumber('--seeds', text, 0));
  const runs = planRuns(layerFlags(file, flags), methods, seeds, dir, cwd);
  const overwrite = options.overwrite === true;
  const keys = new RunKeys();
  const rows = [...new Set(runs.map(({ row }) => row))].map((name) => ({ name, settings: { method: name } }));
  await performStudy(
    {
      frame: {
        title: options.title ?? `Comparison over ${runs[0]?.config.data.source ?? ''}`,
        rows,
        reference: (rows.find(({ name }) => name === 'erm') ?? rows[0]!).name,
        ...{ ceiling: null, worth: null, split: null },
      },
      runs,
      findKept: async ({ config }) =>
        overwrite ? { kind: 'nothing', dir: config.out, code: '' } : findRun(config, keys),
      ...{ overwrite, dir, metricsPort, stop: null, cluster: null },
      parallel: wholeNumber('--parallel', options.parallel, 1),
      json: options.json === true,
      natsUrl: options.nats ?? runs[0]?.config.eventsUrl ?? null,
    },
    context,
  );
}

/** The prior of the demo, trained by examples/prior-fashion-mnist.yaml. */
function shippedPrior(): string {
  return join(packageRoot(), 'priors', 'fashion-mnist-lt', 'prior.safetensors');
}

function listOf(flag: string, text: string): string[] {
  const items = text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
  if (items.length === 0) throw new UserError(`${flag} is empty; name at least one`);
  if (new Set(items).size < items.length) throw new UserError(`${flag} ${text}: one is named twice`);
  return items;
}

function wholeNumber(flag: string, text: string, least: number): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < least)
    throw new UserError(`${flag} ${text}: it must be a whole number of at least ${least}`);
  return value;
}
