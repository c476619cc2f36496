/** Recall and quota over the epochs: of one class as lines, of many as a map. */
import { heatMap } from '../../../report/charts/heat-map.ts';
import { lineChart } from '../../../report/charts/line-chart.ts';
import type { ChartTheme } from '../../../report/charts/theme.ts';
import { plural } from '../../../report/format.ts';
import { chartBox } from '../chart-box.ts';
import type { RunStore } from '../run-store.ts';

const MAP_ROWS = 40;
const MAP_COLUMNS = 160;

export interface NamedClass {
  readonly index: number;
  readonly name: string;
}

/** The courses of the class that is chosen, and maps of the classes that are shown; both are asked for at each drawing. */
export function classCharts(
  store: RunStore,
  chosen: () => number | undefined,
  shown: () => readonly NamedClass[],
) {
  const courses = [
    chartBox((theme) => recallCourse(store, chosen(), theme)),
    chartBox((theme) => quotaCourse(store, chosen(), theme)),
  ];
  const maps = [
    chartBox((theme) => courseMap(store, shown(), 'recall', theme)),
    chartBox((theme) => courseMap(store, shown(), 'quota', theme)),
  ];
  return { courses, maps };
}

/** Recall of a class over the epochs; null when there is nothing to draw. */
function recallCourse({ history, facts }: RunStore, index: number | undefined, theme: ChartTheme) {
  if (index === undefined || history.epoch.length === 0) return null;
  const pick = (values: readonly (readonly (number | null)[] | null)[]) =>
    values.map((vector) => vector?.[index] ?? null);
  const series = [
    { name: 'recall on validation', values: pick(history.recall), colour: 0 },
    { name: 'accuracy that steers', values: pick(history.accuracy), colour: 2 },
  ].filter(({ values }) => values.some((value) => value !== null));
  const axes = { x: history.epoch, xLabel: 'epoch', yLabel: 'share of its images' };
  const title = facts?.classes[index] ?? '';
  return lineChart({ title, ...axes, kind: 'rate', domain: 'zero', series }, theme);
}

/** Quota of a class over the epochs; null when there is nothing to draw. */
function quotaCourse({ history, facts }: RunStore, index: number | undefined, theme: ChartTheme) {
  if (index === undefined || history.quota.every((entry) => entry === null)) return null;
  const values = history.quota.map((vector) => vector?.[index] ?? null);
  const axes = { x: history.epoch, xLabel: 'epoch', yLabel: 'synthetic images asked for' };
  const title = `${facts?.classes[index] ?? ''}: quota`;
  const series = [{ name: 'quota', values, colour: 4 }];
  return lineChart({ title, ...axes, kind: 'count', domain: 'zero', series }, theme);
}

function courseMap(
  { history, facts }: RunStore,
  shown: readonly NamedClass[],
  what: 'recall' | 'quota',
  theme: ChartTheme,
) {
  const vectors = history[what];
  if (history.epoch.length < 2 || vectors.every((entry) => entry === null)) return null;
  const rows = shown.slice(0, MAP_ROWS);
  const step = Math.ceil(history.epoch.length / MAP_COLUMNS);
  const at = history.epoch.map((_, i) => i).filter((i) => (history.epoch.length - 1 - i) % step === 0);
  const cells = at.flatMap((i, column) =>
    rows.flatMap(({ index }, row): [number, number, number][] => {
      const value = vectors[i]?.[index];
      return typeof value === 'number' ? [[column, row, value]] : [];
    }),
  );
  const more =
    shown.length > rows.length || (facts?.classes.length ?? 0) > shown.length
      ? `, ${plural(rows.length, 'class')} of the table`
      : '';
  const title = what === 'recall' ? `Recall on validation${more}` : `Quota${more}`;
  const summary = `${title}: a row a class, a column an epoch, from ${history.epoch[0]} to ${history.epoch.at(-1)}; darker is more.`;
  const columns = at.map((i) => String(history.epoch[i]));
  return heatMap(
    {
      title,
      summary,
      rows: rows.map(({ name }) => name),
      columns,
      cells,
      kind: what === 'recall' ? 'rate' : 'count',
      xLabel: 'epoch',
      rowHeight: 18,
    },
    theme,
  );
}
