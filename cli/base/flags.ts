/**
 * Flags of `run`, `compare` and `data`, each bound to a field of the run's configuration. Values are only turned into
 * numbers here; whether they are allowed is the configuration's to say, by the field's name.
 */
import { type Command, Option } from 'commander';
import { parse as parseYaml } from 'yaml';
import { DEVICE_NAMES, ENGINE_NAMES } from '../../common/engine-names.ts';
import { toError, UserError } from '../../common/errors.ts';
import { PRESET_NAMES } from '../../config/method.ts';
import { mergeConfig, nested, type PlainObject } from '../../config/merge.ts';
import { EXIT } from './failure.ts';

export interface Flag {
  readonly flags: string;
  readonly path: readonly string[];
  readonly help: string;
  readonly parse?: (text: string) => unknown;
}

export const DATA_FLAGS: readonly Flag[] = [
  {
    flags: '--data <path>',
    path: ['data', 'source'],
    help: "'fashion-mnist', or a folder, CSV, NPZ or IDX file",
  },
  { flags: '--format <name>', path: ['data', 'format'], help: 'auto, image-folder, csv, npz or idx' },
  {
    flags: '--image-size <px>',
    path: ['data', 'imageSize'],
    help: 'resize images to this side',
    parse: number,
  },
  {
    flags: '--resize <how>',
    path: ['data', 'resize'],
    help: 'crop (the middle), pad (black beside) or fit (stretch), for images that are not square',
  },
  { flags: '--channels <n>', path: ['data', 'channels'], help: '1 grey, 3 colour', parse: number },
  {
    flags: '--test <path>',
    path: ['data', 'test'],
    help: 'test images, if the data has no test split',
  },
  {
    flags: '--test-fraction <x>',
    path: ['data', 'testFraction'],
    help: 'use this share of every class as test images, whole groups, if there is no test split',
    parse: number,
  },
  {
    flags: '--validation <rule>',
    path: ['data', 'validation'],
    help: "'train:0.1', 'unused:1000' (left out by --long-tail) or 'none'",
    parse: validation,
  },
  {
    flags: '--long-tail <ratio>',
    path: ['data', 'longTail', 'ratio'],
    help: 'make an exponential long tail: largest class / smallest class',
    parse: number,
  },
  {
    flags: '--largest <n>',
    path: ['data', 'longTail', 'largest'],
    help: 'images of the largest class of the long tail',
    parse: number,
  },
  {
    flags: '--on-bad-image <what>',
    path: ['data', 'onBadImage'],
    help: 'skip or fail, on images that cannot be read',
  },
  {
    flags: '--csv-images <dir>',
    path: ['data', 'csv', 'images'],
    help: 'folder of the images that a CSV names',
  },
  { flags: '--csv-id <column>', path: ['data', 'csv', 'idColumn'], help: 'CSV column of image names' },
  { flags: '--csv-label <column>', path: ['data', 'csv', 'labelColumn'], help: 'CSV column of labels' },
  {
    flags: '--csv-group <column>',
    path: ['data', 'csv', 'groupColumn'],
    help: 'CSV column of groups (lesion, patient) that no split may cut',
  },
  {
    flags: '--csv-split <column>',
    path: ['data', 'csv', 'splitColumn'],
    help: 'CSV column with train, validation, test',
  },
  {
    flags: '--csv-missing-labels <what>',
    path: ['data', 'csv', 'missingLabels'],
    help: 'fail or skip, on rows without a label or with several',
  },
];

const METHOD_FLAG: Flag = {
  flags: '--method <name>',
  path: ['method'],
  help: `${PRESET_NAMES.join(', ')}, joined by + (iois+logit-adjust)`,
};

const SEED_FLAG: Flag = {
  flags: '--seed <n>',
  path: ['seed'],
  help: 'seed of everything random',
  parse: number,
};

const COMMON_FLAGS: readonly Flag[] = [
  {
    flags: '--prior <file>',
    path: ['prior'],
    help: 'diffusion prior (safetensors) for methods that make images',
  },
  {
    flags: '--judge <file>',
    path: ['judge'],
    help: 'independent classifier that reports class fidelity each epoch',
  },
  { flags: '--epochs <n>', path: ['training', 'epochs'], help: 'epochs', parse: number },
  {
    flags: '--batch-size <n>',
    path: ['training', 'batchSize'],
    help: 'images of a training step',
    parse: number,
  },
  {
    flags: '--learning-rate <x>',
    path: ['training', 'learningRate'],
    help: 'peak learning rate',
    parse: number,
  },
  { flags: '--budget <n>', path: ['synthesis', 'budget'], help: 'synthetic images an epoch', parse: number },
  { flags: '--start <where>', path: ['synthesis', 'start'], help: 'anchored (real images, noised) or noise' },
  {
    flags: '--start-time <t>',
    path: ['synthesis', 'startTime'],
    help: 'noise level of anchors, in (0, 1]',
    parse: number,
  },
  { flags: '--steps <n>', path: ['synthesis', 'steps'], help: 'denoising steps', parse: number },
  { flags: '--sampler <name>', path: ['synthesis', 'sampler'], help: 'ddim or dpmpp-2m' },
  {
    flags: '--guidance <rule>',
    path: ['synthesis', 'guidance', 'rule'],
    help: 'normalized, released-noisy, released-x0 or none',
  },
  {
    flags: '--guidance-scale <x>',
    path: ['synthesis', 'guidance', 'scale'],
    help: 'strength of guidance',
    parse: number,
  },
  {
    flags: '--sampling-rule <name>',
    path: ['adaptiveSampling', 'rule'],
    help: 'softmax, released, uniform or inverse-frequency',
  },
  {
    flags: '--workers <n>',
    path: ['workers'],
    help: 'diffusion workers (changes speed only)',
    parse: number,
  },
  { flags: '--threads <n>', path: ['threads'], help: 'compute threads of each process', parse: number },
  { flags: '--engine <name>', path: ['engine'], help: ENGINE_NAMES.join(', ') },
  { flags: '--device <name>', path: ['device'], help: DEVICE_NAMES.join(', ') },
];

export const RUN_FLAGS: readonly Flag[] = [...DATA_FLAGS, METHOD_FLAG, SEED_FLAG, ...COMMON_FLAGS];
/** Without the method and the seed, which a comparison names in plural. */
export const COMPARE_FLAGS: readonly Flag[] = [...DATA_FLAGS, ...COMMON_FLAGS];

const ENGINE_FLAGS = COMMON_FLAGS.filter(({ path }) => ['threads', 'engine', 'device'].includes(path[0]!));

export const PRIOR_FLAGS: readonly Flag[] = [
  ...DATA_FLAGS,
  { flags: '--steps <n>', path: ['steps'], help: 'optimiser steps', parse: number },
  { flags: '--batch-size <n>', path: ['batchSize'], help: 'images of a training step', parse: number },
  { flags: '--learning-rate <x>', path: ['learningRate'], help: 'peak learning rate', parse: number },
  {
    flags: '--sample-every <n>',
    path: ['sampleEvery'],
    help: 'steps between pictures of samples',
    parse: number,
  },
  SEED_FLAG,
  ...ENGINE_FLAGS,
];

export const JUDGE_FLAGS: readonly Flag[] = [
  ...DATA_FLAGS,
  ...COMMON_FLAGS.filter(({ path }) => path[0] === 'training'),
  SEED_FLAG,
  ...ENGINE_FLAGS,
];

/** Adds the flags to a command, in groups of its help, with `--set` for every other field. */
export function addConfigFlags(command: Command, flags: readonly Flag[]): Command {
  for (const flag of flags) command.addOption(optionOf(flag));
  return command.addOption(
    new Option(
      '--set <field=value>',
      'any field of the configuration, as synthesis.shardSize=16 (repeatable)',
    )
      .argParser((text: string, before: PlainObject | undefined) =>
        mergeConfig(before ?? {}, parseSetting(text)),
      )
      .helpGroup('Configuration:'),
  );
}

/** The user's flags as part of a configuration. `--set` wins over the other flags. */
export function configFromFlags(command: Command, flags: readonly Flag[]): PlainObject {
  const options = command.opts<PlainObject>();
  const given = flags
    .map((flag) => ({ path: flag.path, value: options[optionOf(flag).attributeName()] }))
    .filter(({ value }) => value !== undefined);
  const layers = given.map(({ path, value }) => nested(path, value));
  return [...layers, (options['set'] ?? {}) as PlainObject].reduce(mergeConfig, {});
}

/** Names of the flags that the user gave, as `--budget`. */
export function givenFlags(command: Command, flags: readonly Flag[]): string[] {
  const options = command.opts<PlainObject>();
  const names = flags
    .map(optionOf)
    .filter((option) => options[option.attributeName()] !== undefined)
    .map((option) => option.long ?? option.flags);
  return options['set'] === undefined ? names : [...names, '--set'];
}

/**
 * Ends the command where flags of the configuration, or the options `others` (`config` for --config), are given beside
 * --resume, which takes the configuration of `source`.
 */
export function refuseWithResume(
  command: Command,
  flags: readonly Flag[],
  others: readonly string[],
  source: string,
): void {
  const options = command.opts<PlainObject>();
  const refused = [
    ...others.filter((name) => options[name] !== undefined).map((name) => `--${name}`),
    ...givenFlags(command, flags),
  ];
  if (refused.length > 0)
    command.error(`error: ${refused.join(', ')} cannot go with --resume: ${source} rules`, {
      exitCode: EXIT.usage,
      code: 'ballast.resume',
    });
}

function optionOf({ flags, path, help, parse }: Flag): Option {
  const option = new Option(flags, help).helpGroup(path[0] === 'data' ? 'Data:' : 'Configuration:');
  return parse ? option.argParser(parse) : option;
}

/** `a.b=1` as `{a: {b: 1}}`; the value is read as YAML. */
function parseSetting(text: string): PlainObject {
  const equals = text.indexOf('=');
  if (equals <= 0) throw new UserError(`--set ${text}: write field=value, as synthesis.shardSize=16`);
  const path = text.slice(0, equals).trim().split('.');
  try {
    return nested(path, parseYaml(text.slice(equals + 1)));
  } catch (thrown) {
    throw new UserError(`--set ${text}: ${toError(thrown).message.split('\n', 1)[0]}`, { cause: thrown });
  }
}

/** A number where the text is one; otherwise the text, for the configuration to refuse by name. */
function number(text: string): unknown {
  return text.trim() === '' || Number.isNaN(Number(text)) ? text : Number(text);
}

function validation(text: string): unknown {
  const [from, size] = text.split(':');
  if (from === 'train') return size === undefined ? { from } : { from, fraction: number(size) };
  if (from === 'unused') return size === undefined ? { from } : { from, limit: number(size) };
  return { from };
}
