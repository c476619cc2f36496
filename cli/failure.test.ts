import { CommanderError } from 'commander';
import { describe, expect, it } from 'vitest';
import { UserError } from '../common/errors.ts';
import { describeFailure, Interrupted, RunFailed } from './failure.ts';

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
