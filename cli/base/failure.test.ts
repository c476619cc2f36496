import { mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { CommanderError } from 'commander';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { UserError } from '../../common/errors.ts';
import { describeFailure, Interrupted, RunFailed, writeTemporaryLog } from './failure.ts';

const failure = (thrown: unknown, isDebug = false) => describeFailure(thrown, isDebug, () => '/tmp/log');

describe('describeFailure', () => {
  it('gives a user’s mistake one line and no stack', () => {
    expect(failure(new UserError('a.yaml:3: seed is -1;\n  it must be 0'))).toEqual({
      lines: ['error: a.yaml:3: seed is -1; it must be 0'],
      exitCode: 1,
    });
  });

  it('calls a defect a bug and names the log', () => {
    const { lines, exitCode } = failure(new Error('undefined is no function'));
    expect(exitCode).toBe(1);
    expect(lines).toHaveLength(2);
    expect(lines[1]).toContain('it is a bug: please report it with /tmp/log');
    expect(failure(new RunFailed('x', 'runs/a/logs')).lines[1]).toContain('report it with runs/a/logs');
  });

  it('shows the stack, causes too, on demand', () => {
    const text = failure(new Error('outer', { cause: new Error('inner') }), true).lines.join('\n');
    expect(text).toContain('failure.test.ts');
    expect(text).toContain('caused by:\nError: inner');
  });

  it('says that the disk is full', () => {
    const error = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
    expect(failure(error)).toEqual({
      lines: [expect.stringContaining('the disk is full') as string],
      exitCode: 1,
    });
  });

  it('exits with 2 for wrong usage, 0 for help, 130 and 143 for signals', () => {
    expect(failure(new CommanderError(1, 'commander.unknownOption', 'x')).exitCode).toBe(2);
    expect(failure(new CommanderError(0, 'commander.helpDisplayed', 'x')).exitCode).toBe(0);
    expect(failure(new Interrupted('SIGINT', 'Stopped'))).toEqual({ lines: ['Stopped'], exitCode: 130 });
    expect(failure(new Interrupted('SIGTERM', 'Stopped')).exitCode).toBe(143);
  });
});

describe('the log of unexpected errors', () => {
  it('is a new file that nobody else can read, whatever lies in the folder for temporary files', () => {
    const folder = mkdtempSync(join(tmpdir(), 'ballast-failure-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    vi.stubEnv('TMPDIR', folder);
    onTestFinished(() => void vi.unstubAllEnvs());
    const victim = join(folder, 'victim');
    writeFileSync(victim, 'precious');
    symlinkSync(victim, join(folder, `ballast-error-${process.pid}.log`)); // where it was written once
    const [first, second] = [writeTemporaryLog('a stack'), writeTemporaryLog('another')];
    expect(readFileSync(victim, 'utf8')).toBe('precious');
    expect(readFileSync(first, 'utf8')).toBe('a stack\n');
    expect(statSync(first).mode & 0o777).toBe(0o600);
    expect(statSync(dirname(first)).mode & 0o777).toBe(0o700);
    expect(second).not.toBe(first);
  });

  it('repeats no control characters of names in its line', () => {
    const thrown = new UserError('no class \u001b]0;owned\u0007\u001b[31mcat\nerror: none');
    expect(describeFailure(thrown, false, () => '').lines).toEqual(['error: no class cat error: none']);
  });
});
