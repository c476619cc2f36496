import { expect, it } from 'vitest';
import { Synthesizer } from './synthesizer.ts';

it('keeps prior and anchors through any number of weights', () => {
  const synthesizer = new Synthesizer();
  const bytes = new Uint8Array(1);
  for (let version = 0; version < 10; version++) {
    const needed = ['prior', 'anchors', `weights-${version}`];
    for (const digest of needed.filter((each) => !synthesizer.holds(each))) synthesizer.load(digest, bytes);
    expect(needed.map((digest) => synthesizer.holds(digest))).toEqual([true, true, true]);
  }
  expect(synthesizer.holds('weights-0')).toBe(false);
});
