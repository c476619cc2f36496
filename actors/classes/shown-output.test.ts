import { appendFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createLog } from '../../common/log.ts';
import { eventually } from '../../common/testing/eventually.ts';
import { logFolder, logPathOf } from '../base/log-files.ts';
import { ShownOutput } from './shown-output.ts';

let runDir: string;
let shown: string[];
let output: ShownOutput;

function print(text: string | Uint8Array, actorId = 'Greeter-1'): void {
  appendFileSync(logPathOf(runDir, actorId), text);
}

function open(): void {
  output = new ShownOutput(logFolder(runDir), (text) => shown.push(...text.split('\n')));
}

beforeEach(() => {
  runDir = mkdtempSync(join(tmpdir(), 'ballast-shown-'));
  mkdirSync(logFolder(runDir));
  shown = [];
});

afterEach(() => {
  output.close();
  rmSync(runDir, { recursive: true });
});

it('shows lines soon after they are printed, each after its actor', async () => {
  open();
  print('one\ntwo\n');
  await eventually(() => expect(shown).toEqual(['(Greeter-1) one', '(Greeter-1) two']));
  print('three\n', 'Reader-2');
  await eventually(() => expect(shown.slice(2)).toEqual(['(Reader-2) three']));
});

it('keeps the beginning of a line until its end comes, and of a character too', async () => {
  open();
  const bytes = Buffer.from('halves: ½\n');
  print(Buffer.concat([Buffer.from('whole\n'), bytes.subarray(0, 9)])); // within the two bytes of ½
  await eventually(() => expect(shown).toEqual(['(Greeter-1) whole']));
  print(bytes.subarray(9));
  await eventually(() => expect(shown).toEqual(['(Greeter-1) whole', '(Greeter-1) halves: ½']));
});

it('leaves out the log of the runtime, output of before, and other files', () => {
  print('earlier\n');
  open();
  createLog({ write: print }).error('a method failed');
  print('{"time": "an actor’s own JSON"}\n');
  appendFileSync(join(logFolder(runDir), 'notes.txt'), 'a note\n');
  output.close();
  expect(shown).toEqual(['(Greeter-1) {"time": "an actor’s own JSON"}']);
});

it('shows the rest when it closes, complete or not', () => {
  open();
  print('done\nno end of line');
  output.close();
  expect(shown).toEqual(['(Greeter-1) done', '(Greeter-1) no end of line']);
});

it('shows the end of too much output, and names the file with all of it', () => {
  open();
  const line = `${'x'.repeat(99)}\n`;
  print(line.repeat(10_000) + 'the end\n');
  output.close();
  const path = logPathOf(runDir, 'Greeter-1');
  expect(shown[0]).toBe(`(Greeter-1) … ${1_000_008 - 256 * 1024} bytes are only in ${path}`);
  expect(shown.at(-1)).toBe('(Greeter-1) the end');
  expect(shown.length).toBeLessThan(2700);
});

it('is silent about logs that are gone, and a folder that is', () => {
  open();
  print('one\n');
  rmSync(logFolder(runDir), { recursive: true });
  expect(() => output.close()).not.toThrow();
  expect(shown).toEqual([]);
});

it('shows a line without an end in parts', async () => {
  open();
  print('.'.repeat(20_000));
  await eventually(() => expect(shown).toEqual([`(Greeter-1) ${'.'.repeat(20_000)}`]));
});
