/**
 * A matrix as colours: classes over epochs, or a confusion matrix. It has few or many cells; names are shown if there
 * is room.
 */
import {
  axisStyle,
  baseOption,
  type Chart,
  formatNumber,
  isNumber,
  type NumberKind,
  textTooltip,
} from './chart.ts';
import type { ChartTheme } from './theme.ts';

export interface HeatMap {
  readonly title: string;
  readonly summary: string;
  readonly rows: readonly string[];
  readonly columns: readonly string[];
  /** [column, row, value]; what is left out is blank. */
  readonly cells: readonly (readonly [column: number, row: number, value: number])[];
  readonly kind: NumberKind;
  /** Largest value of the scale; by default 1 for rates, otherwise the largest cell. */
  readonly most?: number;
  /** Tells of a cell in place of 'row, column: value'. */
  readonly tell?: (column: number, row: number, value: number) => string;
  readonly xLabel?: string;
  readonly yLabel?: string;
  /** Writes the values into the cells. */
  readonly hasNumbers?: boolean;
  readonly rowHeight?: number;
}

/** Names along the x axis are rotated if there are more columns than this. */
const UPRIGHT_COLUMNS = 8;

export function heatMap(map: HeatMap, theme: ChartTheme): Chart {
  const { title, summary, rows, columns, cells, kind, rowHeight = 20 } = map;
  const style = axisStyle(theme);
  const largest = map.most ?? (kind === 'rate' ? 1 : Math.max(1, ...cells.map(([, , value]) => value)));
  const tell =
    map.tell ??
    ((column: number, row: number, value: number) =>
      `${rows[row] ?? ''}, ${columns[column] ?? ''}: ${formatNumber(kind, value)}`);
  const isTurned = columns.length > UPRIGHT_COLUMNS && map.hasNumbers === true;
  const option = {
    ...baseOption(theme),
    grid: {
      left: 8,
      right: 8,
      top: map.yLabel === undefined ? 6 : 22,
      bottom: map.xLabel === undefined ? 6 : 26,
      containLabel: true,
    },
    tooltip: {
      ...textTooltip(theme),
      trigger: 'item',
      formatter: ({ value }: { value: readonly [number, number, number] }) => tell(...value),
    },
    visualMap: { show: false, min: 0, max: largest, inRange: { color: [...theme.scale] } },
    xAxis: {
      ...style,
      type: 'category',
      data: [...columns],
      name: map.xLabel,
      nameLocation: 'middle',
      nameGap: isTurned ? 102 : 26,
      axisTick: { show: false },
      axisLabel: isTurned
        ? { ...style.axisLabel, interval: 0, rotate: 90, width: 92, overflow: 'truncate' }
        : style.axisLabel,
    },
    yAxis: {
      ...style,
      type: 'category',
      inverse: true,
      data: [...rows],
      name: map.yLabel,
      nameLocation: 'start',
      nameTextStyle: { ...style.nameTextStyle, align: 'left' },
      axisTick: { show: false },
      axisLabel: { color: theme.ink, fontSize: 11, interval: 0, width: 120, overflow: 'truncate' },
    },
    series: [
      {
        type: 'heatmap',
        data: cells
          .filter(([, , value]) => isNumber(value))
          .map(([column, row, value]) => ({
            value: [column, row, value],
            ...(map.hasNumbers ? { label: { color: value / largest > 0.5 ? theme.paper : theme.ink } } : {}),
          })),
        label: {
          show: map.hasNumbers === true,
          fontSize: 10,
          formatter: ({ value }: { value: readonly [number, number, number] }) => shortNumber(kind, value[2]),
        },
        itemStyle: { borderColor: theme.paper, borderWidth: columns.length > 60 ? 0 : 1 },
        emphasis: { itemStyle: { borderColor: theme.ink, borderWidth: 1 } },
        progressive: 4000,
      },
    ],
  };
  const height =
    12 +
    rows.length * rowHeight +
    (isTurned ? 100 : 20) +
    (map.xLabel === undefined ? 0 : 20) +
    (map.yLabel === undefined ? 0 : 16);
  return { title, summary, option: option as unknown as Chart['option'], height };
}

function shortNumber(kind: NumberKind, value: number): string {
  if (kind === 'rate') return value < 0.005 ? '' : (value * 100).toFixed(0);
  return value === 0 ? '' : formatNumber(kind, value);
}
