/** `ballast prior train`, `import` and `sample`: unlabelled diffusion priors. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { DEVICE_NAMES, type DeviceName } from '../../common/engine-names.ts';
import { UserError } from '../../common/errors.ts';
import { writeFileAtomic } from '../../common/files.ts';
import { parseJsonObject } from '../../common/json-file.ts';
import { parseStrict } from '../../config/validation.ts';
import { isWritten, mergeConfig, type PlainObject } from '../../config/merge.ts';
import { FASHION_MNIST } from '../../data/fashion-mnist.ts';
import { encodeModelFile, readModelFile } from '../../models/model-file.ts';
import { parameterCount } from '../../models/parameters.ts';
import { progressLine } from '../../report/terminal/progress-line.ts';
import { type PriorConfig, priorConfigSchema } from '../../services/prior-trainer/config.ts';
import type { CommandContext } from '../base/context.ts';
import { Interrupted } from '../base/failure.ts';
import { addConfigFlags, PRIOR_FLAGS, refuseWithResume } from '../base/flags.ts';
import { listenForInterrupts } from '../base/interrupts.ts';
import { configOf } from './standalone-config.ts';

export function addPriorCommand(program: Command, context: CommandContext): void {
  const prior = program
    .command('prior')
    .description('Trains, imports and samples unlabelled diffusion priors.');
  prior.summary('train, import and sample diffusion priors');
  const train = prior
    .command('train')
    .description('Trains an unlabelled denoiser on the training images; the network never sees labels.')
    .option('--config <file>', 'YAML or JSON file with the configuration')
    .requiredOption('--out <dir>', 'folder of the prior')
    .option(
      '--unlabelled <path...>',
      'folders, CSV, NPZ or IDX files of images without labels, in addition to --data or instead of it',
    )
    .option('--resume', 'continue from the checkpoint in --out, with its own configuration');
  addConfigFlags(train, PRIOR_FLAGS);
  train.action(() => runTrain(train, context));
  prior
    .command('import')
    .description(
      'Makes a prior of a UNet2DModel that diffusers saved: the folder of the model or of its pipeline.',
    )
    .argument('<dir>', 'folder with config.json, weights as safetensors, and scheduler_config.json')
    .requiredOption('--out <file>', 'prior to write, for example prior.safetensors')
    .option('--scheduler <file>', 'scheduler_config.json, where the folder holds none')
    .option('--image-size <n>', 'side of the images; as the model says by default', atLeastOne)
    .action((dir: string, options: ImportFlags) => runImport(dir, options, context));
  prior
    .command('sample')
    .description('Draws unguided samples into a PNG.')
    .argument('<prior>', 'prior.safetensors')
    .option('--out <file>', 'PNG to write', 'samples.png')
    .option('--count <n>', 'images', atLeastOne, 64)
    .option('--steps <n>', 'denoising steps', atLeastOne, 20)
    .option('--seed <n>', 'seed of the noise', wholeNumber, 0)
    .option('--threads <n>', 'compute threads', atLeastOne, 1)
    .addOption(new Option('--device <name>', 'where to compute').choices(DEVICE_NAMES).default('auto'))
    .action((path: string, options: SampleFlags) => runSample(path, options, context));
}

interface ImportFlags {
  readonly out: string;
  readonly scheduler?: string;
  readonly imageSize?: number;
}

interface SampleFlags {
  readonly out: string;
  readonly count: number;
  readonly steps: number;
  readonly seed: number;
  readonly threads: number;
  readonly device: DeviceName;
}

async function runTrain(command: Command, { cwd, stdout, stderr }: CommandContext): Promise<void> {
  const { out, resume = false } = command.opts<{ out: string; resume?: boolean }>();
  const dir = resolve(cwd, out);
  if (resume) refuseWithResume(command, PRIOR_FLAGS, ['config', 'unlabelled'], 'the config.json in --out');
  const config = resume
    ? await readConfig(dir)
    : await configOf(command, priorConfigSchema, PRIOR_FLAGS, cwd, withUnlabelled(command, cwd));
  // Loaded late: other commands need not wait for the tensor library.
  const { priorFiles, trainPrior } = await import('../../services/prior-trainer/train.ts');
  const interrupts = listenForInterrupts((line) => stderr.write(`${line}\n`));
  const line = progressLine(stdout, {
    isTTY: stdout.isTTY === true,
    columns: stdout.columns ?? 100,
    clock: () => performance.now(),
    label: 'prior',
    total: config.steps,
  });
  try {
    const finished = await trainPrior(config, dir, {
      resume,
      signal: interrupts.signal,
      onProgress: ({ step, loss }) => line.update(step, loss),
      onImages: (text, warnings) => {
        stdout.write(`${text}\n`);
        for (const warning of warnings) stderr.write(`warning: ${warning}\n`);
      },
    });
    line.close();
    if (!finished)
      throw new Interrupted(
        interrupts.received() ?? 'SIGINT',
        `stopped; continue with: ballast prior train --resume --out ${out}`,
      );
    stdout.write(`prior: ${priorFiles(dir).model}\n`);
  } finally {
    line.close();
    interrupts.release();
  }
}

/** Adds --unlabelled. Without labelled data, training uses only the unlabelled images. */
function withUnlabelled(command: Command, cwd: string): (values: PlainObject) => PlainObject {
  const { unlabelled } = command.opts<{ unlabelled?: string[] }>();
  return (values) => {
    const paths = unlabelled?.map((path) => (path === FASHION_MNIST ? path : resolve(cwd, path)));
    const named = mergeConfig(values, { unlabelled: paths });
    const isAlone = named['unlabelled'] !== undefined && !isWritten(values, ['data', 'source']);
    return isAlone ? mergeConfig({ labelled: false }, named) : named;
  };
}

async function readConfig(dir: string): Promise<PriorConfig> {
  const path = join(dir, 'config.json');
  if (!existsSync(path)) throw new UserError(`${dir}: holds no prior to resume; start one without --resume`);
  const remedy = 'start the prior anew in another folder';
  const values = parseJsonObject(await readFile(path, 'utf8'), path, remedy);
  return parseStrict(priorConfigSchema, values, () => path);
}

async function runImport(dir: string, flags: ImportFlags, { cwd, stdout }: CommandContext): Promise<void> {
  const { out, scheduler, imageSize } = flags;
  const path = resolve(cwd, out);
  if (existsSync(path)) throw new UserError(`${out}: is there already; choose another --out`);
  const { readDiffusersFolder } = await import('../../services/prior-importer/diffusers-folder.ts');
  const { model, params } = await readDiffusersFolder(resolve(cwd, dir), {
    ...(scheduler !== undefined && { scheduler: resolve(cwd, scheduler) }),
    ...(imageSize !== undefined && { imageSize }),
  });
  await writeFileAtomic(path, encodeModelFile(model, params));
  const { height, width, channels } = model.image;
  const millions = (parameterCount(params) / 1e6).toFixed(1);
  stdout.write(`prior: ${out} (${height}×${width}×${channels} images, ${millions} million parameters)\n`);
}

async function runSample(path: string, flags: SampleFlags, { cwd, stdout }: CommandContext): Promise<void> {
  const prior = await readModelFile(resolve(cwd, path), 'denoiser');
  const { samplePrior, writeSampleGrid } = await import('../../services/prior-trainer/sample.ts');
  const images = await samplePrior(prior, { ...flags, engine: 'onnxruntime' });
  await writeSampleGrid(resolve(cwd, flags.out), images, prior.model.image);
  stdout.write(`${flags.count} samples: ${flags.out}\n`);
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0) throw new InvalidArgumentError('It must be a whole number.');
  return value;
}

function atLeastOne(text: string): number {
  const value = wholeNumber(text);
  if (value === 0) throw new InvalidArgumentError('It must be at least 1.');
  return value;
}
