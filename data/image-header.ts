/**
 * Checks the first bytes of an image file before a decoder reads it: it must be a regular file, not too large, with the
 * signature of a raster image. Other formats that the decoder could read are refused: an SVG is a program that draws
 * and names other files. Known formats that cannot be decoded are named, with a remedy.
 */
import { readStart } from '../common/bounded-file.ts';
import { readableError, toError, UserError } from '../common/errors.ts';
import { MAX_IMAGE_FILE_BYTES } from './limits.ts';

/** DICOM says its name after 128 bytes. */
const START_BYTES = 132;
/** Sizes of BMP's second header: OS/2, Windows 3, NT, 4 and 5. */
const BMP_HEADERS = new Set([12, 40, 52, 56, 64, 108, 124]);

/** Sharp decodes all but BMP and PNM. */
export type ImageFormat = 'sharp' | 'tiff' | 'bmp' | 'pnm';

const TIFF = /^(?:II[*+]\0|MM\0[*+])/; // also BigTIFF

/** Other formats that sharp decodes. */
const DECODED: readonly RegExp[] = [
  /^\xff\xd8\xff/, // JPEG
  /^\x89PNG\r\n\x1a\n/,
  /^GIF8[79]a/,
  /^RIFF[^]{4}WEBP/,
  /^[^]{4}ftyp(?:avi[fs]|mi[fa][1f])/, // AVIF
];

const KNOWN: readonly (readonly [RegExp, string])[] = [
  [/^[^]{128}DICM/, 'it is DICOM, which is not read; write PNG files (dcmj2pnm --write-16-bit-png of DCMTK, or pydicom with Pillow)'],
  [/^(?:\0\0\0\x0cjP {2}\r\n\x87\n|\xff\x4f\xff\x51)/, 'it is JPEG 2000, which is not read; write PNG files (opj_decompress of OpenJPEG)'],
  [/^(?:\xff\x0a|\0\0\0\x0cJXL )/, 'it is JPEG XL, which is not read; write PNG files (djxl)'],
  [/^[^]{4}ftyp(?:hei|hev|msf)/, 'it is HEIC, which is not read; write JPEG or PNG files (heif-convert)'],
]; // prettier-ignore

/** Chooses the decoder of `file`. @throws Error with the reason, without the file's name. */
export async function checkImageFile(file: string): Promise<ImageFormat> {
  const start = await startOf(file);
  const format = formatOf(start);
  if (format !== null) return format;
  const known = KNOWN.find(([pattern]) => pattern.test(start));
  if (known) throw new Error(`unsupported image format: ${known[1]}`);
  throw new Error('unsupported image format: it is not a JPEG, PNG, WebP, TIFF, GIF, AVIF, BMP or PNM');
}

/** Whether `file` begins as a picture does, also one that cannot be decoded. False for what cannot be read. */
export async function looksLikeImage(file: string): Promise<boolean> {
  try {
    const start = await startOf(file);
    return formatOf(start) !== null || KNOWN.some(([pattern]) => pattern.test(start));
  } catch {
    return false;
  }
}

function formatOf(start: string): ImageFormat | null {
  if (TIFF.test(start)) return 'tiff';
  if (DECODED.some((pattern) => pattern.test(start))) return 'sharp';
  if (start.startsWith('BM') && BMP_HEADERS.has(start.charCodeAt(14)) && start.charCodeAt(15) === 0)
    return 'bmp';
  return /^P[1-6]\s\s*[#\d]/.test(start) ? 'pnm' : null;
}

async function startOf(file: string): Promise<string> {
  try {
    return (await readStart(file, START_BYTES, MAX_IMAGE_FILE_BYTES)).toString('latin1');
  } catch (thrown) {
    if (thrown instanceof UserError)
      throw new Error(toError(thrown).message.slice(file.length + 2), { cause: thrown });
    throw new Error(toError(readableError(thrown, '')).message.replace(/^: /, ''), { cause: thrown });
  }
}
