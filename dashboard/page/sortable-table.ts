/** Tables that a click on a column's head sorts, and that are redrawn without losing focus or scroll position. */
import { button, h } from './dom.ts';

export interface Sorting<Key extends string> {
  sort: Key;
  isDown: boolean;
}

/** Sorts by `key`; the other way round where that is so already. `startsDown`: largest first at the first click. */
export function turnSorting<Key extends string>(sorting: Sorting<Key>, key: Key, startsDown: boolean): void {
  sorting.isDown = sorting.sort === key ? !sorting.isDown : startsDown;
  sorting.sort = key;
}

/** The heads of the columns, each a button. */
export function sortableHeads<Key extends string>(
  columns: readonly { readonly key: Key; readonly title: string }[],
  sorting: Readonly<Sorting<Key>>,
  onSort: (key: Key) => void,
): HTMLTableCellElement[] {
  return columns.map(({ key, title }) => {
    const direction = sorting.sort !== key ? 'none' : sorting.isDown ? 'descending' : 'ascending';
    return h(
      'th',
      { scope: 'col', 'aria-sort': direction },
      button(title, () => onSort(key), { class: 'sort', 'data-key': `sort-${key}` }),
    );
  });
}

/** Draws what `holder` holds; the element with the focus has it again afterwards, if one has the same `data-key`. */
export function keepFocus(holder: HTMLElement, draw: () => void): void {
  const key = holder.contains(document.activeElement)
    ? (document.activeElement as HTMLElement).dataset['key']
    : undefined;
  const scroll = holder.querySelector('.scroll')?.scrollTop ?? 0;
  draw();
  const pane = holder.querySelector('.scroll');
  if (pane !== null) pane.scrollTop = scroll;
  if (key === undefined) return;
  for (const element of holder.querySelectorAll<HTMLElement>('[data-key]'))
    if (element.dataset['key'] === key) element.focus();
}
