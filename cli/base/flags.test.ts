import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { addConfigFlags, configFromFlags, givenFlags, RUN_FLAGS } from './flags.ts';

function parsed(...args: string[]): Command {
  const command = addConfigFlags(new Command().exitOverride(), RUN_FLAGS);
  return command.parse(args, { from: 'user' });
}

describe('configFromFlags', () => {
  it('puts each flag at its field', () => {
    const flags = parsed(
      '--data',
      'x',
      '--long-tail',
      '100',
      '--budget',
      '50',
      '--guidance',
      'none',
      '--seed',
      '3',
    );
    expect(configFromFlags(flags, RUN_FLAGS)).toEqual({
      data: { source: 'x', longTail: { ratio: 100 } },
      synthesis: { budget: 50, guidance: { rule: 'none' } },
      seed: 3,
    });
  });

  it('is empty without flags', () => {
    expect(configFromFlags(parsed(), RUN_FLAGS)).toEqual({});
  });

  it.each([
    ['train:0.2', { from: 'train', fraction: 0.2 }],
    ['unused:500', { from: 'unused', limit: 500 }],
    ['none', { from: 'none' }],
  ])('reads --validation %s', (text, value) => {
    expect(configFromFlags(parsed('--validation', text), RUN_FLAGS)).toEqual({ data: { validation: value } });
  });

  it('sets any field, last of all, its value read as YAML', () => {
    const flags = parsed(
      '--set',
      'synthesis.budget=7',
      '--budget',
      '50',
      '--set',
      'classifier.widths=[8, 16]',
    );
    expect(configFromFlags(flags, RUN_FLAGS)).toEqual({
      synthesis: { budget: 7 },
      classifier: { widths: [8, 16] },
    });
    expect(givenFlags(flags, RUN_FLAGS)).toEqual(['--budget', '--set']);
  });

  it('leaves what is no number for the configuration to refuse', () => {
    expect(configFromFlags(parsed('--budget', 'many'), RUN_FLAGS)).toEqual({ synthesis: { budget: 'many' } });
  });

  it('refuses a setting without a field', () => {
    expect(() => parsed('--set', 'budget')).toThrow('--set budget: write field=value');
  });
});
