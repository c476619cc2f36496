/** Aligned tables and short texts for people. Plain values in, text out. */
import type { Labels, Resources } from '../../actors/status/status.ts';

export interface Column<Row> {
  readonly title: string;
  readonly text: (row: Row) => string;
  readonly alignsRight?: boolean;
}

const GAP = '  ';
const WIDTH = 100;
const MIB = 1024 * 1024;

/**
 * A table with a line for each row, and below it the row's note, if it has one, indented and wrapped to 100 columns.
 * A column that is empty in every row is left out.
 */
export function renderTable<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  note: (row: Row) => string = () => '',
): string {
  const cells = columns.map(({ title, text, alignsRight = false }) => ({
    texts: [title, ...rows.map(text)],
    alignsRight,
  }));
  const shown = cells.filter(({ texts }) => rows.length === 0 || texts.slice(1).some((text) => text !== ''));
  const line = (index: number) =>
    shown
      .map(({ texts, alignsRight }) => {
        const width = Math.max(...texts.map((text) => text.length));
        const text = texts[index] ?? '';
        return alignsRight ? text.padStart(width) : text.padEnd(width);
      })
      .join(GAP)
      .trimEnd();
  const lines = [line(0), ...rows.flatMap((row, index) => [line(index + 1), ...indented(note(row))])];
  return lines.map((text) => `${text}\n`).join('');
}

/** A text in lines of at most 100 columns, each indented. */
export function indented(text: string): string[] {
  if (text === '') return [];
  const lines: string[] = [];
  let current = '';
  for (const word of text.split(/\s+/)) {
    const longer = current === '' ? word : `${current} ${word}`;
    if (current !== '' && GAP.length + longer.length > WIDTH) {
      lines.push(GAP + current);
      current = word;
    } else current = longer;
  }
  return [...lines, GAP + current];
}

/** `7.8 GiB`, `512 B`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, Math.abs(bytes))) / 10));
  const amount = bytes / 1024 ** power;
  return `${power === 0 ? amount : trimmed(amount, 1)} ${units[power]}`;
}

/** `43 s`, `12 min`, `3.5 h`, `8 d`. */
export function formatAge(fromIso: string, nowMs: number): string {
  const seconds = Math.max(0, (nowMs - Date.parse(fromIso)) / 1000);
  if (Number.isNaN(seconds)) return '';
  if (seconds < 120) return `${Math.floor(seconds)} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172_800) return `${trimmed(seconds / 3600, 1)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** `cpu 4, gpu 1, memory 7.8 GiB`. */
export function formatResources(resources: Resources): string {
  return inOrder(resources)
    .map((name) => `${shortName(name)} ${formatAmount(name, resources[name] ?? 0)}`)
    .join(', ');
}

/** `cpu 3/4, gpu 0/1, memory 6/7.8 GiB`: what is free of what there is. */
export function formatFree(free: Resources, total: Resources): string {
  return inOrder(total)
    .map((name) => {
      const has = formatAmount(name, total[name] ?? 0);
      const left = formatAmount(name, free[name] ?? 0);
      const [amount, unit] = left.split(' ');
      const isSameUnit = unit === has.split(' ')[1];
      return `${shortName(name)} ${isSameUnit ? amount : left}/${has}`;
    })
    .join(', ');
}

/** `zone=a,disk=ssd`. */
export function formatLabels(labels: Labels): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
}

/** `2 nodes`, `1 node`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

function shortName(resource: string): string {
  return resource === 'memoryBytes' ? 'memory' : resource;
}

function formatAmount(resource: string, amount: number): string {
  if (resource !== 'memoryBytes') return trimmed(amount, 3);
  return amount < MIB ? formatBytes(amount) : formatBytes(Math.round(amount / MIB) * MIB);
}

/** cpu, gpu and memory first, then the others by name. */
function inOrder(resources: Resources): string[] {
  const first = ['cpu', 'gpu', 'memoryBytes'].filter((name) => name in resources);
  const others = Object.keys(resources).filter((name) => !first.includes(name));
  return [...first, ...others.sort()];
}

function trimmed(value: number, digits: number): string {
  return String(Number(value.toFixed(digits)));
}
