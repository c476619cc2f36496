/**
 * Text for terminals: width in columns (wide East Asian characters take two), cutting and padding by it, bars, and
 * colours. Names and reasons come from outside, so control characters never pass.
 */

/** Characters that terminals draw two columns wide: CJK, kana, hangul, full-width forms, most emoji. */
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|[\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u;

function characterWidth(character: string): number {
  if (/\p{M}/u.test(character)) return 0;
  return WIDE.test(character) ? 2 : 1;
}

/** Columns that `text` takes; escape sequences must not be in it. */
export function displayWidth(text: string): number {
  return [...text].reduce((sum, character) => sum + characterWidth(character), 0);
}

/** `text` cut to at most `width` columns, the cut shown by an ellipsis. */
export function fitColumns(text: string, width: number): string {
  if (displayWidth(text) <= width) return text;
  let taken = '';
  let used = 0;
  for (const character of text) {
    if (used + characterWidth(character) > width - 1) break;
    taken += character;
    used += characterWidth(character);
  }
  return width < 1 ? '' : `${taken}…`;
}

/** `text` cut or padded to exactly `width` columns. */
export function padColumns(text: string, width: number, side: 'left' | 'right' = 'right'): string {
  const fitted = fitColumns(text, width);
  const blank = ' '.repeat(Math.max(0, width - displayWidth(fitted)));
  return side === 'left' ? blank + fitted : fitted + blank;
}

const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/** A bar of `width` columns, `share` in [0, 1] of it filled to an eighth of a column, the rest `rest`. */
export function bar(share: number, width: number, rest = ' '): string {
  const bounded = Number.isFinite(share) ? Math.min(1, Math.max(0, share)) : 0;
  const eighths = Math.round(bounded * width * 8);
  const filled = '█'.repeat(Math.floor(eighths / 8)) + (EIGHTHS[eighths % 8] ?? '');
  return filled + rest.repeat(Math.max(0, width - filled.length));
}

const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, blue: 34, cyan: 36 } as const;

export type Colour = keyof typeof CODES;
export type Paint = (colour: Colour, text: string) => string;

/** A painter that colours, or, when `coloured` is false, gives the text back. */
export function painter(coloured: boolean): Paint {
  return (colour, text) => (coloured && text !== '' ? `\u001b[${CODES[colour]}m${text}\u001b[0m` : text);
}

/** Whether to colour: on a terminal, unless NO_COLOR is set (no-color.org) or the terminal is dumb. */
export function wantsColour(
  isTTY: boolean,
  environment: Readonly<Record<string, string | undefined>>,
): boolean {
  return isTTY && !environment['NO_COLOR'] && environment['TERM'] !== 'dumb';
}
