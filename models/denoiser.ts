/**
 * The interface between samplers, guidance and a network: a `Denoiser` maps a noised image and its level to the
 * estimate x̂0 of the clean image. Networks that predict noise or velocity are adapted to it here.
 *
 *   x_t = a·x0 + s·ε,   v = a·ε − s·x0  (Salimans and Ho 2202.00512)
 *   x̂0 = x̂0            from an image
 *   x̂0 = (x_t − s·ε̂)/a  from noise; ill-conditioned where a is near 0
 *   x̂0 = a·x_t − s·v̂    from velocity
 */
import tf from '../tensor/tf.ts';
import type { Tensor, Tensor4D } from '../tensor/tf.ts';

/** The quantity that the network predicts. */
export type Prediction = 'epsilon' | 'x0' | 'v';

/** Time in [0, 1], signal and noise: scalars for the whole batch, or [n, 1, 1, 1] tensors with one value per image. */
export interface Level {
  readonly t: Tensor;
  readonly a: Tensor;
  readonly s: Tensor;
}

/** (x_t [n, c, h, w], level) → x̂0 [n, c, h, w]. */
export type Denoiser = (x: Tensor4D, level: Level) => Tensor4D;

/** x_t = a·x0 + s·ε. */
export function addNoise(x0: Tensor4D, noise: Tensor4D, { a, s }: Level): Tensor4D {
  return tf.add(tf.mul(a, x0), tf.mul(s, noise));
}

/** x̂0 from a network's output for x_t. */
export function toX0(prediction: Prediction, output: Tensor4D, x: Tensor4D, { a, s }: Level): Tensor4D {
  switch (prediction) {
    case 'x0':
      return output;
    case 'epsilon':
      return tf.div(tf.sub(x, tf.mul(s, output)), a);
    case 'v':
      return tf.sub(tf.mul(a, x), tf.mul(s, output));
    default:
      return prediction satisfies never;
  }
}

/** The training target of the network for x_t = a·x0 + s·ε. */
export function targetOf(prediction: Prediction, x0: Tensor4D, noise: Tensor4D, { a, s }: Level): Tensor4D {
  switch (prediction) {
    case 'x0':
      return x0;
    case 'epsilon':
      return noise;
    case 'v':
      return tf.sub(tf.mul(a, noise), tf.mul(s, x0));
    default:
      return prediction satisfies never;
  }
}

/** The denoiser of a network (x, t) → output. */
export function denoiserOf(prediction: Prediction, network: (x: Tensor4D, t: Tensor) => Tensor4D): Denoiser {
  return (x, level) => toX0(prediction, network(x, level.t), x, level);
}

/**
 * Loss weight of a level (min-SNR-γ, Hang et al. 2303.09556), SNR = a²/s²: min(SNR, γ) on the error of x̂0, which is
 * min(SNR, γ)/(SNR + 1) on v and min(SNR, γ)/SNR on ε. Float64; finite at s = 0 and a = 0.
 */
export function minSnrWeight(
  prediction: Prediction,
  { a, s }: { readonly a: number; readonly s: number },
  gamma = 5,
): number {
  const [signal, noise] = [a * a, s * s];
  switch (prediction) {
    case 'x0':
      return noise === 0 ? gamma : Math.min(signal / noise, gamma);
    case 'epsilon':
      return signal === 0 ? 1 : Math.min(1, (gamma * noise) / signal);
    case 'v':
      return Math.min(signal, gamma * noise) / (signal + noise);
    default:
      return prediction satisfies never;
  }
}
