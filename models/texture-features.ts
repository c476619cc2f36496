/**
 * Statistics of an image's fine structure: means and standard deviations over the image of the responses of fixed
 * random 3×3 filters, at full and at half resolution. Deliberately untrained: the filters know nothing about classes,
 * but stripes, grids, tints and grain each leave a mark, which distinguishes a stamped image from a real one.
 *
 *   x → 16 filters, ReLU → mean and deviation; → 32 filters at stride 2, ReLU → mean and deviation: 96 numbers
 */
import type { ArrayMap } from '../tensor/array.ts';
import { named } from '../tensor/named.ts';
import { keyFromSeed } from '../tensor/random.ts';
import tf from '../tensor/tf.ts';
import type { Tensor, Tensor2D, Tensor4D } from '../tensor/tf.ts';
import { convLayer, Initializer } from './parameters.ts';
import type { Parameters } from './parameters.ts';

const FILTERS = [16, 32] as const;

/** Number of features of an image. */
export const TEXTURE_FEATURES = 2 * (FILTERS[0] + FILTERS[1]);

/** The filters for images of this many channels: always the same. */
export function textureFilters(channels: number): ArrayMap {
  const init = new Initializer(keyFromSeed(0));
  init.conv('fine', channels, FILTERS[0], 3, { bias: false });
  init.conv('coarse', FILTERS[0], FILTERS[1], 3, { bias: false });
  return init.arrays;
}

/** images [n, c, h, w] in [−1, 1] → features [n, `TEXTURE_FEATURES`], as a function for `compile`. */
export const textureFeatures = named(
  'textureFeatures',
  () =>
    ({ filters, images }: { filters: Parameters; images: Tensor }) => {
      const fine: Tensor4D = tf.relu(convLayer(filters, 'fine', images as Tensor4D));
      const coarse: Tensor4D = tf.relu(convLayer(filters, 'coarse', fine, { stride: 2 }));
      return { features: tf.concat<Tensor2D>([fine, coarse].flatMap(meanAndDeviation), 1) };
    },
);

function meanAndDeviation(h: Tensor4D): Tensor2D[] {
  const mean: Tensor4D = tf.mean(h, [2, 3], true);
  const variance: Tensor2D = tf.mean(tf.square(tf.sub(h, mean)), [2, 3]);
  return [tf.reshape(mean, [h.shape[0], h.shape[1]]), tf.sqrt(tf.add(variance, 1e-6))];
}
