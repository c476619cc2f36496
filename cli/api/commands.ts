/** `ballast submit`, `watch`, `runs`, `cancel`, `resume`, `delete`, `model`, `predictions`, `synthesize`: runs of a coordinator, for people. */
import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { UserError } from '../../common/errors.ts';
import type { Run__Output } from '../../gen/ballast/v1/Run.ts';
import { count } from '../../report/format.ts';
import type { Api } from './client.ts';
import { apiCommand, type ApiWork, type CommonFlags, examples, runName } from './command.ts';
import { downloadImages, downloadModel, downloadPredictions, type ModelFormat } from './download.ts';
import { toJson } from './json.ts';
import { addSubmitCommand } from './submit.ts';
import { hasEnded, runDetails, runIdOf, runTable, stateOf } from './tables.ts';
import { watchToEnd } from './watch.ts';
import { parseCount } from '../cluster/commands.ts';
import type { CommandContext } from '../base/context.ts';
import { Interrupted } from '../base/failure.ts';
import { listenForInterrupts } from '../base/interrupts.ts';

interface RunsFlags extends CommonFlags {
  readonly filter?: string;
  readonly orderBy?: string;
}

interface PredictionsFlags extends CommonFlags {
  readonly out: string;
  readonly split: 'validation' | 'test';
}

interface WatchFlags extends CommonFlags {
  readonly from: string;
}

interface ModelFlags extends CommonFlags {
  readonly out: string;
  readonly format: 'safetensors' | 'onnx';
}

interface SynthesizeFlags extends CommonFlags {
  readonly class: string;
  readonly count: string;
  readonly seed: string;
  readonly guidance?: string;
  readonly out: string;
}

const FORMATS: Readonly<Record<ModelFlags['format'], ModelFormat>> = {
  safetensors: 'FORMAT_SAFETENSORS',
  onnx: 'FORMAT_ONNX',
};
const PAGE_SIZE = 500;
/** Cancelling waits for the run's processes; longer than the server's own limit. */
const CANCEL_DEADLINE_MS = 130_000;

export function addApiCommands(program: Command, context: CommandContext): void {
  addSubmitCommand(program, context);
  addRunCommands(program, context);
  addDownloadCommands(program, context);
  addSynthesizeCommand(program, context);
}

function addRunCommands(program: Command, context: CommandContext): void {
  apiCommand<WatchFlags>(program, context, 'watch <run>', 'show the events of a run, until it ends', watch)
    .option('--from <sequence>', 'first event to show', '1')
    .addHelpText('after', examples('watch photos', 'watch runs/photos --json --from 120'));
  apiCommand<RunsFlags>(program, context, 'runs [run]', 'list the runs of a coordinator, or show one', runs)
    .option('--filter <conditions>', "for example 'state = RUNNING AND labels.team = vision'")
    .option('--order-by <fields>', "for example 'test.balanced_accuracy desc' (default: newest first)")
    .addHelpText('after', examples('runs', "runs --filter 'state = RUNNING'", 'runs photos --json'));
  apiCommand(program, context, 'cancel <run>', 'stop a run; complete epochs are kept', cancel) //
    .addHelpText('after', examples('cancel photos'));
  apiCommand(program, context, 'resume <run>', 'queue a cancelled or failed run again', resume) //
    .addHelpText('after', examples('resume photos'));
  apiCommand(program, context, 'delete <run>', 'delete a run that has ended, with all that it made', remove) //
    .addHelpText('after', examples('delete photos'));
}

function addDownloadCommands(program: Command, context: CommandContext): void {
  apiCommand<PredictionsFlags>(
    program,
    context,
    'predictions <run>',
    'download the predictions of a finished run’s classifier for each image',
    predictions,
  )
    .requiredOption('--out <file>', 'CSV file to write')
    .addOption(
      new Option('--split <name>', 'split of the images').choices(['validation', 'test']).default('test'),
    )
    .addHelpText('after', examples('predictions photos --out photos.csv'));
  apiCommand<ModelFlags>(program, context, 'model <run>', 'download the classifier of a finished run', model)
    .requiredOption('--out <file>', 'file to write')
    .addOption(
      new Option('--format <name>', 'file format').choices(Object.keys(FORMATS)).default('safetensors'),
    )
    .addHelpText(
      'after',
      examples('model photos --out photos.safetensors', 'model photos --format onnx --out photos.onnx'),
    );
}

function addSynthesizeCommand(program: Command, context: CommandContext): void {
  apiCommand<SynthesizeFlags>(
    program,
    context,
    'synthesize <run>',
    'make images of a class, guided by a run’s classifier',
    synthesize,
  )
    .requiredOption('--class <name>', 'class to make')
    .requiredOption('--count <n>', 'images to make')
    .requiredOption('--out <dir>', 'folder of the images: CLASS-00001.png, CLASS-00002.png, …')
    .option('--seed <n>', 'equal seeds give equal images', '0')
    .option('--guidance <x>', "strength of guidance (default: the run's own; 0 is unguided)")
    .addHelpText('after', examples('synthesize photos --class cat --count 20 --seed 7 --out cats'));
}

function watch({ api, flags, output, context, argument }: ApiWork<WatchFlags>): Promise<void> {
  const fromSequence = parseCount('--from', flags.from, 1);
  return watchToEnd(api, { name: runName(argument), fromSequence, isJson: output.isJson, context });
}

async function runs({ api, flags, output, argument }: ApiWork<RunsFlags>): Promise<void> {
  if (argument !== '') {
    for (const [flag, value] of [
      ['--filter', flags.filter],
      ['--order-by', flags.orderBy],
    ] as const)
      if (value !== undefined)
        throw new UserError(`${flag} applies to the list of runs; give either ${flag} or a run`);
    const run = await api.getRun({ name: runName(argument) });
    if (output.isJson) output.json(toJson(run));
    else output.text(runDetails(run, Date.now()));
    return;
  }
  const all = await listRuns(api, { filter: flags.filter ?? '', orderBy: flags.orderBy ?? '' });
  if (output.isJson) for (const run of all) output.json(toJson(run));
  else if (all.length > 0) output.text(runTable(all, Date.now()));
  else output.text(flags.filter === undefined ? 'no runs\n' : 'no such runs\n');
}

/** All runs that a filter means. */
async function listRuns(
  api: Api,
  wanted: { readonly filter: string; readonly orderBy: string },
): Promise<Run__Output[]> {
  const all: Run__Output[] = [];
  let pageToken = '';
  do {
    const page = await api.listRuns({ ...wanted, pageToken, pageSize: PAGE_SIZE });
    all.push(...page.runs);
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return all;
}

async function cancel({ api, output, argument }: ApiWork<CommonFlags>): Promise<void> {
  const run = await api.cancelRun({ name: runName(argument) }, { deadlineMs: CANCEL_DEADLINE_MS });
  const line =
    run.state === 'STATE_CANCELLED'
      ? `cancelled after epoch ${run.epoch} of ${run.epochs}; \`ballast resume ${runIdOf(run)}\` continues it`
      : `had ended already: ${stateOf(run)}`;
  output.say(`${run.name}: ${hasEnded(run) ? line : stateOf(run)}`, toJson(run));
}

async function resume({ api, output, argument }: ApiWork<CommonFlags>): Promise<void> {
  const run = await api.resumeRun({ name: runName(argument) });
  const line = `${stateOf(run)}, from epoch ${run.epoch + 1}; \`ballast watch ${runIdOf(run)}\` shows it`;
  output.say(`${run.name}: ${line}`, toJson(run));
}

async function remove({ api, output, argument }: ApiWork<CommonFlags>): Promise<void> {
  const name = runName(argument);
  await api.deleteRun({ name });
  output.say(`${name}: deleted`, { name });
}

async function predictions({
  api,
  flags,
  output,
  context,
  argument,
}: ApiWork<PredictionsFlags>): Promise<void> {
  const path = resolve(context.cwd, flags.out);
  const split = flags.split === 'test' ? 'SPLIT_TEST' : 'SPLIT_VALIDATION';
  await interruptible('Stopped; nothing was written.', async (signal) => {
    const onLost = () => output.warn('connection lost; the download continues when it is back');
    const got = await downloadPredictions(api, { name: runName(argument), split, path }, { signal, onLost });
    output.say(`${flags.out}: ${count(got.sizeBytes)} bytes, SHA-256 ${got.sha256}`, got);
  });
}

async function model({ api, flags, output, context, argument }: ApiWork<ModelFlags>): Promise<void> {
  const path = resolve(context.cwd, flags.out);
  const request = { name: runName(argument), format: FORMATS[flags.format], path };
  await interruptible('Stopped; nothing was written.', async (signal) => {
    const onLost = () => output.warn('connection lost; the download continues when it is back');
    const got = await downloadModel(api, request, { signal, onLost });
    output.say(`${flags.out}: ${count(got.sizeBytes)} bytes, SHA-256 ${got.sha256}`, got);
  });
}

async function synthesize({
  api,
  flags,
  output,
  context,
  argument,
}: ApiWork<SynthesizeFlags>): Promise<void> {
  const request = {
    run: runName(argument),
    className: flags.class,
    count: parseCount('--count', flags.count, 1),
    seed: parseCount('--seed', flags.seed, 0),
    ...(flags.guidance === undefined ? {} : { guidanceScale: parseScale(flags.guidance) }),
  };
  const dir = resolve(context.cwd, flags.out);
  await interruptible('Stopped; images that are written stay.', async (signal) => {
    let written = 0;
    for await (const path of downloadImages(api, request, dir, signal)) {
      written++;
      if (output.isJson) output.json({ path });
    }
    if (!output.isJson) output.text(`${flags.out}: ${count(written)} images of ${flags.class}\n`);
  });
}

/** Does work that Ctrl-C cancels, and says `message` then. */
async function interruptible(message: string, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const interrupts = listenForInterrupts(() => undefined);
  try {
    await work(interrupts.signal);
  } catch (thrown) {
    const name = interrupts.received();
    throw name === null ? thrown : new Interrupted(name, message);
  } finally {
    interrupts.release();
  }
}

function parseScale(text: string): number {
  const scale = text === '' ? NaN : Number(text);
  if (Number.isFinite(scale) && scale >= 0) return scale;
  throw new UserError(`--guidance ${text}: it must be a number of at least 0`);
}
