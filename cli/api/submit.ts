/**
 * `ballast submit`: submits a run to a coordinator. The configuration is sent as written: paths are the server's, and
 * the server reports invalid fields, which are then named with their place in the file.
 */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { UserError } from '../../common/errors.ts';
import { type ConfigSource, layerFlags, loadConfigFile } from '../../config/load.ts';
import type { FieldPath } from '../../config/validation.ts';
import { toStruct } from '../../coordinator/api/struct.ts';
import type { Run__Output } from '../../gen/ballast/v1/Run.ts';
import { errorInfoOf } from './client.ts';
import { apiCommand, type ApiWork, type CommonFlags, examples } from './command.ts';
import { toJson } from './json.ts';
import { runIdOf, stateOf } from './tables.ts';
import { watchToEnd } from './watch.ts';
import type { CommandContext } from '../base/context.ts';
import { addConfigFlags, configFromFlags, RUN_FLAGS } from '../base/flags.ts';

interface SubmitFlags extends CommonFlags {
  readonly config?: string;
  readonly id?: string;
  readonly weight?: string;
  readonly label: readonly string[];
  readonly requestId?: string;
  readonly watch?: boolean;
}

export function addSubmitCommand(program: Command, context: CommandContext): void {
  const command: Command = apiCommand<SubmitFlags>(
    program,
    context,
    'submit',
    'give a coordinator a run to do',
    (work) => submit(command, work),
  )
    .description(
      'Submits a run to a coordinator. Flags override the configuration file. Paths (--data, --prior, …) are paths on ' +
        'the server, relative to its data folders.',
    )
    .option('--config <file>', 'YAML or JSON file with the configuration')
    .option('--id <id>', 'id of the run (default: made from method and time)')
    .option('--weight <x>', 'share of the workers, relative to other runs (default: 1)')
    .option('--label <name=value>', 'label to find the run by; repeatable', collect, [])
    .option('--request-id <id>', 'a repeated submission with the same id makes no second run')
    .option('--watch', 'show its progress until it ends')
    .addHelpText(
      'after',
      examples(
        'submit --config run.yaml --id photos --watch',
        'submit --data photos --prior photos.safetensors --method iois+logit-adjust --label team=vision',
        'submit --config run.yaml --set training.epochs=30 --request-id nightly-2026-11-25 --json',
      ),
    );
  addConfigFlags(command, RUN_FLAGS);
}

async function submit(
  command: Command,
  { api, flags, output, context }: ApiWork<SubmitFlags>,
): Promise<void> {
  if (flags.id === '') throw new UserError('--id: is empty; give one, or leave it out for a made one');
  const file = flags.config === undefined ? null : await loadConfigFile(resolve(context.cwd, flags.config));
  const source = layerFlags(file, configFromFlags(command, RUN_FLAGS));
  const request = {
    runId: flags.id ?? '',
    config: toStruct(source.values),
    weight: parseWeight(flags.weight),
    labels: parseLabelFlags(flags.label),
    requestId: flags.requestId ?? '',
  };
  let run: Run__Output;
  try {
    run = await api.createRun(request);
  } catch (thrown) {
    throw withPlace(thrown, source);
  }
  const isWatched = flags.watch === true;
  const advice = isWatched ? '' : `; \`ballast watch ${runIdOf(run)}\` shows it`;
  if (!isWatched || !output.isJson) output.say(`${run.name}: ${stateOf(run)}${advice}`, toJson(run));
  if (isWatched) await watchToEnd(api, { name: run.name, fromSequence: 1, isJson: output.isJson, context });
}

/** The server's word about a field of the configuration, with the field's place in the file. */
function withPlace(thrown: unknown, { locate }: ConfigSource): unknown {
  const info = errorInfoOf(thrown);
  const field = info?.metadata['field'] ?? '';
  if (!(thrown instanceof Error) || !field.startsWith('config.')) return thrown;
  const own = field.slice('config.'.length);
  const message = thrown.message.replace(/^config\./, '');
  const isNamedTwice = message.startsWith(`${own}: ${own}`);
  const problem = isNamedTwice ? message.slice(own.length + 2) : message;
  return new UserError(`${locate(parsePath(own))}: ${problem}`, { cause: thrown });
}

/** `a.b[2]` as a path. */
function parsePath(text: string): FieldPath {
  return [...text.matchAll(/([^.[\]]+)|\[(\d+)\]/g)].map(([, name, index]) => name ?? Number(index));
}

function parseWeight(text: string | undefined): number {
  if (text === undefined) return 0;
  const weight = text === '' ? NaN : Number(text);
  if (Number.isFinite(weight) && weight > 0) return weight;
  throw new UserError(`--weight ${text}: it must be a number above 0`);
}

/** `name=value` flags; a later one of the same name wins. */
export function parseLabelFlags(given: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    given.map((text) => {
      const equals = text.indexOf('=');
      if (equals < 1) throw new UserError(`--label ${text}: write name=value`);
      return [text.slice(0, equals), text.slice(equals + 1)];
    }),
  );
}

function collect(value: string, previous: readonly string[]): string[] {
  return [...previous, value];
}
