import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { describeFailure } from './base/failure.ts';
import { COMMANDS, createProgram } from './program.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'ballast-cli-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

/** Output and exit code of a command, without a process. */
async function ballast(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  let out = '';
  let err = '';
  const stdout = { write: (text: string) => void (out += text) };
  const stderr = { write: (text: string) => void (err += text) };
  try {
    const program = await createProgram({ stdout, stderr, cwd: dir }, args[0]);
    await program.parseAsync(args, { from: 'user' });
    return { code: 0, out, err };
  } catch (thrown) {
    const { lines, exitCode } = describeFailure(thrown, false, () => 'log');
    return { code: exitCode, out, err: err + lines.join('\n') };
  }
}

describe('usage', () => {
  it('prints the version and the help', async () => {
    expect(await ballast('--version')).toEqual({ code: 0, out: '0.1.0\n', err: '' });
    const help = await ballast('--help');
    expect(help.code).toBe(0);
    for (const name of ['run', 'compare', 'demo', 'report', 'data']) expect(help.out).toContain(`  ${name} `);
    expect((await ballast('run', '--help')).out).toContain('--budget <n>');
  });

  it.each(COMMANDS)('finds $names by their names', async ({ names, load }) => {
    const program = new Command();
    (await load())(program, { stdout: process.stdout, stderr: process.stderr, cwd: dir });
    expect(program.commands.map((command) => command.name())).toEqual(names);
  });

  it.each([
    [['run', '--budgte', '5'], 'Did you mean --budget?'],
    [['rnu'], 'Did you mean run?'],
    [['compare', '--out', 'x'], '--methods'],
    [['run', '--resume', 'x', '--budget', '5'], '--budget cannot go with --resume'],
    [
      ['prior', 'train', '--resume', '--out', 'p', '--config', 'c.yaml', '--unlabelled', 'u', '--steps', '9'],
      '--config, --unlabelled, --steps cannot go with --resume',
    ],
    [['prior', 'sample', 'prior.safetensors', '--count', '0'], 'at least 1'],
    [['study', 'study.yaml', '--plan', '--json'], "cannot be used with option '--json'"],
  ])('refuses %j with exit code 2', async (args, message) => {
    const { code, err } = await ballast(...args);
    expect(err).toContain(message);
    expect(code).toBe(2);
  });
});

describe('mistakes', () => {
  it.each([
    [
      ['run', '--data', 'x', '--method', 'erm', '--budget', '-5'],
      'error: command line: synthesis.budget is -5; it must',
    ],
    [
      ['run', '--data', 'x', '--method', 'erm', '--set', 'trainig.epochs=3'],
      'unknown field trainig; did you mean',
    ],
    [['run', '--data', 'x', '--method', 'iois+erm'], "method 'iois+erm' makes no sense"],
    [['run', '--data', 'x', '--method', 'iois'], 'needs a diffusion prior'],
    [['run', '--config', 'none.yaml'], 'none.yaml: cannot read the configuration: there is no such file'],
    [['run', '--resume', 'none'], 'there is no such run folder to resume'],
    [['run', '--data', '', '--method', 'erm'], "data.source is ''; it must be a text (not empty)"],
    [['run', '--data', 'x', '--metrics-port', 'many'], '--metrics-port many'],
    [['compare', '--methods', 'erm', '--seeds', '1,x', '--out', 'o', '--data', 'x'], '--seeds x: it must be'],
    [['compare', '--methods', 'erm,fokal', '--out', 'o', '--data', 'x'], "unknown method 'fokal'"],
    [['report', '.'], 'has no report.json'],
    [['run', '--data', 'x', '--method', 'erm', '--set', 'seed=[1'], 'error: --set seed=[1: '],
    [['run', '--data', 'x', '--method', 'erm', '--set', 'seed=*x'], 'error: --set seed=*x: '],
    [['run', '--data', 'x', '--method', 'erm', '--set', '__proto__.x=1'], 'unknown field __proto__'],
    [['run', '--data', 'x', '--method', 'erm', '--host', '10.0.0.1'], '--host: is for nodes of a cluster'],
    [['study', 'study.yaml', '--plan', '--host', '10.0.0.1'], '--host: is for nodes of a cluster'],
    [['submit', '--server', '127.0.0.1:1', '--id', ''], '--id: is empty'],
  ])('%j is one line and exit code 1', async (args, message) => {
    const { code, out, err } = await ballast(...args);
    expect(err).toContain(message);
    expect(err.split('\n')).toHaveLength(1);
    expect({ code, out }).toEqual({ code: 1, out: '' });
  });

  it('names file and line of a wrong field, unless a flag overrides it', async () => {
    writeFileSync(join(dir, 'run.yaml'), 'data: {source: x}\nmethod: erm\nworkers: 0\n');
    expect((await ballast('run', '--config', 'run.yaml')).err).toContain('run.yaml:3: workers is 0');
    const { err } = await ballast('run', '--config', 'run.yaml', '--workers', '-1');
    expect(err).toContain('command line: workers is -1');
  });

  it.each([
    ['null', 'holds null'],
    ['{}', 'lists no epochs'],
    ['{', 'is not JSON'],
  ])('names a report.json that is %s, and what to do', async (text, message) => {
    writeFileSync(join(dir, 'report.json'), text);
    const { code, err } = await ballast('report', '.');
    expect(err).toMatch(
      new RegExp(`report\\.json is damaged: it ${message}.*; delete it and run: ballast run --resume `),
    );
    expect([code, err.split('\n').length]).toEqual([1, 1]);
  });

  it('names a config.json of a prior that is damaged', async () => {
    mkdirSync(join(dir, 'prior'));
    for (const text of ['{', '{"steps": "many"}']) {
      writeFileSync(join(dir, 'prior', 'config.json'), text);
      const { code, err } = await ballast('prior', 'train', '--resume', '--out', 'prior');
      expect(err).toContain(join(dir, 'prior', 'config.json'));
      expect([code, err.split('\n').length]).toEqual([1, 1]);
    }
  });

  it('refuses a folder that holds a run', async () => {
    writeFileSync(join(dir, 'config.json'), '{}');
    const { code, err } = await ballast('run', '--data', 'x', '--method', 'erm', '--out', '.');
    expect(err).toContain(`${dir} already holds a run`);
    expect(code).toBe(1);
  });
});
