/** A tiny prior, a tiny classifier and a step in mid-sampling, to compare engines and devices. For tests only. */
import type { DeviceName } from '../../common/engine-names.ts';
import { float32, sizeOf } from '../../tensor/array.ts';
import type { NdArray } from '../../tensor/array.ts';
import { compile } from '../../tensor/compile.ts';
import { keyFromSeed, normal } from '../../tensor/random.ts';
import { specOf } from '../../tensor/tree.ts';
import { initClassifier } from '../classifier.ts';
import type { GuidanceConfig } from '../guidance.ts';
import { guidedStep } from '../guided-step.ts';
import type { ImageShape } from '../model-file.ts';
import { samplerSteps } from '../sampler.ts';
import { uniformLevels } from '../schedule.ts';
import { initUNet } from '../unet.ts';

export const UNET = { channels: 1, widths: [4, 8], blocksPerLevel: 1, patch: 2, groups: 2, attention: true };
export const PRIOR = { network: UNET, prediction: 'v' } as const;
export const CLASSIFIER = { channels: 1, classes: 3, widths: [4, 8], blocksPerStage: 1, groups: 2 };
const SHAPE = [2, 1, 8, 8];
export const NORMALIZED = { rule: 'normalized', clip: true, softening: [1, 0.5], lowPass: false } as const;

/** Standard normal values. */
export function random(seed: number, shape: readonly number[]): NdArray {
  return float32(shape, normal(keyFromSeed(seed), sizeOf(shape)));
}

/** A step in mid-sampling. The prior's last layer starts at zero: it is shaken so that its output counts. */
export function guidedInputs() {
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

/** Images after one step, and their estimates. */
export async function runGuidedStep(
  engine: string,
  guidance: GuidanceConfig,
  feeds: ReturnType<typeof guidedInputs>,
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
