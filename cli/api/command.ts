/** The common parts of commands that call a coordinator: connection flags, a client, errors in one line. */
import type { Command } from 'commander';
import { type Api, withApi } from './client.ts';
import { API_TOKEN_KEY, type ApiFlags, readApiTarget, SERVER_KEY } from './target.ts';
import { CommandOutput } from '../base/command-output.ts';
import type { CommandContext } from '../base/context.ts';

export interface CommonFlags extends ApiFlags {
  readonly json?: boolean;
}

/** The tools of a command, in addition to its flags and argument. */
export interface ApiWork<Flags> {
  readonly api: Api;
  readonly flags: Flags;
  readonly output: CommandOutput;
  readonly context: CommandContext;
  /** The argument, or '' where it is left out. */
  readonly argument: string;
}

/** A command that calls a coordinator. */
export function apiCommand<Flags extends CommonFlags>(
  program: Command,
  context: CommandContext,
  usage: string,
  help: string,
  work: (work: ApiWork<Flags>) => Promise<void>,
): Command {
  const command = program
    .command(usage)
    .summary(help)
    .description(`${help[0]!.toUpperCase()}${help.slice(1)}.`);
  command
    .option('--server <address>', `HOST:PORT of a coordinator's API (default: ${SERVER_KEY})`)
    .option('--token-file <file>', `file that holds the API token (default: ${API_TOKEN_KEY})`)
    .option('--json', 'print JSON: one object, or one per line');
  return command.action(async (...given: unknown[]) => {
    const argument = typeof given[0] === 'string' ? given[0] : '';
    const flags = command.opts<Flags>();
    const output = new CommandOutput(context, flags.json === true);
    const target = readApiTarget(flags, process.env, context.cwd);
    await withApi(target, (api) => work({ api, flags, output, context, argument }));
  });
}

export function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  ballast ${line}\n`).join('')}`;
}

/** `runs/{run}` of an id or a name. */
export function runName(text: string): string {
  return text.startsWith('runs/') ? text : `runs/${text}`;
}
