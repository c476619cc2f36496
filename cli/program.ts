/** The command line: every command of `ballast`. */
import { Command } from 'commander';
import { packageVersion } from '../common/package-root.ts';
import type { CommandContext } from './base/context.ts';

type AddCommands = (program: Command, context: CommandContext) => void;

/** Commands by the module that has them, which takes a while to load: only what is called is loaded, or all for a list. */
export const COMMANDS: readonly {
  readonly names: readonly string[];
  readonly load: () => Promise<AddCommands>;
}[] = [
  { names: ['run'], load: async () => (await import('./run/command.ts')).addRunCommand },
  { names: ['compare'], load: async () => (await import('./study/compare.ts')).addCompareCommand },
  { names: ['study'], load: async () => (await import('./study/command.ts')).addStudyCommand },
  { names: ['demo'], load: async () => (await import('./study/compare.ts')).addDemoCommand },
  { names: ['report'], load: async () => (await import('./run/report.ts')).addReportCommand },
  { names: ['dashboard'], load: async () => (await import('./dashboard/command.ts')).addDashboardCommand },
  { names: ['prior'], load: async () => (await import('./models/prior.ts')).addPriorCommand },
  { names: ['judge'], load: async () => (await import('./models/judge.ts')).addJudgeCommand },
  { names: ['data'], load: async () => (await import('./data/command.ts')).addDataCommand },
  { names: ['coordinator'], load: async () => (await import('./api/coordinator.ts')).addCoordinatorCommand },
  { names: ['controller'], load: async () => (await import('./api/controller.ts')).addControllerCommand },
  {
    names: ['submit', 'watch', 'runs', 'cancel', 'resume', 'delete', 'predictions', 'model', 'synthesize'],
    load: async () => (await import('./api/commands.ts')).addApiCommands,
  },
  { names: ['node'], load: async () => (await import('./cluster/node.ts')).addNodeCommand },
  {
    names: ['status', 'nodes', 'actors', 'objects', 'events', 'logs', 'kill', 'stop', 'drain'],
    load: async () => (await import('./cluster/commands.ts')).addClusterCommands,
  },
  { names: ['token'], load: async () => (await import('./api/token.ts')).addTokenCommand },
];

const DESCRIPTION =
  'Trains fair image classifiers from imbalanced data: while a classifier learns, a diffusion model steered by its ' +
  'gradients makes the images that it still gets wrong.';

/**
 * The program with the command `wanted`, or with all commands if none has that name; parsing throws CommanderError
 * instead of ending the process.
 */
export async function createProgram(context: CommandContext, wanted: string | undefined): Promise<Command> {
  const program = new Command('ballast')
    .description(DESCRIPTION)
    .version(packageVersion(), '-V, --version', 'print the version')
    .helpCommand('help [command]', 'show the help of a command')
    .showHelpAfterError('(ballast help COMMAND lists what is allowed)')
    .configureOutput({
      writeOut: (text) => void context.stdout.write(text),
      writeErr: (text) => void context.stderr.write(text),
    });
  program.exitOverride();
  program.configureHelp({ showGlobalOptions: false });
  const called = COMMANDS.filter(({ names }) => names.some((name) => name === wanted));
  for (const { load } of called.length > 0 ? called : COMMANDS) (await load())(program, context);
  return program;
}
