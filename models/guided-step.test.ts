import { describe, expect, it } from 'vitest';
import { float32, zeros } from '../tensor/array.ts';
import type { NdArray } from '../tensor/array.ts';
import { compile } from '../tensor/compile.ts';
import { keyFromSeed, normal } from '../tensor/random.ts';
import { itOnTensorFlow } from '../tensor/testing/tensorflow.ts';
import { specOf } from '../tensor/tree.ts';
import type { DeviceName } from '../common/engine-names.ts';
import { initClassifier } from './classifier.ts';
import type { ImageShape } from './model-file.ts';
import type { GuidanceConfig } from './guidance.ts';
import { guidedStep, samplingStep } from './guided-step.ts';
import { samplerSteps } from './sampler.ts';
import { uniformLevels } from './schedule.ts';
import { initUNet } from './unet.ts';

const UNET = { channels: 1, widths: [4, 8], blocksPerLevel: 1, patch: 2, groups: 2, attention: true };
const PRIOR = { network: UNET, prediction: 'v' } as const;
const CLASSIFIER = { channels: 1, classes: 3, widths: [4, 8], blocksPerStage: 1, groups: 2 };
const SHAPE = [2, 1, 8, 8];
const NORMALIZED = { rule: 'normalized', clip: true, softening: [1, 0.5], lowPass: false } as const;

function random(seed: number, shape: readonly number[]): NdArray {
  return float32(
    shape,
    normal(
      keyFromSeed(seed),
      shape.reduce((product, extent) => product * extent, 1),
    ),
  );
}

/** A step in mid-sampling. The prior's last layer starts at zero: it is shaken so that its output counts. */
function inputs() {
  const fresh = initUNet(UNET, keyFromSeed(1));
  const head = random(4, fresh['head.conv.weight']!.shape);
  const { t, a, s, cX, cD, cP } = samplerSteps('dpmpp-2m', uniformLevels(0.8, 6))[2]!;
  const scalar = (value: number) => float32([], [value]);
  return {
    prior: { ...fresh, 'head.conv.weight': { ...head, data: head.data.map((value) => 0.1 * value) } },
    classifier: initClassifier(CLASSIFIER, keyFromSeed(2)),
    x: random(3, SHAPE),
    previousX0: random(5, SHAPE),
    t: scalar(t),
    a: scalar(a),
    s: scalar(s),
    cX: scalar(cX),
    cD: scalar(cD),
    cP: scalar(cP),
    weight: scalar(0.25),
    labelsOneHot: float32([2, 3], [0, 1, 0, 0, 0, 1]),
  };
}

async function run(
  engine: string,
  guidance: GuidanceConfig,
  feeds: ReturnType<typeof inputs>,
  { device, seen }: { readonly device?: DeviceName; readonly seen?: ImageShape } = {},
) {
  const classifier = { ...CLASSIFIER, channels: seen?.channels ?? CLASSIFIER.channels };
  const step = await compile(guidedStep(PRIOR, classifier, guidance, seen), specOf(feeds), {
    engine,
    device,
  });
  const { x, x0 } = await step.run(feeds);
  await step.dispose();
  return { x: Array.from(x.data), x0: Array.from(x0.data) };
}

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
    const equalsReference = async (engine: string, device?: DeviceName) => {
      const [actual, reference] = [
        await run(engine, guidance, inputs(), { ...(device === undefined ? {} : { device }) }),
        await run('reference', guidance, inputs()),
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
    const feeds = { ...inputs(), classifier: initClassifier({ ...CLASSIFIER, channels: 3 }, keyFromSeed(2)) };
    const actual = await run('onnxruntime', guidance, feeds, { seen });
    const reference = await run('reference', guidance, feeds, { seen });
    expectClose(actual.x0, reference.x0, 2e-5);
    const still = await run('reference', guidance, { ...feeds, weight: zeros([]) }, { seen });
    const moved = reference.x0.filter((value, i) => Math.abs(value - still.x0[i]!) > 0.05);
    expect(moved.length).toBeGreaterThan(20); // of 128 values, those that are not at a bound
  });

  it('of no strength is the unguided step, and of some strength is not', async () => {
    const feeds = inputs();
    const guidance = { ...NORMALIZED, direction: 'confident' } as const;
    const { prior, x, previousX0, t, a, s, cX, cD, cP } = feeds;
    const unguidedFeeds = { prior, x, previousX0, t, a, s, cX, cD, cP };
    const step = await compile(samplingStep(PRIOR, { clip: true }), specOf(unguidedFeeds), {
      engine: 'reference',
    });
    const unguided = await step.run(unguidedFeeds);
    const still = await run('reference', guidance, { ...feeds, weight: zeros([]) });
    expectClose(still.x, Array.from(unguided.x.data), 1e-6);
    const moved = await run('reference', guidance, feeds);
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
