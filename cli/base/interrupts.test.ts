import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { join } from 'node:path';
import { build } from 'esbuild';
import { describe, expect, it } from 'vitest';
import { keepExitCode, listenForInterrupts } from './interrupts.ts';

function setUp() {
  const exits: number[] = [];
  const source = Object.assign(new EventEmitter(), { exit: (code: number) => void exits.push(code) });
  const said: string[] = [];
  return { exits, source, said, interrupts: listenForInterrupts((line) => said.push(line), source) };
}

describe('listenForInterrupts', () => {
  it('asks to stop at the first Ctrl-C and ends at the second', () => {
    const { source, exits, said, interrupts } = setUp();
    source.emit('SIGINT');
    expect(interrupts.signal.aborted).toBe(true);
    expect(interrupts.received()).toBe('SIGINT');
    expect(said).toHaveLength(1);
    expect(exits).toEqual([]);
    source.emit('SIGINT');
    expect(exits).toEqual([130]);
  });

  it('stops cleanly on SIGTERM, however often it comes', () => {
    const { source, exits, interrupts } = setUp();
    source.emit('SIGTERM');
    source.emit('SIGTERM');
    expect(interrupts.received()).toBe('SIGTERM');
    expect(exits).toEqual([]);
  });

  it('reports a second signal to a command that asks for it', () => {
    const source = Object.assign(new EventEmitter(), { exit: () => undefined });
    const said: string[] = [];
    const seconds: string[] = [];
    const options = { notice: 'draining', onSecond: (name: string) => void seconds.push(name) };
    listenForInterrupts((line) => said.push(line), source, options);
    source.emit('SIGINT');
    expect({ said, seconds }).toEqual({ said: ['draining'], seconds: [] });
    source.emit('SIGTERM');
    expect(seconds).toEqual(['SIGTERM']);
  });

  it('listens no more once released', () => {
    const { source, interrupts } = setUp();
    interrupts.release();
    source.emit('SIGINT');
    expect(interrupts.signal.aborted).toBe(false);
  });
});

describe('keepExitCode', () => {
  it('ends the process with the code that its command had, when a signal comes after the command', () => {
    const { source, exits, interrupts } = setUp();
    interrupts.release();
    keepExitCode(0, source);
    source.emit('SIGTERM');
    expect(exits).toEqual([0]);
  });

  it('holds while Node frees the heap of a process that ended by itself', async () => {
    const module = join(import.meta.dirname, 'interrupts.ts');
    const { outputFiles } = await build({
      stdin: { contents: endingProgram(module), resolveDir: import.meta.dirname },
      ...{ bundle: true, platform: 'node', write: false },
    });
    const program = outputFiles[0]!.text;
    for (let attempt = 0; attempt < 8; attempt++) {
      const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
      child.stdout.once('data', () => child.kill('SIGTERM'));
      expect(await once(child, 'close')).toEqual([3, null]);
    }
  });
});

/** A program with a heap that takes long to free. It says when it ends. */
function endingProgram(module: string): string {
  return `
    import { writeSync } from 'node:fs';
    import { keepExitCode } from ${JSON.stringify(module)};
    globalThis.heap = Array.from({ length: 300_000 }, (_, index) => ({ index }));
    process.on('exit', () => writeSync(1, 'ending'));
    process.exitCode = 3;
    keepExitCode(3);`;
}
