import { describe, expect, it } from 'vitest';
import { readMask } from './read-mask.ts';

const RUN = {
  name: 'runs/a',
  state: 'STATE_RUNNING',
  labels: { team: 'vision', 'a.b': '1' },
  validation: { accuracy: 0.5, macroF1: 0.4, confusion: [{ predicted: [1, 2] }] },
  test: null,
  createTime: { seconds: 1, nanos: 2 },
};
const pick = (...paths: string[]) => readMask<object>({ paths }, 'Run')(RUN);

describe('a read mask', () => {
  it.each([
    ['nothing gives all', [], RUN],
    ['* gives all', ['name', '*'], RUN],
    ['fields', ['name', 'create_time'], { name: 'runs/a', createTime: { seconds: 1, nanos: 2 } }],
    ['a field within a message', ['validation.macro_f1'], { validation: { macroF1: 0.4 } }],
    ['a whole and a part of it', ['validation.macro_f1', 'validation'], { validation: RUN.validation }],
    ['a part of what is not set', ['test.accuracy'], { test: null }],
    ['an entry of a map', ['labels.team'], { labels: { team: 'vision' } }],
    ['an entry of a map whose key has dots', ['labels.a.b'], { labels: { 'a.b': '1' } }],
    ['an entry that is not there', ['labels.constructor'], { labels: {} }],
    ['a list', ['validation.confusion'], { validation: { confusion: RUN.validation.confusion } }],
  ])('%s', (_, paths, picked) => expect(pick(...paths)).toEqual(picked));

  it.each([
    '',
    'size',
    'name.x',
    'validation.',
    'validation.confusion.predicted',
    'config.method',
    '__proto__',
    'a.'.repeat(200),
  ])('is refused: %j', (path) => expect(() => pick(path)).toThrow('read_mask'));

  it('of very many paths is refused', () =>
    expect(() => pick(...Array<string>(101).fill('name'))).toThrow('at most 100'));
});
