// What actors print appears on the stderr of their program, and nowhere else but in their logs.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const PROGRAM = join(import.meta.dirname, 'fixtures/actors/printing.mjs');
const OWN_OUTPUT = 'RangeError: not caught\nRangeError: not caught\n42\n';

function runProgram(...args: readonly string[]) {
  return promisify(execFile)(process.execPath, [PROGRAM, ...args], { timeout: 840_000 });
}

it('from processes, threads and tasks, with errors that nobody caught', async () => {
  const { stdout, stderr } = await runProgram();
  expect(stdout).toBe(OWN_OUTPUT);
  const lines = stderr.trimEnd().split('\n');
  for (const line of lines) expect(line).toMatch(/^\([\w-]+\) /);
  const printed = lines.map((line) => line.replace(/^\((Printer|double)-\w+\) /, '$1: '));
  for (const isolation of ['process', 'thread'])
    for (const stream of ['stdout', 'stderr'])
      expect(printed).toContain(`Printer: ${isolation} to ${stream}`);
  expect(printed.filter((line) => line === 'Printer: RangeError: not caught')).toHaveLength(2);
  expect(printed.filter((line) => line.endsWith('doubles 21'))).toHaveLength(1);
  expect(stderr).not.toContain('to the log');
});

it('unless showOutput is false', async () => {
  expect(await runProgram('quiet')).toEqual({ stdout: OWN_OUTPUT, stderr: '' });
});
