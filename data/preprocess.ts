/**
 * The one way from bytes to network input and back, used by training, evaluation and guidance alike:
 * x ↦ x / 127.5 − 1 from [n, h, w, c] bytes to [n, c, h, w] floats in [−1, 1].
 */
import type { ImageSet } from './dataset.ts';

/** float32 of x / 127.5 − 1 for every byte x. */
const SCALED = Float32Array.from({ length: 256 }, (_, byte) => byte / 127.5 - 1);

/** [count, height, width, channels] bytes → [count, channels, height, width] floats in [−1, 1]. */
export function preprocess(
  images: Uint8Array,
  count: number,
  height: number,
  width: number,
  channels: number,
): Float32Array {
  const size = height * width * channels;
  if (images.length !== count * size)
    throw new RangeError(
      `${images.length} bytes are not ${count} images of ${height} x ${width} x ${channels}`,
    );
  const out = new Float32Array(images.length);
  for (let i = 0; i < count; i++) writeImage(images, i * size, size, channels, out, i * size);
  return out;
}

/** The images of `set` at `indices` as one [n, channels, height, width] batch; written to `out` when given. */
export function batchToFloat(
  set: ImageSet,
  indices: ArrayLike<number>,
  channels: number,
  out?: Float32Array,
): Float32Array {
  const size = set.images.length / set.labels.length;
  const batch = out ?? new Float32Array(indices.length * size);
  if (batch.length < indices.length * size)
    throw new RangeError(`out holds ${batch.length} values, ${indices.length * size} are needed`);
  for (let i = 0; i < indices.length; i++)
    writeImage(
      set.images.subarray(indices[i]! * size, (indices[i]! + 1) * size),
      0,
      size,
      channels,
      batch,
      i * size,
    );
  return batch;
}

function writeImage(
  bytes: Uint8Array,
  from: number,
  size: number,
  channels: number,
  out: Float32Array,
  to: number,
): void {
  const plane = size / channels;
  for (let channel = 0; channel < channels; channel++) {
    let target = to + channel * plane;
    for (let source = from + channel; source < from + size; source += channels)
      out[target++] = SCALED[bytes[source]!]!;
  }
}

/** The inverse: [count, channels, height, width] floats → [count, height, width, channels] bytes, rounded and clipped to 0..255. */
export function toBytes(
  values: Float32Array,
  count: number,
  height: number,
  width: number,
  channels: number,
): Uint8Array {
  const plane = height * width;
  const size = plane * channels;
  if (values.length !== count * size)
    throw new RangeError(
      `${values.length} values are not ${count} images of ${channels} x ${height} x ${width}`,
    );
  const bytes = new Uint8Array(values.length);
  for (let i = 0; i < count; i++)
    for (let channel = 0; channel < channels; channel++)
      for (let pixel = 0; pixel < plane; pixel++) {
        const byte = Math.round((values[i * size + channel * plane + pixel]! + 1) * 127.5);
        bytes[i * size + pixel * channels + channel] = byte < 0 ? 0 : byte > 255 ? 255 : byte;
      }
  return bytes;
}
