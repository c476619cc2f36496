import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
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

  it('listens no more once released, after a turn in which a signal ends the process', async () => {
    const { source, exits, interrupts } = setUp();
    interrupts.release();
    source.emit('SIGTERM');
    expect({ exits, aborted: interrupts.signal.aborted }).toEqual({ exits: [143], aborted: false });
    await setImmediate();
    expect([source.listenerCount('SIGINT'), source.listenerCount('SIGTERM')]).toEqual([0, 0]);
  });
});

describe('keepExitCode', () => {
  it('ends the process with the code that its command had, when a signal comes after the command', () => {
    const { source, exits, interrupts } = setUp();
    interrupts.release();
    keepExitCode(0, source);
    source.emit('SIGTERM');
    expect(exits).toEqual([0, 143]); // a process is gone after the first
  });

  it('holds for a signal that comes between the release of its interrupts and the end of the command', async () => {
    const child = spawn(process.execPath, ['-e', await bundled(RELEASING)], { stdio: 'inherit' });
    expect(await once(child, 'close')).toEqual([3, null]);
  });

  it('holds while Node frees the heap of a process that ended by itself', async () => {
    const program = await bundled(FREEING);
    for (let attempt = 0; attempt < 8; attempt++) {
      const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
      child.stdout.once('data', () => child.kill('SIGTERM'));
      expect(await once(child, 'close')).toEqual([3, null]);
    }
  });
});

/** A program of this module's functions, as JavaScript. */
async function bundled(contents: string): Promise<string> {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: import.meta.dirname },
    ...{ bundle: true, platform: 'node', write: false },
  });
  return outputFiles[0]!.text;
}

/** A heap that takes long to free; it says when it ends. */
const FREEING = `
  import { writeSync } from 'node:fs';
  import { keepExitCode } from './interrupts.ts';
  globalThis.heap = Array.from({ length: 300_000 }, (_, index) => ({ index }));
  process.on('exit', () => writeSync(1, 'ending'));
  process.exitCode = 3;
  keepExitCode(3);`;

/** Gets its signal before it is at \`keepExitCode\`, and stays until it has been heard. */
const RELEASING = `
  import { keepExitCode, listenForInterrupts } from './interrupts.ts';
  const interrupts = listenForInterrupts(() => undefined);
  interrupts.release();
  process.kill(process.pid, 'SIGTERM');
  keepExitCode(3);
  setInterval(() => undefined, 1000);`;
