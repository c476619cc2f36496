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
  nameAxis,
  type NumberKind,
  textTooltip,
} from './chart.ts';
import type { ChartTheme } from './theme.ts';

type Cell = readonly [column: number, row: number, value: number];

export interface HeatMap {
  readonly title: string;
  readonly summary: string;
  readonly rows: readonly string[];
  readonly columns: readonly string[];
  /** Cells that are left out are blank. */
  readonly cells: readonly Cell[];
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
  const { title, summary, rows, xLabel, yLabel, rowHeight = 20 } = map;
  const most = map.most ?? (map.kind === 'rate' ? 1 : Math.max(1, ...map.cells.map(([, , value]) => value)));
  const isTurned = map.columns.length > UPRIGHT_COLUMNS && map.hasNumbers === true;
  const option = {
    ...baseOption(theme),
    grid: {
      left: 8,
      right: 8,
      top: yLabel === undefined ? 6 : 22,
      bottom: xLabel === undefined ? 6 : 26,
      containLabel: true,
    },
    tooltip: {
      ...textTooltip(theme),
      trigger: 'item',
      formatter: ({ value }: { value: Cell }) => tellOf(map, value),
    },
    visualMap: { show: false, min: 0, max: most, inRange: { color: [...theme.scale] } },
    xAxis: columnAxis(map, isTurned, theme),
    yAxis: rowAxis(map, theme),
    series: [cellSeries(map, most, theme)],
  };
  const height =
    12 +
    rows.length * rowHeight +
    (isTurned ? 100 : 20) +
    (xLabel === undefined ? 0 : 20) +
    (yLabel === undefined ? 0 : 16);
  return { title, summary, option: option as unknown as Chart['option'], height };
}

function tellOf({ rows, columns, kind, tell }: HeatMap, [column, row, value]: Cell): string {
  if (tell !== undefined) return tell(column, row, value);
  return `${rows[row] ?? ''}, ${columns[column] ?? ''}: ${formatNumber(kind, value)}`;
}

/** Names upright below the columns, or turned by 90 degrees. */
function columnAxis({ columns, xLabel }: HeatMap, isTurned: boolean, theme: ChartTheme) {
  const style = axisStyle(theme);
  return {
    ...style,
    type: 'category',
    data: [...columns],
    name: xLabel,
    nameLocation: 'middle',
    nameGap: isTurned ? 102 : 26,
    axisTick: { show: false },
    axisLabel: isTurned
      ? { ...style.axisLabel, interval: 0, rotate: 90, width: 92, overflow: 'truncate' }
      : style.axisLabel,
  };
}

function rowAxis({ rows, yLabel }: HeatMap, theme: ChartTheme) {
  const axis = nameAxis(theme, rows, 120, 11);
  return {
    ...axis,
    name: yLabel,
    nameLocation: 'start',
    nameTextStyle: { ...axis.nameTextStyle, align: 'left' },
    axisTick: { show: false },
  };
}

function cellSeries({ cells, kind, columns, hasNumbers = false }: HeatMap, most: number, theme: ChartTheme) {
  const labelOn = (value: number) => ({ label: { color: value / most > 0.5 ? theme.paper : theme.ink } });
  return {
    type: 'heatmap',
    data: cells
      .filter(([, , value]) => isNumber(value))
      .map((cell) => ({ value: [...cell], ...(hasNumbers ? labelOn(cell[2]) : {}) })),
    label: {
      show: hasNumbers,
      fontSize: 10,
      formatter: ({ value }: { value: Cell }) => shortNumber(kind, value[2]),
    },
    itemStyle: { borderColor: theme.paper, borderWidth: columns.length > 60 ? 0 : 1 },
    emphasis: { itemStyle: { borderColor: theme.ink, borderWidth: 1 } },
    progressive: 4000,
  };
}

function shortNumber(kind: NumberKind, value: number): string {
  if (kind === 'rate') return value < 0.005 ? '' : (value * 100).toFixed(0);
  return value === 0 ? '' : formatNumber(kind, value);
}
