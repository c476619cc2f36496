// Gradients of whole networks, parameter by parameter: the compiled graph against tfjs's own engine.
import { describe, expect, it } from 'vitest';
import { classifierCase, denoiserCase, relativeDifferences } from './testing/gradient-cases.ts';

/** Sums in another order; float32 has a relative precision of 6e-8. */
const TOLERANCE = 2e-5;
const classifier = { channels: 2, classes: 3, widths: [8, 16], blocksPerStage: 2, groups: 4 };
const denoiser = { channels: 1, widths: [8, 16], blocksPerLevel: 1, patch: 2, groups: 4, attention: true };

describe.each([
  ['classifier', classifierCase(classifier, 4, 9)],
  ['denoiser', denoiserCase(denoiser, 3, 8)],
])('%s', (_name, example) => {
  it('has the reference engine’s gradient for every parameter', async () => {
    const actual = await example.run('onnxruntime');
    const expected = await example.run('reference');
    expect(actual.loss).toBeCloseTo(expected.loss, 5);
    const differences = relativeDifferences(actual.gradients, expected.gradients);
    expect(Object.keys(differences)).toEqual(Object.keys(example.params));
    for (const [name, difference] of Object.entries(differences))
      expect({ name, isClose: difference < TOLERANCE, difference }).toEqual({
        name,
        isClose: true,
        difference,
      });
  });
});

describe('relativeDifferences', () => {
  const array = (...values: number[]) => ({ dtype: 'float32' as const, shape: [values.length], data: Float32Array.from(values) }); // prettier-ignore

  it('is the norm of the difference over that of the expected', () => {
    expect(relativeDifferences({ a: array(3, 4.5) }, { a: array(3, 4) })).toEqual({ a: 0.1 });
    expect(relativeDifferences({ a: array(NaN, 4) }, { a: array(3, 4) })).toEqual({ a: NaN });
    expect(() => relativeDifferences({ a: array(1) }, { b: array(1) })).toThrow('other names');
    expect(() => relativeDifferences({ a: array(1) }, { a: array(1, 1) })).toThrow('a: another shape');
  });
});
