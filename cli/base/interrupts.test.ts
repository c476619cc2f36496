import { EventEmitter } from 'node:events';
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

it('keepExitCode: a signal after the command ends the process with the code that the command had', () => {
  const { source, exits, interrupts } = setUp();
  interrupts.release();
  keepExitCode(0, source);
  source.emit('SIGTERM');
  expect(exits).toEqual([0]);
});
