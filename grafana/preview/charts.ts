/** Panels as SVG and HTML, about as Grafana draws them: enough to judge what a panel says, not how it is styled. */
import type { PanelJson } from '../panel-files.ts';
import { formatValue } from './units.ts';

export interface NamedSeries {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly values: readonly (readonly [seconds: number, value: number])[];
}

export interface Area {
  readonly width: number;
  readonly height: number;
}

const PALETTE = ['#73bf69', '#f2cc0c', '#5794f2', '#ff9830', '#f2495c', '#8ab8ff', '#b877d9', '#ffa6b0', '#96d98d', '#ffee52', '#c0d8ff', '#ffb357']; // prettier-ignore
const COLORS: Readonly<Record<string, string>> = { green: '#37872d', orange: '#e0752d', red: '#c4162a', blue: '#3274d9', text: '#d0d0d8' }; // prettier-ignore
const LEFT = 58;
const BOTTOM = 18;
const LEGEND_LINE = 15;

/** The content of a panel's frame. */
export function drawPanel(panel: PanelJson, series: readonly NamedSeries[], area: Area): string {
  if (panel.type === 'table') return drawTable(panel, series);
  if (series.length === 0) return '<p class="none">No data</p>';
  switch (panel.type) {
    case 'stat':
      return drawStat(panel, series, area);
    case 'bargauge':
      return drawBars(panel, series, area);
    case 'timeseries':
      return drawLines(panel, series, area);
    default:
      return panel.type satisfies never;
  }
}

export function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

function lastOf({ values }: NamedSeries): number {
  return values.at(-1)?.[1] ?? NaN;
}

function colorAt({ fieldConfig }: PanelJson, value: number): string {
  const { steps } = fieldConfig.defaults.thresholds;
  const step = steps.findLast((each) => each.value === null || value >= each.value);
  return COLORS[step?.color ?? 'text']!;
}

function textOf({ fieldConfig }: PanelJson, value: number): string {
  const { unit, decimals, mappings } = fieldConfig.defaults;
  const words = mappings[0]?.['options'] as Readonly<Record<string, { text: string }>> | undefined;
  return words?.[String(value)]?.text ?? formatValue(value, unit, decimals);
}

function drawStat(panel: PanelJson, series: readonly NamedSeries[], { width, height }: Area): string {
  const first = series[0]!;
  const value = lastOf(first);
  const hasBackground = panel.fieldConfig.defaults.thresholds.steps.length > 1;
  const background = hasBackground ? colorAt(panel, value) : 'none';
  const spark = polyline(first.values, { x: 0, y: height * 0.55, width, height: height * 0.4 });
  return svg(
    { width, height },
    `<rect width="${width}" height="${height}" fill="${background}"/>` +
      `<polyline points="${spark}" fill="none" stroke="#ffffff66" stroke-width="2"/>` +
      `<text x="${width / 2}" y="${height / 2 + 10}" text-anchor="middle" font-size="34" fill="#fff">${escapeHtml(textOf(panel, value))}</text>`,
  );
}

function drawBars(panel: PanelJson, series: readonly NamedSeries[], { width, height }: Area): string {
  const { min = 0, max = Math.max(...series.map(lastOf)) } = panel.fieldConfig.defaults;
  const line = Math.min(34, (height - 6) / series.length);
  const bars = series.map((each, i) => {
    const value = lastOf(each);
    const share = Math.max(0, Math.min(1, (value - min) / (max - min || 1)));
    const [y, full] = [i * line + 4, width - 200];
    return (
      `<text x="0" y="${y + line * 0.6}" font-size="12" fill="#ccccdc">${escapeHtml(each.name)}</text>` +
      `<rect x="110" y="${y}" width="${full}" height="${line * 0.75}" fill="#2b2f36"/>` +
      `<rect x="110" y="${y}" width="${full * share}" height="${line * 0.75}" fill="${colorAt(panel, value)}"/>` +
      `<text x="${width - 80}" y="${y + line * 0.6}" font-size="13" fill="#fff">${escapeHtml(textOf(panel, value))}</text>`
    );
  });
  return svg({ width, height }, bars.join(''));
}

function drawLines(panel: PanelJson, series: readonly NamedSeries[], area: Area): string {
  const { defaults } = panel.fieldConfig;
  const isStacked = defaults.custom?.stacking.mode === 'normal';
  const drawn = isStacked ? stack(series) : series;
  const legendHeight = Math.min(series.length, 6) * LEGEND_LINE + 6;
  const plot = plotOf(panel, drawn, { width: area.width, height: area.height - legendHeight });
  const limits = defaults.thresholds.steps
    .flatMap(({ value }) => value ?? [])
    .filter((mark) => mark <= plot.high)
    .map((mark) => rule(plot, mark, `stroke="${COLORS['red']!}" stroke-dasharray="6 4"`));
  const lines = drawn.map(({ values }, i) => lineOf(plot, values, color(i), isStacked));
  const top = area.height - legendHeight + 10;
  return svg(
    area,
    [
      ...gridOf(panel, plot),
      ...clockOf(plot),
      ...limits,
      ...lines,
      legend(panel, series, top, area.width),
    ].join(''),
  );
}

/** Where a chart's lines are drawn, and its scales. */
interface Plot extends Area {
  readonly x: number;
  readonly y: number;
  readonly ticks: readonly number[];
  /** Range of the values. */
  readonly low: number;
  readonly high: number;
  /** Range of the times, seconds. */
  readonly from: number;
  readonly to: number;
}

function plotOf(panel: PanelJson, series: readonly NamedSeries[], outside: Area): Plot {
  const { min, max } = panel.fieldConfig.defaults;
  const all = series.flatMap(({ values }) => values.map(([, value]) => value)).filter(Number.isFinite);
  const low = min ?? Math.min(...all);
  const high = max ?? (Math.max(...all) === 0 ? 1 : Math.max(...all, low));
  const ticks = ticksBetween(low, high);
  const times = series.flatMap(({ values }) => values.map(([seconds]) => seconds));
  return {
    ...{ x: LEFT, y: 6, width: outside.width - LEFT - 6, height: outside.height - BOTTOM - 6 },
    ...{ ticks, low: Math.min(low, ticks[0]!), high: Math.max(high, ticks.at(-1)!) },
    ...{ from: Math.min(...times), to: Math.max(...times) },
  };
}

function yOf({ y, height, low, high }: Plot, value: number): number {
  return y + height * (1 - (value - low) / (high - low || 1));
}

function xOf({ x, width, from, to }: Plot, seconds: number): number {
  return x + (width * (seconds - from)) / (to - from || 1);
}

/** A horizontal line at a value. */
function rule(plot: Plot, value: number, stroke: string): string {
  const y = yOf(plot, value);
  return `<line x1="${plot.x}" x2="${plot.x + plot.width}" y1="${y}" y2="${y}" ${stroke}/>`;
}

function gridOf({ fieldConfig }: PanelJson, plot: Plot): string[] {
  const { unit } = fieldConfig.defaults;
  return plot.ticks.map(
    (tick) =>
      rule(plot, tick, 'stroke="#2f333b"') +
      `<text x="${plot.x - 5}" y="${yOf(plot, tick) + 4}" text-anchor="end" font-size="11" fill="#9fa7b3">${escapeHtml(formatValue(tick, unit))}</text>`,
  );
}

function clockOf(plot: Plot): string[] {
  const { from, to, y, height } = plot;
  return [from, (from + to) / 2, to].map(
    (seconds, i) =>
      `<text x="${xOf(plot, seconds)}" y="${y + height + 14}" text-anchor="${['start', 'middle', 'end'][i]!}" font-size="11" fill="#9fa7b3">${new Date(seconds * 1000).toISOString().slice(11, 19)}</text>`,
  );
}

/** A series as a line, or a dot where it has a single value. */
function lineOf(plot: Plot, values: NamedSeries['values'], stroke: string, isFilled: boolean): string {
  const points = values
    .filter(([, value]) => Number.isFinite(value))
    .map(([seconds, value]) => `${xOf(plot, seconds).toFixed(1)},${yOf(plot, value).toFixed(1)}`);
  const [cx, cy] = points[0]?.split(',') ?? [];
  const dot = points.length === 1 ? `<circle cx="${cx!}" cy="${cy!}" r="3" fill="${stroke}"/>` : '';
  return `${isFilled ? filled(points, yOf(plot, plot.low), stroke) : ''}<polyline points="${points.join(' ')}" fill="none" stroke="${stroke}" stroke-width="2"/>${dot}`;
}

/** The area under a line. */
function filled(points: readonly string[], bottom: number, fill: string): string {
  const [first, last] = [points[0], points.at(-1)];
  if (first === undefined || last === undefined) return '';
  const corners = [`${last.split(',')[0]!},${bottom}`, `${first.split(',')[0]!},${bottom}`];
  return `<polygon points="${[...points, ...corners].join(' ')}" fill="${fill}" fill-opacity="0.18"/>`;
}

function legend(panel: PanelJson, series: readonly NamedSeries[], top: number, width: number): string {
  const { unit, decimals } = panel.fieldConfig.defaults;
  const shown = series.slice(0, series.length > 6 ? 5 : 6);
  const rows = shown.map((each, i) => {
    const y = top + i * LEGEND_LINE;
    const numbers = each.values.map(([, value]) => value).filter(Number.isFinite);
    const text = `last ${formatValue(lastOf(each), unit, decimals)}   max ${formatValue(Math.max(...numbers), unit, decimals)}`;
    return (
      `<rect x="2" y="${y - 6}" width="12" height="3" fill="${color(i)}"/>` +
      `<text x="20" y="${y}" font-size="11" fill="#ccccdc">${escapeHtml(each.name || '(no legend)')}</text>` +
      `<text x="${width - 6}" y="${y}" text-anchor="end" font-size="11" fill="#9fa7b3">${escapeHtml(text)}</text>`
    );
  });
  const rest = series.length - shown.length;
  const more =
    rest > 0
      ? `<text x="20" y="${top + 5 * LEGEND_LINE}" font-size="11" fill="#9fa7b3">and ${rest} more</text>`
      : '';
  return rows.join('') + more;
}

function drawTable(panel: PanelJson, series: readonly NamedSeries[]): string {
  const options = panel.transformations?.[0]?.options as { renameByName: Record<string, string> } | undefined;
  const columns = Object.entries(options?.renameByName ?? {});
  const head = columns.map(([, title]) => `<th>${escapeHtml(title)}</th>`).join('');
  const rows = series.map(
    ({ labels }) =>
      `<tr>${columns.map(([label]) => `<td>${escapeHtml(labels[label] ?? '')}</td>`).join('')}</tr>`,
  );
  return `<table><tr>${head}</tr>${rows.join('')}</table>${rows.length === 0 ? '<p class="none">Nothing</p>' : ''}`;
}

/** Each series on top of those before it, at the times of the longest. */
function stack(series: readonly NamedSeries[]): NamedSeries[] {
  const sums = new Map<number, number>();
  return series.map((each) => ({
    ...each,
    values: each.values.map(([seconds, value]) => {
      const sum = (sums.get(seconds) ?? 0) + value;
      sums.set(seconds, sum);
      return [seconds, sum] as const;
    }),
  }));
}

/** Four or five round numbers that cover a range. */
function ticksBetween(low: number, high: number): number[] {
  const rough = (high - low || 1) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((each) => each >= rough) ?? rough;
  const first = Math.floor(low / step);
  const count = Math.ceil(high / step) - first;
  return Array.from({ length: Math.min(count, 12) + 1 }, (_, i) => (first + i) * step);
}

function polyline(
  values: NamedSeries['values'],
  box: Area & { readonly x: number; readonly y: number },
): string {
  const numbers = values.map(([, value]) => value);
  const [low, high] = [Math.min(...numbers), Math.max(...numbers)];
  return values
    .map(([, value], i) => {
      const x = box.x + (box.width * i) / Math.max(1, values.length - 1);
      return `${x.toFixed(1)},${(box.y + box.height * (1 - (value - low) / (high - low || 1))).toFixed(1)}`;
    })
    .join(' ');
}

function color(i: number): string {
  return PALETTE[i % PALETTE.length]!;
}

function svg({ width, height }: Area, content: string): string {
  return `<svg width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">${content}</svg>`;
}
