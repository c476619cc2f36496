/**
 * Looks at an image file before a decoder does: it must be a file, not too large, and begin as a picture of pixels does.
 * What else the decoder could read is refused: SVG is a program that draws and names other files.
 */
import { readStart } from '../common/bounded-file.ts';
import { toError, UserError } from '../common/errors.ts';
import { MAX_IMAGE_FILE_BYTES } from './limits.ts';

const START_BYTES = 16;

const STARTS: readonly RegExp[] = [
  /^\xff\xd8\xff/, // JPEG
  /^\x89PNG\r\n\x1a\n/,
  /^GIF8[79]a/,
  /^RIFF[^]{4}WEBP/,
  /^(?:II[*+]\0|MM\0[*+])/, // TIFF, also BigTIFF
  /^[^]{4}ftyp/, // AVIF, HEIC
];

/** @throws Error with the reason, without the file's name. */
export async function checkImageFile(file: string): Promise<void> {
  let start: string;
  try {
    start = (await readStart(file, START_BYTES, MAX_IMAGE_FILE_BYTES)).toString('latin1');
  } catch (thrown) {
    const { message } = toError(thrown);
    throw thrown instanceof UserError ? new Error(message.slice(file.length + 2), { cause: thrown }) : thrown;
  }
  if (STARTS.some((pattern) => pattern.test(start))) return;
  throw new Error('unsupported image format: it is no JPEG, PNG, WebP, TIFF, GIF or AVIF');
}
