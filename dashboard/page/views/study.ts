/** A study's results.json: its tables as they are, rows of named values, whatever a study measures. */
import { decimal } from '../../../report/format.ts';
import { h, section, table } from '../dom.ts';

type Json = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export function studyPage(results: Json): HTMLElement {
  const title = typeof results['title'] === 'string' ? results['title'] : 'Study';
  const lists = Object.entries(results).filter(
    (entry): entry is [string, readonly Json[]] =>
      Array.isArray(entry[1]) && entry[1].length > 0 && entry[1].every(isObject),
  );
  const facts = Object.entries(results).filter(
    ([name, value]) => name !== 'title' && !isObject(value) && !Array.isArray(value),
  );
  return h(
    'div',
    { class: 'run' },
    h('header', { class: 'run-head' }, h('h1', {}, title)),
    h(
      'dl',
      { class: 'facts' },
      ...facts.flatMap(([name, value]) => [h('dt', {}, name), h('dd', {}, show(value))]),
    ),
    ...lists.map(([name, rows], index) => section(`list-${index}`, name, '', rowsTable(name, rows))),
  );
}

function rowsTable(name: string, rows: readonly Json[]): HTMLElement {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))].filter((column) =>
    rows.some((row) => !Array.isArray(row[column])),
  );
  return table(
    name,
    columns,
    rows.map((row) =>
      columns.map((column) => ({ text: show(row[column]), isNumber: typeof row[column] === 'number' })),
    ),
  );
}

function show(value: unknown): string {
  if (typeof value === 'number') return Number.isInteger(value) ? String(value) : decimal(value, 4);
  if (value === null || value === undefined) return '–';
  return typeof value === 'string' ? value : JSON.stringify(value);
}
