/**
 * Colours and type of every chart, on pages and in pictures. Series colours are Okabe and Ito's palette, which stays
 * apart under the common colour-vision deficiencies; in the dark scheme they are lighter.
 */

export interface ChartTheme {
  readonly name: 'light' | 'dark' | 'print';
  readonly ink: string;
  readonly muted: string;
  readonly grid: string;
  readonly paper: string;
  /** The two ends of a sequential scale, none to all. */
  readonly scale: readonly [string, string];
  readonly series: readonly string[];
  readonly font: string;
}

const LIGHT = {
  ink: '#1b1f24',
  muted: '#59626e',
  grid: '#e3e6ea',
  paper: '#ffffff',
  scale: ['#eef3f8', '#004f80'],
  series: ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#1b1f24', '#8a6d00'],
} as const;

const PAGE_FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';

export const lightTheme: ChartTheme = { name: 'light', ...LIGHT, font: PAGE_FONT };

export const darkTheme: ChartTheme = {
  name: 'dark',
  ink: '#e8eaed',
  muted: '#a3abb5',
  grid: '#30363d',
  paper: '#16191d',
  scale: ['#1e252c', '#6cc4f5'],
  series: ['#56b4e9', '#ef7f35', '#1fbf92', '#dc92bb', '#f0b429', '#3f8fd0', '#e8eaed', '#f0e442'],
  font: PAGE_FONT,
};

/** Pictures: on white, in the font that comes with Ballast (pictures/font.ts). */
export const printTheme: ChartTheme = { name: 'print', ...LIGHT, font: 'DejaVu Sans' };

export function seriesColour(theme: ChartTheme, index: number): string {
  return theme.series[index % theme.series.length] ?? theme.ink;
}

/** Second and later rounds of the palette are dashed. */
export function seriesDash(theme: ChartTheme, index: number): 'solid' | 'dashed' {
  return index < theme.series.length ? 'solid' : 'dashed';
}
