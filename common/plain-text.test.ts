import { describe, expect, it } from 'vitest';
import { clippedText, plainText } from './plain-text.ts';

describe('text from outside', () => {
  it.each([
    ['plain', 'dog 猫 é 🐈', 'dog 猫 é 🐈'],
    ['colours', 'a\u001b[31;1mred\u001b[0mb', 'aredb'],
    ['a cursor that moves', 'x\u001b[2J\u001b[1;1Hy', 'xy'],
    ['eight-bit CSI', 'x\u009b31my', 'xy'],
    ['a title', 'x\u001b]0;owned\u0007y', 'xy'],
    ['a link', '\u001b]8;;http://evil\u001b\\click\u001b]8;;\u001b\\', 'click'],
    ['a clipboard written by OSC 52', 'x\u001b]52;c;cm0gLXJm\u0007y', 'xy'],
    ['a device control string', 'x\u001bPq#0\u001b\\y', 'xy'],
    ['an OSC without its end', 'x\u001b]0;owned', 'x0;owned'],
    ['a lone escape', 'x\u001by', 'x'],
    ['lines', 'a\r\nb\n\nc\td\u2028e', 'a b c d e'],
    ['text that runs backwards', 'gpj\u202eexe', 'gpj exe'],
    ['half a character', 'a\ud800b', 'a b'],
    ['backspaces', 'rm\b\bls', 'rm ls'],
  ])('%s', (_, text, plain) => expect(plainText(text)).toBe(plain));

  it('takes time in proportion to its length, whatever it is', () => {
    const start = process.cpuUsage();
    for (const part of ['\u001b', '\u001b]', '\u001b[', '\u001b[0;', '\n', ' \n', '\u009d', '\u001bP', ' '])
      plainText(part.repeat(200_000));
    const { user } = process.cpuUsage(start);
    expect(user / 1000).toBeLessThan(3000); // milliseconds of processor time; a quadratic one takes minutes
  });

  it('can be cut', () => {
    expect(clippedText('abcdef', 3)).toBe('abc…');
    expect(clippedText('abc', 3)).toBe('abc');
    expect(clippedText('a\u001b[31mbc', 3)).toBe('abc');
    expect(clippedText('x'.repeat(1e6), 3)).toBe('xxx…');
  });
});
