/** The command line: every command of `ballast`. */
import { Command } from 'commander';
import { packageVersion } from '../common/package-root.ts';
import { addClusterCommands } from './cluster-commands.ts';
import { addCompareCommand, addDemoCommand } from './compare.ts';
import type { CommandContext } from './context.ts';
import { addCoordinatorCommand } from './coordinator.ts';
import { addDataCommand } from './data.ts';
import { addJudgeCommand } from './judge.ts';
import { addNodeCommand } from './node.ts';
import { addPriorCommand } from './prior.ts';
import { addReportCommand } from './report.ts';
import { addRunCommand } from './run.ts';
import { addTokenCommand } from './token.ts';

const DESCRIPTION =
  'Trains fair image classifiers from imbalanced data: while a classifier learns, a diffusion model steered by its ' +
  'gradients makes the images that it still gets wrong.';

/** The program; parsing throws CommanderError in place of ending the process. */
export function createProgram(context: CommandContext): Command {
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
  addRunCommand(program, context);
  addCompareCommand(program, context);
  addDemoCommand(program, context);
  addReportCommand(program, context);
  addPriorCommand(program, context);
  addJudgeCommand(program, context);
  addDataCommand(program, context);
  addCoordinatorCommand(program, context);
  addNodeCommand(program, context);
  addClusterCommands(program, context);
  addTokenCommand(program, context);
  return program;
}
