/**
 * The font of pictures: DejaVu Sans, which comes with Ballast, so that pictures look the same on a machine without
 * fonts. The file is registered once with libvips, which draws text and SVG for sharp; letters missing from the font
 * come from the machine's fonts.
 */
import { createRequire } from 'node:module';
import sharp from 'sharp';

export const PICTURE_FONT = 'DejaVu Sans';

let loading: Promise<void> | null = null;

/** Resolves when SVG texts in the font can be drawn. */
export function loadPictureFont(): Promise<void> {
  loading ??= load();
  return loading;
}

/** libvips adds a text's font file to the fonts of the whole process, SVG's among them. */
async function load(): Promise<void> {
  const fontfile = createRequire(import.meta.url).resolve('dejavu-fonts-ttf/ttf/DejaVuSans.ttf');
  await sharp({ text: { text: 'x', font: `${PICTURE_FONT} 10`, fontfile } }).toBuffer();
}

/** Width of a character in ems, near enough to lay texts out: DejaVu Sans is 0.6 on average, CJK is 1. */
function widthOf(character: string): number {
  if (/[\u1100-\u11ff\u2e80-\uffef]/.test(character)) return 1;
  if (/[iljI.,:;'|!()[\]\s/]/.test(character)) return 0.38;
  if (/[mwMW@%]/.test(character)) return 0.98;
  return /[A-Z]/.test(character) ? 0.72 : 0.64;
}

/** Width of a text in pixels, on the wide side. */
export function textWidth(text: string, sizePx: number): number {
  return [...text].reduce((sum, character) => sum + widthOf(character), 0) * sizePx;
}

/** `text` cut with an ellipsis so that it fits `widthPx`. */
export function fitText(text: string, sizePx: number, widthPx: number): string {
  if (textWidth(text, sizePx) <= widthPx) return text;
  const characters = [...text];
  while (characters.length > 1 && textWidth(`${characters.join('')}…`, sizePx) > widthPx) characters.pop();
  return `${characters.join('').trimEnd()}…`;
}
