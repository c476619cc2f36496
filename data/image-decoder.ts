/**
 * One image, from its file or array to bytes of a wanted shape: the EXIF turn applied, transparency laid on black,
 * scaled (Lanczos 3) to cover the square and cropped to its middle, or padded, or stretched.
 */
import sharp, { type Sharp } from 'sharp';
import { readBounded } from '../common/bounded-file.ts';
import { UserError } from '../common/errors.ts';
import type { DataConfig } from '../config/data-config.ts';
import { decodeBmp } from './formats/bmp.ts';
import { decodePnm } from './formats/pnm.ts';
import type { Raster } from './formats/raster.ts';
import { checkImageFile } from './image-header.ts';
import { MAX_DECODE_SECONDS, MAX_IMAGE_FILE_BYTES, MAX_IMAGE_PIXELS } from './limits.ts';
import { toScaledBytes, type Scale } from './scale.ts';
import type { Pixels } from './source.ts';

export interface Wanted {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  /** How an image becomes that size; null: it must have it. */
  readonly resize: DataConfig['resize'] | null;
  /** For files of more than 8 bits. */
  readonly scale: Scale | null;
}

const FITS = { crop: 'cover', pad: 'contain', fit: 'fill' } as const;

/** Formats that are decoded here. @throws Error with the reason. */
export async function decodeOwn(file: string, format: 'bmp' | 'pnm'): Promise<Raster> {
  const bytes = await readBounded(file, MAX_IMAGE_FILE_BYTES);
  return format === 'bmp' ? decodeBmp(bytes, MAX_IMAGE_PIXELS) : decodePnm(bytes, MAX_IMAGE_PIXELS);
}

/** The stored values of a file with more than 8 bits, upright: [height, width, channels]. */
export async function decodeDeep(
  file: string,
  channels: number,
): Promise<{ data: Uint16Array | Float32Array; width: number; height: number; channels: 1 | 3 }> {
  const image = sharp(file, { limitInputPixels: MAX_IMAGE_PIXELS });
  const { depth } = await image.metadata();
  const isFloat = depth === 'float' || depth === 'double';
  const upright = image.autoOrient().removeAlpha().timeout({ seconds: MAX_DECODE_SECONDS });
  const { data, info } = isFloat
    ? await upright.raw({ depth: 'float' }).toBuffer({ resolveWithObject: true })
    : await upright
        .toColourspace(channels === 1 ? 'grey16' : 'rgb16')
        .raw({ depth: 'ushort' })
        .toBuffer({ resolveWithObject: true });
  const aligned = data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength);
  const values = isFloat ? new Float32Array(aligned) : new Uint16Array(aligned);
  return { data: values, width: info.width, height: info.height, channels: info.channels as 1 | 3 };
}

/** The image at `position` as [height, width, channels] bytes. @throws Error with the reason; UserError for its size. */
export async function decodeOne(pixels: Pixels, position: number, wanted: Wanted): Promise<Uint8Array> {
  const { height, width, channels, resize } = wanted;
  const upright = (await open(pixels, position, wanted)).autoOrient().flatten({ background: '#000' });
  const sized =
    resize === null
      ? upright
      : upright.resize(width, height, {
          ...{ fit: FITS[resize], background: '#000', kernel: 'lanczos3', fastShrinkOnLoad: false },
        });
  const { data, info } = await sized
    .timeout({ seconds: MAX_DECODE_SECONDS })
    .toColourspace(channels === 1 ? 'b-w' : 'srgb')
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true });
  if (info.height !== height || info.width !== width)
    throw new UserError(
      `${pixels.kind === 'files' ? pixels.files[position] : position}: is ${info.width} x ${info.height} where others are ${width} x ${height}; set data.imageSize (--image-size) to bring all to one size`,
    );
  if (info.channels !== channels) throw new Error(`decodes to ${info.channels} channels, not ${channels}`);
  return data;
}

async function open(pixels: Pixels, position: number, { scale }: Wanted): Promise<Sharp> {
  if (pixels.kind === 'files') return openFile(pixels.files[position]!, scale);
  const { height, width, data } = pixels;
  const channels = pixels.channels as 1 | 3;
  const size = height * width * channels;
  return sharp(data.subarray(position * size, (position + 1) * size), { raw: { height, width, channels } });
}

async function openFile(file: string, scale: Scale | null): Promise<Sharp> {
  const format = await checkImageFile(file);
  if (format !== 'sharp') {
    const { data, width, height, channels } = await decodeOwn(file, format);
    return sharp(data, { raw: { width, height, channels } });
  }
  const image = sharp(file, { limitInputPixels: MAX_IMAGE_PIXELS });
  if (scale === null) return image;
  const { depth, channels: stored } = await image.metadata();
  if (depth === 'uchar') return image;
  const { data, width, height, channels } = await decodeDeep(file, stored < 3 ? 1 : 3);
  return sharp(toScaledBytes(data, scale), { raw: { width, height, channels } });
}
