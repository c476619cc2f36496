/** Elements from plain values. Text becomes text: nothing here, or anywhere in the page, parses markup. */

type Child = Node | string | number | null | undefined | false;
type Props = Readonly<
  Record<string, string | number | boolean | null | undefined | ((event: Event) => void)>
>;

/** An element: functions become listeners of `on…`, true an empty attribute; false, null and undefined leave it out. */
export function h<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  props: Props = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Name] {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === 'function') element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? '' : String(value));
  }
  element.append(...nodes(children));
  return element;
}

function nodes(children: readonly Child[]): (Node | string)[] {
  return children.flatMap((child) =>
    child === null || child === undefined || child === false
      ? []
      : [typeof child === 'number' ? String(child) : child],
  );
}

export function replace(parent: Element, ...children: readonly Child[]): void {
  parent.replaceChildren(...nodes(children));
}

/** Sets a text only where it changed, so that screen readers and selections are left in peace. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

let ids = 0;
export function newId(prefix: string): string {
  return `${prefix}-${++ids}`;
}

/** A field with its label. */
export function labelled<Field extends HTMLElement>(label: string, field: Field): HTMLLabelElement {
  return h('label', { class: 'field' }, h('span', {}, label), field);
}

export function button(text: string, onClick: () => void, props: Props = {}): HTMLButtonElement {
  return h('button', { type: 'button', onclick: onClick, ...props }, text);
}

export interface Cell {
  readonly text: string;
  readonly href?: string;
  readonly isBest?: boolean;
  readonly isNumber?: boolean;
  /** A share of 1 that is drawn behind the text. */
  readonly share?: number | null;
}

/** One choice for each name. */
export function optionsOf(names: readonly string[]): HTMLOptionElement[] {
  return names.map((name) => h('option', { value: name }, name));
}

/** A table that scrolls inside itself; the first cell of each row names it. */
export function table(
  caption: string,
  head: readonly string[],
  rows: readonly (readonly Cell[])[],
): HTMLElement {
  const header = h(
    'tr',
    {},
    ...head.map((name) => (name === '' ? h('td') : h('th', { scope: 'col' }, name))),
  );
  const body = rows.map((cells) => h('tr', {}, ...cells.map((cell, index) => tableCell(cell, index === 0))));
  return scrollingTable(caption, header, body);
}

/** A table of ready rows that scrolls inside itself. */
export function scrollingTable(
  caption: string,
  head: HTMLTableRowElement,
  body: readonly HTMLTableRowElement[],
  tableClass: string | null = null,
): HTMLElement {
  const inner = h(
    'table',
    { class: tableClass },
    h('caption', { class: 'hidden' }, caption),
    h('thead', {}, head),
    h('tbody', {}, ...body),
  );
  return h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': `${caption}: table` }, inner);
}

/** A name such as `oversample+mixup-seed1`, which a narrow cell breaks after a `+`. */
export function breakable(name: string): Child[] {
  return name.split(/(?<=\+)/).flatMap((part, index) => (index === 0 ? [part] : [h('wbr'), part]));
}

export function tableCell({ text, href, isBest, isNumber, share }: Cell, isName: boolean): HTMLElement {
  const words = isName ? breakable(text) : [text];
  const content = href === undefined ? words : [h('a', { href }, ...words)];
  const className = [isBest ? 'best' : '', isNumber ? 'number' : ''].filter(Boolean).join(' ') || null;
  const cell = isName ? h('th', { scope: 'row' }, ...content) : h('td', { class: className }, ...content);
  if (typeof share === 'number') {
    const bar = h('span', { class: 'meter', 'aria-hidden': 'true' });
    bar.style.setProperty('--share', String(Math.max(0, Math.min(1, share))));
    cell.append(bar);
  }
  return cell;
}

/** A section with its heading and a sentence on how to read it. */
export function section(id: string, title: string, note: string, ...content: readonly Child[]): HTMLElement {
  return h(
    'section',
    { id, 'aria-labelledby': `${id}-title` },
    h('h2', { id: `${id}-title` }, title),
    note !== '' && h('p', { class: 'note' }, note),
    ...content,
  );
}
