/**
 * Letters as pen strokes, so that PNG charts and grids carry their labels on machines without any font (slim
 * containers have none, and the SVG renderer then draws empty boxes). Covers ASCII and the few signs we print;
 * accents are dropped. Text outside it (Chinese class names, say) is left to the system's fonts.
 *
 * A glyph is strokes of points `xy` in base 36 on a grid: capitals from y = 0 down to the baseline y = 9,
 * small letters from y = 3, descenders to y = 12 ('c').
 */

const GLYPHS: Readonly<Record<string, string>> = {
  A: '093069 1656',
  B: '09004051534404 4455584909',
  C: '5140100108194958',
  D: '00305257390900',
  E: '50000959 0444',
  F: '500009 0444',
  G: '51401001081949585535',
  H: '0009 5059 0454',
  I: '0009',
  J: '4048391908',
  K: '0009 5005 2359',
  L: '000959',
  M: '0900356069',
  N: '09005950',
  O: '104051584919080110',
  P: '09004051544505',
  Q: '104051584919080110 375a',
  R: '09004051544505 2559',
  S: '514010010314445558491908',
  T: '0060 3039',
  U: '000819495850',
  V: '003960',
  W: '0029426980',
  X: '0059 5009',
  Y: '003460 3439',
  Z: '00500959',
  a: '4433130408193948 4349',
  b: '0009 0413334448391908',
  c: '4433130408193948',
  d: '4049 4433130408193948',
  e: '06464433130408193948',
  f: '30201119 0333',
  g: '4433130408193948 434b3c1c0b',
  h: '0009 0513334449',
  i: '0309 0001',
  j: '131b0c 1011',
  k: '0009 4307 2549',
  l: '000819',
  m: '0309 0413233439 3443536469',
  n: '0309 0513334449',
  o: '133344483919080413',
  p: '030c 0413334448391908',
  q: '434c 4433130408193948',
  r: '0309 051333',
  s: '443313040516364748391908',
  t: '10182939 0333',
  u: '0308193947 4349',
  v: '032943',
  w: '0319345963',
  x: '0349 4309',
  y: '0329 431c0c',
  z: '03430949',
  0: '103041483919080110',
  1: '022029 0949',
  2: '01103041430949',
  3: '01103041433414 344548391908',
  4: '39300646',
  5: '400004344548391908',
  6: '4130100108193948453404',
  7: '004019',
  8: '14030110304143341405081939484534',
  9: '0819394841301001041545',
  '.': '0809',
  ',': '180b',
  ':': '0405 0809',
  ';': '1415 180b',
  '!': '0006 0809',
  '?': '01103041432526 2829',
  "'": '0002',
  '"': '0002 2022',
  '(': '2003072a',
  ')': '0023270a',
  '[': '20000a2a',
  ']': '00202a0a',
  '{': '302011140516192a3a',
  '}': '001021243526291a0a',
  '/': '4009',
  '\\': '0049',
  '|': '000a',
  '-': '0636',
  _: '0a4a',
  '+': '0646 2428',
  '=': '0545 0747',
  '*': '2125 0244 0442',
  '#': '2119 4139 0353 0656',
  '%': '01102122130201 6009 47566768594847',
  '&': '591311203041420608193956',
  '@': '46442426466661501001081959',
  $: '514010010314445558491908 3a3a 2029',
  '<': '430649',
  '>': '034609',
  '^': '022042',
  '~': '06153645',
  '`': '0011',
  '±': '0444 2226 0848',
  '×': '0448 4408',
  '−': '0646',
  '–': '0646',
  '—': '0666',
  '·': '0506',
  '…': '0809 2829 4849',
  Δ: '09306909',
  '→': '0666 446648',
  '°': '0110211201',
  '’': '0002',
};

/** Ems per grid unit: capitals are 0.72 em high. */
const UNIT = 0.08;
const BASELINE = 9;
/** White space after a glyph, and the width of a blank, in grid units. */
const GAP = 2.6;
const BLANK = 4;

type Point = readonly [x: number, y: number];
interface Glyph {
  readonly strokes: readonly (readonly Point[])[];
  readonly width: number;
}

function parseGlyph(code: string): Glyph {
  const strokes = code
    .split(' ')
    .map((stroke) =>
      (stroke.match(/../g) ?? []).map((pair): Point => [
        parseInt(pair.charAt(0), 36),
        parseInt(pair.charAt(1), 36),
      ]),
    );
  return { strokes, width: Math.max(...strokes.flat().map(([x]) => x)) };
}

const PARSED: ReadonlyMap<string, Glyph> = new Map(
  Object.entries(GLYPHS).map(([character, code]) => [character, parseGlyph(code)]),
);

function withoutAccents(text: string): string {
  return text.normalize('NFD').replace(/\p{M}/gu, '');
}

/** Whether every character of `text` can be drawn with strokes. */
export function hasStrokes(text: string): boolean {
  return [...withoutAccents(text)].every((character) => character === ' ' || PARSED.has(character));
}

/** Width of `text` in ems; characters outside the font count as one em. */
export function strokeWidth(text: string): number {
  const advances = [...withoutAccents(text)].map((character) => {
    const glyph = PARSED.get(character);
    return glyph === undefined ? (character === ' ' ? BLANK : 1 / UNIT) : glyph.width + GAP;
  });
  return UNIT * advances.reduce((sum, advance) => sum + advance, 0);
}

/** SVG path data of `text` with the left end of its baseline at (x, y), `size` pixels to the em. */
export function strokePath(text: string, x: number, y: number, size: number): string {
  const unit = size * UNIT;
  const round = (value: number): number => Math.round(value * 100) / 100;
  let left = x;
  let path = '';
  for (const character of withoutAccents(text)) {
    const glyph = PARSED.get(character);
    for (const stroke of glyph?.strokes ?? []) {
      path += stroke
        .map(
          ([px, py], index) =>
            `${index ? 'L' : 'M'}${round(left + px * unit)} ${round(y + (py - BASELINE) * unit)}`,
        )
        .join('');
    }
    left += unit * (glyph === undefined ? BLANK : glyph.width + GAP);
  }
  return path;
}
