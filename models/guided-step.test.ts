import { describe, expect, it } from 'vitest';
import { zeros } from '../tensor/array.ts';
import { compile } from '../tensor/compile.ts';
import { keyFromSeed } from '../tensor/random.ts';
import { itOnTensorFlow } from '../tensor/testing/tensorflow.ts';
import { specOf } from '../tensor/tree.ts';
import { initClassifier } from './classifier.ts';
import { samplingStep } from './guided-step.ts';
import { CLASSIFIER, guidedInputs, NORMALIZED, PRIOR, runGuidedStep } from './testing/guided-case.ts';

function expectClose(actual: readonly number[], expected: readonly number[], tolerance: number): void {
  for (const [i, value] of expected.entries()) expect(Math.abs(actual[i]! - value)).toBeLessThan(tolerance);
}

describe('the guided step as one graph', () => {
  describe.each([
    { ...NORMALIZED, direction: 'confident' },
    { ...NORMALIZED, direction: 'hard' },
    { ...NORMALIZED, direction: 'mixed' },
    { rule: 'released-noisy', clip: true, softening: [1, 1], direction: 'confident', lowPass: false },
    { rule: 'released-x0', clip: false, softening: [1, 1], direction: 'confident', lowPass: false },
    { rule: 'none', clip: true, softening: [1, 1], direction: 'confident', lowPass: false },
  ] as const)('$rule, $direction', (guidance) => {
    const equalsReference = async (engine: string) => {
      const [actual, reference] = [
        await runGuidedStep(engine, guidance, guidedInputs()),
        await runGuidedStep('reference', guidance, guidedInputs()),
      ];
      expectClose(actual.x, reference.x, 2e-5);
      expectClose(actual.x0, reference.x0, 2e-5);
    };
    it('compiled equals the reference', () => equalsReference('onnxruntime'));
    itOnTensorFlow('on TensorFlow equals the reference', () => equalsReference('tensorflow'));
  });

  it('may be guided by a classifier of another size and in colour, through the resize', async () => {
    const seen = { height: 11, width: 6, channels: 3 };
    const guidance = { ...NORMALIZED, direction: 'confident' } as const;
    const feeds = {
      ...guidedInputs(),
      classifier: initClassifier({ ...CLASSIFIER, channels: 3 }, keyFromSeed(2)),
    };
    const actual = await runGuidedStep('onnxruntime', guidance, feeds, { seen });
    const reference = await runGuidedStep('reference', guidance, feeds, { seen });
    expectClose(actual.x0, reference.x0, 2e-5);
    const still = await runGuidedStep('reference', guidance, { ...feeds, weight: zeros([]) }, { seen });
    const moved = reference.x0.filter((value, i) => Math.abs(value - still.x0[i]!) > 0.05);
    expect(moved.length).toBeGreaterThan(20); // of 128 values, those that are not at a bound
  });

  it('of no strength is the unguided step, and of some strength is not', async () => {
    const feeds = guidedInputs();
    const guidance = { ...NORMALIZED, direction: 'confident' } as const;
    const { prior, x, previousX0, t, a, s, cX, cD, cP } = feeds;
    const unguidedFeeds = { prior, x, previousX0, t, a, s, cX, cD, cP };
    const step = await compile(samplingStep(PRIOR, { clip: true }), specOf(unguidedFeeds), {
      engine: 'reference',
    });
    const unguided = await step.run(unguidedFeeds);
    const still = await runGuidedStep('reference', guidance, { ...feeds, weight: zeros([]) });
    expectClose(still.x, Array.from(unguided.x.data), 1e-6);
    const moved = await runGuidedStep('reference', guidance, feeds);
    // Each image moves by w·√d·g/‖g‖ before clipping: by at most w on average (root mean square).
    for (const image of [0, 1]) {
      const change = moved.x0
        .slice(image * 64, (image + 1) * 64)
        .map((v, i) => v - still.x0[image * 64 + i]!);
      const meanSquare = change.reduce((sum, v) => sum + v * v, 0) / 64;
      expect(Math.sqrt(meanSquare)).toBeGreaterThan(0.1);
      expect(Math.sqrt(meanSquare)).toBeLessThan(0.25 + 1e-5);
    }
  });
});
