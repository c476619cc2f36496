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
import { hasOtherSample } from './formats/tiff.ts';
import { checkImageFile, type ImageFormat } from './image-header.ts';
import { MAX_DECODE_SECONDS, MAX_IMAGE_FILE_BYTES, MAX_IMAGE_PIXELS } from './limits.ts';
import { BYTES, type Scale, toScaledBytes } from './scale.ts';
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

export interface Header {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
  readonly pages: number;
  /** The type of stored values. */
  readonly depth: string;
  readonly space: string;
  /** Whether a band beyond grey or colour is no transparency: it is not used. */
  readonly hasOtherBand: boolean;
}

/** The most bands of images in these spaces, transparency included; 4 in others. */
const MOST_BANDS: Readonly<Record<string, number>> = { 'b-w': 2, grey16: 2, cmyk: 5 };

/** What the header of a file says that sharp decodes. @throws Error with the reason. */
export async function headerOf(file: string, format: ImageFormat): Promise<Header> {
  const { autoOrient, channels, pages, depth, space, hasAlpha } = await sharp(file, {
    limitInputPixels: MAX_IMAGE_PIXELS,
  }).metadata();
  if (channels > (MOST_BANDS[space] ?? 4))
    throw new Error(`it has ${channels} bands, neither grey nor colour; write images of 1 or 3 bands`);
  return {
    ...{ width: autoOrient.width, height: autoOrient.height },
    channels: channels < 3 ? 1 : 3,
    pages: pages ?? 1,
    ...{ depth, space },
    hasOtherBand: format === 'tiff' && hasAlpha && (await hasOtherSample(file)),
  };
}

/** The stored values of a file, upright, without transparency and other bands: [height, width, channels]. */
export async function decodeDeep(
  file: string,
  { depth, space, channels: stored }: Header,
): Promise<{ data: Uint16Array | Float32Array; width: number; height: number; channels: 1 | 3 }> {
  const image = sharp(file, { limitInputPixels: MAX_IMAGE_PIXELS });
  const upright = image.autoOrient().removeAlpha().timeout({ seconds: MAX_DECODE_SECONDS });
  const isShort = depth === 'ushort';
  // Sharp brings grey16 to unsigned values at its end, so negative ones are shifted until then.
  const shift = depth === 'short' && space === 'grey16' ? 2 ** 15 : 0;
  const converted = isShort
    ? upright.toColourspace(stored === 1 ? 'grey16' : 'rgb16')
    : (shift > 0 ? upright.linear(1, shift) : upright).toColourspace(space); // its own: values stay
  const { data, info } = await converted
    .raw({ depth: isShort ? 'ushort' : 'float' })
    .toBuffer({ resolveWithObject: true });
  const { width, height, channels } = info;
  if (channels !== 1 && channels !== 3) throw new Error(`its values of type ${depth} have ${channels} bands, not 1 or 3`); // prettier-ignore
  const aligned = data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength);
  const values = isShort ? new Uint16Array(aligned) : new Float32Array(aligned);
  return { data: shift > 0 ? values.map((value) => value - shift) : values, width, height, channels };
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
  if (format === 'bmp' || format === 'pnm') {
    const { data, width, height, channels } = await decodeOwn(file, format);
    return sharp(data, { raw: { width, height, channels } });
  }
  const image = sharp(file, { limitInputPixels: MAX_IMAGE_PIXELS });
  if (scale === null && format !== 'tiff') return image;
  const header = await headerOf(file, format);
  const bytes = header.hasOtherBand ? BYTES : null;
  const own = header.depth === 'uchar' ? bytes : scale;
  if (own === null) return image;
  const { data, width, height, channels } = await decodeDeep(file, header);
  return sharp(toScaledBytes(data, own), { raw: { width, height, channels } });
}
