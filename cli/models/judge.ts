/** `ballast judge train`: an independent classifier that judges class fidelity. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { progressLine } from '../../report/terminal/progress-line.ts';
import type { CommandContext } from '../base/context.ts';
import { addConfigFlags, JUDGE_FLAGS } from '../base/flags.ts';
import { Interrupted } from '../base/failure.ts';
import { listenForInterrupts } from '../base/interrupts.ts';
import { configOf } from './standalone-config.ts';

/** Below this accuracy on real test images a judge's word means little. */
const TRUSTED_ACCURACY = 0.9;

export function addJudgeCommand(program: Command, context: CommandContext): void {
  const judge = program.command('judge').description('Trains judges of class fidelity.');
  judge.summary('train an independent judge of synthetic images');
  const train = judge
    .command('train')
    .description(
      'Trains a classifier only on real images, for --judge of `ballast run`. Give it more data than the run has, or balanced data.',
    )
    .option('--config <file>', 'YAML or JSON file with the configuration')
    .requiredOption('--out <file>', 'model file to write');
  addConfigFlags(train, JUDGE_FLAGS);
  train.action(() => runTrain(train, context));
}

async function runTrain(command: Command, { cwd, stdout, stderr }: CommandContext): Promise<void> {
  const { out } = command.opts<{ out: string }>();
  // Loaded late: other commands need not wait for the tensor library.
  const { judgeConfigSchema, trainJudge } = await import('../../services/classifier-trainer/judge.ts');
  const config = await configOf(command, judgeConfigSchema, JUDGE_FLAGS, cwd);
  const interrupts = listenForInterrupts((line) => stderr.write(`${line}\n`));
  let line: ReturnType<typeof progressLine> | undefined;
  try {
    const metrics = await trainJudge(
      config,
      resolve(cwd, out),
      interrupts.signal,
      ({ step, steps, loss }) => {
        line ??= progressLine(stdout, {
          isTTY: stdout.isTTY === true,
          columns: stdout.columns ?? 100,
          clock: () => performance.now(),
          label: 'judge',
          total: steps,
        });
        line.update(step, loss);
      },
    );
    line?.close();
    const percent = (share: number) => `${(100 * share).toFixed(1)}%`;
    stdout.write(`judge: ${out}, ${percent(metrics.accuracy)} right on ${metrics.count} real test images\n`);
    if (metrics.accuracy < TRUSTED_ACCURACY)
      stderr.write(`warning: a judge should reach ${percent(TRUSTED_ACCURACY)} before its word counts\n`);
  } catch (thrown) {
    const received = interrupts.received();
    if (received !== null) throw new Interrupted(received, 'stopped; nothing was written');
    throw thrown;
  } finally {
    line?.close();
    interrupts.release();
  }
}
