/**
 * The training data that workers need, as one safetensors file: `images` uint8 [n, h, w, c] to start from, and, for
 * class-mean guidance (models/lda.ts), `offsets` [classes, d] and `covariance` [d, d]. Readers do not trust it.
 */
import { UserError } from '../common/errors.ts';
import { float32 } from '../tensor/array.ts';
import { decodeSafetensors, encodeSafetensors } from '../tensor/safetensors.ts';
import { blockOf } from './lda.ts';
import type { ClassStatistics, ImageSize } from './lda.ts';

export interface Anchors {
  /** [n, h, w, c] bytes. */
  readonly images: Uint8Array;
  readonly statistics: ClassStatistics | null;
}

export function encodeAnchors({ images, statistics }: Anchors, size: ImageSize): Uint8Array {
  const { height, width, channels } = size;
  const shape = [images.length / (height * width * channels), height, width, channels];
  const own = { images: { dtype: 'uint8', shape, data: images } } as const;
  if (statistics === null) return encodeSafetensors(own);
  const { offsets, covariance } = statistics;
  const d = Math.sqrt(covariance.length);
  return encodeSafetensors({
    ...own,
    offsets: float32([offsets.length / d, d], offsets),
    covariance: float32([d, d], covariance),
  });
}

/** Throws UserError when the file does not hold images of this size, or its statistics belong to another size. */
export function decodeAnchors(bytes: Uint8Array, size: ImageSize): Anchors {
  const { images, offsets, covariance } = decodeSafetensors(bytes, 'the anchors').arrays;
  const { height, width, channels } = size;
  if (images?.dtype !== 'uint8' || images.shape.slice(1).join() !== [height, width, channels].join())
    throw new UserError(
      `the anchors are ${images?.shape.slice(1).join('×') ?? 'missing'}, the prior makes ${height}×${width}×${channels} images`,
    );
  const own = { images: images.data as Uint8Array };
  if (offsets === undefined || covariance === undefined) return { ...own, statistics: null };
  const block = blockOf(size);
  const d = (channels * height * width) / (block * block);
  if (offsets.dtype !== 'float32' || covariance.dtype !== 'float32')
    throw new UserError('the anchors: offsets and covariance are float32 arrays');
  if (offsets.shape.at(-1) !== d || covariance.shape.join() !== [d, d].join())
    throw new UserError(
      `the anchors: covariance is ${covariance.shape.join('×')}, images of this size have ${d}×${d}`,
    );
  const statistics = {
    ...{ size, block },
    offsets: offsets.data as Float32Array,
    covariance: covariance.data as Float32Array,
  };
  return { ...own, statistics };
}
