/**
 * Colours and text of drawings. Two themes: `pageTheme` paints with CSS variables (light and dark are the page's
 * business), `printTheme` with fixed colours on white and stroked letters, for PNG files.
 * Series colours: Okabe and Ito's palette, which stays apart under the common colour-vision deficiencies.
 */

import { element, escapeMarkup } from './markup.ts';
import { hasStrokes, strokePath, strokeWidth } from './stroke-font.ts';

export interface Theme {
  readonly ink: string;
  readonly muted: string;
  readonly grid: string;
  readonly paper: string;
  /** The hue of heat maps. */
  readonly heat: string;
  readonly series: readonly string[];
  readonly letters: 'font' | 'strokes';
}

const LIGHT = {
  ink: '#1b1f24',
  muted: '#5b6470',
  grid: '#dde1e6',
  paper: '#ffffff',
  heat: '#004f80',
  series: ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#1b1f24', '#8a6d00'],
};
const DARK = {
  ink: '#e8eaed',
  muted: '#a3abb5',
  grid: '#363c44',
  paper: '#16191d',
  heat: '#56b4e9',
  series: ['#56b4e9', '#ef7f35', '#1fbf92', '#dc92bb', '#f0b429', '#3f8fd0', '#e8eaed', '#f0e442'],
};

export const printTheme: Theme = { ...LIGHT, letters: 'strokes' };

export const pageTheme: Theme = {
  ink: 'var(--ink)',
  muted: 'var(--muted)',
  grid: 'var(--grid)',
  paper: 'var(--paper)',
  heat: 'var(--heat)',
  series: LIGHT.series.map((_, index) => `var(--series-${index})`),
  letters: 'font',
};

/** Declarations of the variables that `pageTheme` uses. */
export function themeVariables(scheme: 'light' | 'dark'): string {
  const { series, ...plain } = scheme === 'light' ? LIGHT : DARK;
  const declared = Object.entries(plain).map(([name, colour]) => `--${name}:${colour}`);
  return [...declared, ...series.map((colour, index) => `--series-${index}:${colour}`)].join(';');
}

export function seriesColour(theme: Theme, index: number): string {
  return theme.series[index % theme.series.length] ?? theme.ink;
}

/** Second and later rounds of the palette are dashed. */
export function seriesDash(theme: Theme, index: number): string | undefined {
  return index < theme.series.length ? undefined : '5 3';
}

/** Width of `text` in pixels: exact for strokes, an estimate on the wide side for a sans-serif font. */
export function textWidth(theme: Theme, text: string, size: number): number {
  return strokeWidth(text) * size * (theme.letters === 'font' ? 1.22 : 1);
}

/** `text` cut with an ellipsis so that it fits `width` pixels. */
export function fitText(theme: Theme, text: string, size: number, width: number): string {
  if (textWidth(theme, text, size) <= width) return text;
  const characters = [...text];
  while (characters.length > 1 && textWidth(theme, `${characters.join('')}…`, size) > width) characters.pop();
  return `${characters.join('').trimEnd()}…`;
}

export interface TextStyle {
  readonly size: number;
  readonly anchor?: 'start' | 'middle' | 'end';
  readonly colour?: string;
  readonly bold?: boolean;
  /** Degrees about (x, y), clockwise. */
  readonly rotate?: number;
}

/** `text` with its baseline at (x, y). */
export function drawText(theme: Theme, text: string, x: number, y: number, style: TextStyle): string {
  const colour = style.colour ?? theme.ink;
  const transform = style.rotate === undefined ? undefined : `rotate(${style.rotate} ${x} ${y})`;
  const anchor = style.anchor ?? 'start';
  if (theme.letters === 'strokes' && hasStrokes(text)) {
    const shift = anchor === 'start' ? 0 : strokeWidth(text) * style.size * (anchor === 'end' ? 1 : 0.5);
    return element('path', {
      d: strokePath(text, x - shift, y, style.size),
      fill: 'none',
      stroke: colour,
      'stroke-width': style.size * (style.bold ? 0.13 : 0.09),
      'stroke-linecap': 'round',
      'stroke-linejoin': 'round',
      transform,
    });
  }
  const attributes = {
    x,
    y,
    'font-size': style.size,
    'font-family': theme.letters === 'strokes' ? 'sans-serif' : undefined,
    'font-weight': style.bold ? 600 : undefined,
    'text-anchor': anchor === 'start' ? undefined : anchor,
    fill: colour,
    transform,
  };
  return element('text', attributes, escapeMarkup(text));
}
