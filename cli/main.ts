#!/usr/bin/env node
/** The `ballast` command. */
import { describeFailure, EXIT, writeTemporaryLog } from './base/failure.ts';
import { keepExitCode } from './base/interrupts.ts';
import { createProgram } from './program.ts';

/** Run folders are 0700, models, logs and downloads 0600; processes that it starts inherit it. */
const PRIVATE_UMASK = 0o077;

/** Runs the command line; returns the exit code. */
async function run(): Promise<number> {
  const context = { stdout: process.stdout, stderr: process.stderr, cwd: process.cwd() };
  try {
    const program = await createProgram(context, process.argv[2]);
    await program.parseAsync();
    return EXIT.ok;
  } catch (thrown) {
    const isDebug = process.env.BALLAST_DEBUG === '1';
    const { lines, exitCode } = describeFailure(thrown, isDebug, writeTemporaryLog);
    for (const line of lines) process.stderr.write(`${line}\n`);
    return exitCode;
  }
}

process.umask(PRIVATE_UMASK);
// `ballast … | head` closes the pipe early; that is not a failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) =>
  process.exit(error.code === 'EPIPE' ? EXIT.ok : 1),
);
/** Resolves when the command has ended. */
export const main = run().then((exitCode) => {
  process.exitCode = exitCode;
  keepExitCode(exitCode);
});
