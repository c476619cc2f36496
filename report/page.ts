/**
 * The frame of a report page: one HTML file that opens from disk, asks the network for nothing (its policy forbids
 * it), follows the reader's light or dark scheme, fits a phone, and prints.
 */

import { themeVariables } from './chart-theme.ts';
import { element, escapeMarkup } from './markup.ts';

const STYLE = `
:root{color-scheme:light dark;${themeVariables('light')};--card:#f6f7f9;--good:#006b4f}
@media (prefers-color-scheme:dark){:root{${themeVariables('dark')};--card:#1e2227;--good:#4fd0a5}}
@media print{:root{${themeVariables('light')};--card:#fff;--good:#006b4f}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main{max-width:1180px;margin:0 auto;padding:28px 20px 60px}
h1{font-size:26px;line-height:1.25;margin:0 0 6px}
h2{font-size:18px;margin:44px 0 4px}
h3{font-size:14px;margin:18px 0 4px}
p{margin:6px 0;max-width:76ch}
a{color:var(--heat)}
.lead{font-size:17px}
.note{color:var(--muted);font-size:13.5px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(140px,1fr));gap:10px;margin:18px 0}
.tile{background:var(--card);border:1px solid var(--grid);border-radius:8px;padding:10px 14px}
.tile b{display:block;font-size:22px;line-height:1.3;font-variant-numeric:tabular-nums}
.tile span{color:var(--muted);font-size:13px}
.scroll{overflow-x:auto;margin:10px 0}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:14px}
th,td{padding:5px 9px;text-align:right;border-bottom:1px solid var(--grid);white-space:nowrap}
th:first-child,td:first-child{text-align:left;padding-left:2px}
th{color:var(--muted);font-weight:500;vertical-align:bottom;white-space:normal;line-height:1.3}
td.best{font-weight:650;color:var(--good)}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,345px),1fr));gap:22px 24px;margin:12px 0;align-items:start}
.figures.wide{grid-template-columns:repeat(auto-fit,minmax(min(100%,460px),1fr))}
.panels{display:grid;grid-template-columns:repeat(auto-fill,minmax(168px,1fr));gap:14px 20px;margin:12px 0;max-width:1140px}
.panels svg{width:100%}
svg{display:block;max-width:100%;height:auto;font-family:inherit;overflow:visible}
.entry{display:inline-block;margin-right:16px}
.key{display:inline-block;width:10px;height:10px;border-radius:2px;margin-right:6px}
.frames input{position:absolute;opacity:0;pointer-events:none}
.frames label{display:inline-block;min-width:32px;text-align:center;padding:3px 8px;margin:0 4px 6px 0;border:1px solid var(--grid);border-radius:6px;background:var(--card);cursor:pointer;font-size:13px;font-variant-numeric:tabular-nums}
.frames figure{display:none;margin:8px 0}
.frames img{max-width:100%;height:auto;image-rendering:pixelated;background:#fff;border-radius:4px}
figcaption{color:var(--muted);font-size:13.5px}
dl{display:grid;grid-template-columns:max-content 1fr;gap:3px 18px;margin:10px 0;font-size:14px}
dt{color:var(--muted)}
dd{margin:0;overflow-wrap:anywhere}
code,pre{font:13px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
pre{background:var(--card);border:1px solid var(--grid);border-radius:8px;padding:10px 14px;overflow-x:auto;white-space:pre-wrap;overflow-wrap:anywhere}
summary{cursor:pointer;margin:12px 0 4px}
footer{margin-top:48px;color:var(--muted);font-size:13px;border-top:1px solid var(--grid);padding-top:10px}
@media (max-width:520px){main{padding:18px 14px 40px}h1{font-size:21px}th,td{padding:5px 8px}.tiles{grid-template-columns:repeat(2,1fr)}dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:6px}}
@media print{body{font-size:12px}main{max-width:none;padding:0}h2,.note{break-after:avoid}.figures.wide{grid-template-columns:1fr 1fr}svg,.tile,tr,figure{break-inside:avoid}.scroll{overflow:visible}.frames label{display:none}}
`;

const POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data: file:";

/** A whole document. `body` is markup; `title` is text; `style` is added to the page's own. */
export function page(title: string, body: readonly string[], style = ''): string {
  return [
    '<!doctype html>',
    '<html lang="en">',
    '<head>',
    '<meta charset="utf-8">',
    `<meta http-equiv="Content-Security-Policy" content="${POLICY}">`,
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    '<meta name="color-scheme" content="light dark">',
    `<title>${escapeMarkup(title)}</title>`,
    `<style>${STYLE}${style}</style>`,
    '</head>',
    `<body><main>`,
    ...body,
    '<footer>Made by Ballast. This page is one file; it opens from disk and loads nothing from the network.</footer>',
    '</main></body>',
    '</html>',
    '',
  ].join('\n');
}

/** Text as an element: escaped. */
export function text(name: string, content: string, className?: string): string {
  return element(name, { class: className }, escapeMarkup(content));
}

export interface Tile {
  readonly value: string;
  readonly label: string;
}

export function tiles(entries: readonly Tile[]): string {
  const boxes = entries.map(({ value, label }) =>
    element('div', { class: 'tile' }, text('b', value), text('span', label)),
  );
  return element('div', { class: 'tiles' }, ...boxes);
}

export interface Cell {
  readonly text: string;
  readonly best?: boolean;
  /** A relative address inside the folder of the page. */
  readonly href?: string;
}

function tableCell({ text: content, best, href }: Cell): string {
  const inner = escapeMarkup(content);
  return element(
    'td',
    { class: best ? 'best' : undefined },
    href === undefined ? inner : element('a', { href }, inner),
  );
}

/** A table that scrolls inside itself where the screen is narrow. */
export function table(head: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const header = element('tr', {}, ...head.map((name) => text('th', name)));
  const body = rows.map((row) => element('tr', {}, ...row.map(tableCell)));
  return element(
    'div',
    { class: 'scroll' },
    element('table', {}, element('thead', {}, header), element('tbody', {}, ...body)),
  );
}

/** Names with values. */
export function definitions(entries: readonly (readonly [name: string, value: string])[]): string {
  return element('dl', {}, ...entries.map(([name, value]) => text('dt', name) + text('dd', value)));
}

/** A section with its heading and a sentence on how to read it. */
export function section(title: string, note: string, ...content: readonly string[]): string {
  return element('section', {}, text('h2', title), note === '' ? '' : text('p', note, 'note'), ...content);
}

export function figures(drawings: readonly string[], wide = false): string {
  return element(
    'div',
    { class: wide ? 'figures wide' : 'figures' },
    ...drawings.filter((svg) => svg !== '').map((svg) => element('div', {}, svg)),
  );
}

export interface Frame {
  /** What its button says. */
  readonly name: string;
  readonly caption: string;
  /** A data: URI, or an address relative to the page. */
  readonly source: string;
}

export interface Frames {
  readonly markup: string;
  /** Rules that show the chosen frame; belongs into the page's style. */
  readonly style: string;
}

/**
 * Pictures to step through by buttons or arrow keys, without a script: radio buttons choose which one is shown. `id`
 * is unique in the page, letters and digits only. The last frame is shown first.
 */
export function frames(id: string, entries: readonly Frame[]): Frames {
  const names = entries.map((_, index) => `${id}-${index}`);
  const inputs = names.map((name, index) => {
    const chosen = index === names.length - 1 ? ' checked' : '';
    return `<input type="radio" name="${id}" id="${name}"${chosen} aria-label="${escapeMarkup(entries[index]?.name ?? '')}">`;
  });
  const labels = entries.map((entry, index) =>
    element('label', { for: names[index] }, escapeMarkup(entry.name)),
  );
  const pictures = entries.map(
    ({ caption, source }, index) =>
      `<figure id="${names[index]}-figure"><figcaption>${escapeMarkup(caption)}</figcaption>` +
      `<img src="${escapeMarkup(source)}" alt="${escapeMarkup(caption)}"></figure>`,
  );
  const style = names.map(
    (name) =>
      `#${name}:checked~#${name}-figure{display:block}` +
      `#${name}:checked~div label[for=${name}]{background:var(--heat);border-color:var(--heat);color:var(--paper)}` +
      `#${name}:focus-visible~div label[for=${name}]{outline:2px solid var(--ink);outline-offset:2px}`,
  );
  const buttons = entries.length > 1 ? element('div', {}, ...labels) : '';
  return {
    markup: element('div', { class: 'frames' }, ...inputs, buttons, ...pictures),
    style: style.join('\n'),
  };
}
