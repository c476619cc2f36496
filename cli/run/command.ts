/** `ballast run`: trains one classifier by one method. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { layerFlags, loadConfigFile } from '../../config/load.ts';
import { dataConfigSchema } from '../../config/data-config.ts';
import { mergeConfig } from '../../config/merge.ts';
import { parseStrict } from '../../config/validation.ts';
import { parseRunConfig, resolvePaths, type RunConfig } from '../../config/run-config.ts';
import { RunFolder } from '../../coordinator/records/run-folder.ts';
import { ensureDirectory } from '../../common/files.ts';
import type { Dashboard } from '../../dashboard/server/server.ts';
import type { CommandContext } from '../base/context.ts';
import { openDashboard } from '../dashboard/command.ts';
import { executeRun } from './execute-run.ts';
import { Interrupted } from '../base/failure.ts';
import { chosenCluster, type ClusterFlags, HOST, JOIN } from './cluster-choice.ts';
import { addConfigFlags, configFromFlags, refuseWithResume, RUN_FLAGS } from '../base/flags.ts';
import { createSink } from '../base/output.ts';
import { checkResumable, prepareRunFolder } from './folder-check.ts';
import { parsePort, withRunServices } from '../base/with-run-services.ts';

interface RunOptions extends ClusterFlags {
  readonly config?: string;
  readonly out?: string;
  readonly resume?: string;
  readonly overwrite?: boolean;
  readonly nats?: string;
  readonly metricsPort?: string;
  readonly dashboard?: boolean;
  readonly json?: boolean;
}

const EXAMPLES = `
Examples:
  ballast run --data fashion-mnist --long-tail 100 --largest 2000 --method erm
  ballast run --data photos/ --method iois+logit-adjust --prior priors/photos.safetensors --out runs/photos
  ballast run --config run.yaml --set training.epochs=30
  ballast run --resume runs/photos
`;

/** Flags that may go with --resume: the same images may lie elsewhere now. The run loop compares their digest. */
const MOVED_DATA: readonly string[] = ['--data', '--test', '--csv-images'];

export function addRunCommand(program: Command, context: CommandContext): void {
  const command = program
    .command('run')
    .summary('train a classifier by one method')
    .description(
      'Trains a classifier by one method and leaves a run folder: metrics, pictures of synthetic images, checkpoints, ' +
        'model, report.json and report.html. Flags override the configuration file.',
    )
    .option('--config <file>', 'YAML or JSON file with the configuration')
    .option('--out <dir>', 'run folder (default: runs/<method>-seed<seed>)')
    .option(
      '--resume <dir>',
      'continue the run in this folder with its own configuration; --data (and --test, --csv-images) may name a new place of its data',
    )
    .option('--overwrite', 'replace the run that the folder holds')
    .addOption(JOIN)
    .addOption(HOST)
    .option('--nats <url>', 'also publish events on this NATS server (nats://host:4222)')
    .option('--metrics-port <port>', 'serve Prometheus metrics of all processes of the run')
    .option('--dashboard', 'show the run in the browser while it runs; prints the link of the page')
    .option('--json', 'print one event per line, as JSON')
    .addHelpText('after', EXAMPLES);
  addConfigFlags(command, RUN_FLAGS);
  command.action(() => runCommand(command, context));
}

async function runCommand(command: Command, context: CommandContext): Promise<void> {
  const options = command.opts<RunOptions>();
  const metricsPort = parsePort(options.metricsPort);
  const config =
    options.resume === undefined ? await newRun(command, context) : await oldRun(command, context);
  const cluster = chosenCluster(options);
  const natsUrl = options.nats ?? config.eventsUrl;
  await withRunServices(context, metricsPort, async ({ interrupts, onNode }) => {
    const sink = createSink(context.stdout, { json: options.json === true });
    const page = options.dashboard === true ? await openRunPage(config.out, context) : null;
    try {
      const resume = options.resume !== undefined;
      const { signal } = interrupts;
      const end = await executeRun({
        config,
        resume,
        natsUrl,
        cluster,
        signal,
        onEvent(event) {
          sink.onEvent(event);
          page?.tell('.', event);
        },
        onNode,
        onNats: (line) => context.stderr.write(`${line}\n`),
      });
      if (end.status === 'cancelled')
        throw await interrupted(config, end.epoch, interrupts.received() ?? 'SIGINT');
    } finally {
      sink.close();
      await page?.close();
    }
  });
}

/** The page of the run's folder, which need not hold anything yet. */
async function openRunPage(runDir: string, { stderr }: CommandContext): Promise<Dashboard> {
  await ensureDirectory(runDir);
  const page = await openDashboard(runDir, 0);
  stderr.write(`dashboard: ${page.link}#/runs/.\n`);
  return page;
}

async function newRun(command: Command, { cwd }: CommandContext): Promise<RunConfig> {
  const { config: file, out, overwrite } = command.opts<RunOptions>();
  const flags = { ...configFromFlags(command, RUN_FLAGS), ...(out === undefined ? {} : { out }) };
  const source = layerFlags(file === undefined ? null : await loadConfigFile(resolve(cwd, file)), flags);
  const config = resolvePaths(parseRunConfig(source.values, source.locate), cwd);
  await prepareRunFolder(config.out, overwrite === true);
  return config;
}

async function oldRun(command: Command, { cwd }: CommandContext): Promise<RunConfig> {
  const { resume } = command.opts<RunOptions>();
  refuseWithResume(
    command,
    RUN_FLAGS.filter(({ flags }) => !MOVED_DATA.includes(flags.split(' ', 1)[0]!)),
    ['config', 'out', 'overwrite'],
    "the run folder's own config.json",
  );
  const dir = resolve(cwd, resume!);
  checkResumable(dir);
  const config = { ...(await new RunFolder(dir).readConfig()), out: dir };
  const moved = configFromFlags(command, RUN_FLAGS);
  if (Object.keys(moved).length === 0) return config;
  const data = parseStrict(
    dataConfigSchema,
    mergeConfig({ data: config.data }, moved)['data'],
    () => 'command line',
  );
  return resolvePaths({ ...config, data }, cwd);
}

async function interrupted(
  config: RunConfig,
  epoch: number,
  name: 'SIGINT' | 'SIGTERM',
): Promise<Interrupted> {
  const kept = epoch === 0 ? 'before the end of the first epoch' : `after epoch ${epoch}`;
  const hasBegun = await new RunFolder(config.out).holdsRun();
  const advice = `Continue with: ballast run --resume ${config.out}`;
  return new Interrupted(name, hasBegun ? `Stopped ${kept}. ${advice}` : 'Stopped before the run began.');
}
