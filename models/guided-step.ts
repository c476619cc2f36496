/**
 * One sampling step as a single function for `compile`: denoiser, the classifier gradient of guidance, and the
 * sampler's update. Everything that changes from step to step is an input, so one compiled graph serves all steps.
 */
import { named } from '../tensor/named.ts';
import tf from '../tensor/tf.ts';
import type { Scalar, Tensor, Tensor2D, Tensor4D } from '../tensor/tf.ts';
import { classify } from './classifier.ts';
import type { ClassifierConfig } from './classifier.ts';
import { denoiserOf } from './denoiser.ts';
import type { Denoiser, Prediction } from './denoiser.ts';
import { predict } from './denoiser-network.ts';
import type { DenoiserNetwork } from './denoiser-network.ts';
import { guide, shifted } from './guidance.ts';
import type { GuidanceConfig, LogitsOf } from './guidance.ts';
import type { ImageShape } from './model-file.ts';
import { headLogits } from './prior-head.ts';
import { resized } from './resize.ts';

/** The inputs of a step without guidance. */
export interface SamplingInputs<Leaf = Tensor> {
  /** The denoiser's parameters. */
  readonly prior: Readonly<Record<string, Leaf>>;
  /** x_t [n, c, h, w]. */
  readonly x: Leaf;
  /** x̂0 of the step before, like x; zeros at the first step. */
  readonly previousX0: Leaf;
  /** Scalars: the row of the sampler's table (`SamplerStep`). */
  readonly t: Leaf;
  readonly a: Leaf;
  readonly s: Leaf;
  readonly cX: Leaf;
  readonly cD: Leaf;
  readonly cP: Leaf;
}

export interface GuidedInputs<Leaf = Tensor> extends SamplingInputs<Leaf> {
  /** The guiding classifier's parameters. */
  readonly classifier: Readonly<Record<string, Leaf>>;
  /** Scalar: strength at this step (`guidanceStrength`). */
  readonly weight: Leaf;
  /** [n, k]: the target class of each image. */
  readonly labelsOneHot: Leaf;
  /** Shift of each image's x̂0 along its class mean (models/lda.ts), like x; absent for none. */
  readonly shift?: Leaf | undefined;
  /** Noise of the copies whose gradients are averaged, [copies·n, c, h, w]; absent for none. */
  readonly copyNoise?: Leaf | undefined;
}

/** The step's result: the next x, and the (guided) x̂0 that the next step takes as `previousX0`; [n, c, h, w] each. */
export type SamplingResult = { readonly x: Tensor4D; readonly x0: Tensor4D };

export interface PriorConfig {
  readonly network: DenoiserNetwork;
  readonly prediction: Prediction;
}

/** x' = cX·x + cD·x̂0 + cP·x̂0_previous with the denoiser's x̂0 at the row's level. */
export function advance(denoise: Denoiser, inputs: Omit<SamplingInputs, 'prior'>): SamplingResult {
  const [x, previousX0] = [inputs.x as Tensor4D, inputs.previousX0 as Tensor4D];
  const x0 = denoise(x, { t: inputs.t, a: inputs.a, s: inputs.s });
  const next: Tensor4D = tf.add(
    tf.add(tf.mul(inputs.cX, x), tf.mul(inputs.cD, x0)),
    tf.mul(inputs.cP, previousX0),
  );
  return { x: next, x0 };
}

function denoiserOfPrior({ network, prediction }: PriorConfig, params: SamplingInputs['prior']): Denoiser {
  return denoiserOf(prediction, (x, t) => predict(network, params, x, t));
}

/** Unguided step of a prior; `clip` bounds x̂0 to [−1, 1]. */
export const samplingStep = named(
  'samplingStep',
  (prior: PriorConfig, { clip }: { readonly clip: boolean }) => {
    return (inputs: SamplingInputs): SamplingResult => {
      const denoise = denoiserOfPrior(prior, inputs.prior);
      return advance((x, level) => {
        const x0 = denoise(x, level);
        return clip ? tf.clipByValue(x0, -1, 1) : x0;
      }, inputs);
    };
  },
);

/**
 * Guided step of a prior and a classifier; `classifier` is null for rule `prior-features`, whose `inputs.classifier` is
 * the head on the prior's features. With rule `none` the classifier, weight and labels are not used. If the classifier
 * takes images of another size or other channels, `seen` is that shape: the classifier receives x̂0 resized, and its
 * gradient is backpropagated through the resize.
 */
export const guidedStep = named(
  'guidedStep',
  (prior: PriorConfig, classifier: ClassifierConfig | null, guidance: GuidanceConfig, seen?: ImageShape) => {
    return (inputs: GuidedInputs): SamplingResult => {
      const plain = denoiserOfPrior(prior, inputs.prior);
      const denoise = inputs.shift === undefined ? plain : shifted(plain, inputs.shift as Tensor4D);
      const logitsOf: LogitsOf = (x, { t }) =>
        classifier === null
          ? headLogits(prior.network, inputs.prior, inputs.classifier, x, t)
          : classify(classifier, inputs.classifier, seen === undefined ? x : resized(x, seen));
      const guided = guide(denoise, logitsOf, {
        ...guidance,
        labelsOneHot: inputs.labelsOneHot as Tensor2D,
        weight: inputs.weight as Scalar,
        copyNoise: inputs.copyNoise as Tensor4D | undefined,
      });
      return advance(guided, inputs);
    };
  },
);
