/** A time line: lanes of bars over time. */
import type { CustomSeriesOption } from 'echarts';
import { duration } from '../format.ts';
import { axisStyle, baseOption, type Chart, legendOf, nameAxis, textTooltip } from './chart.ts';
import { type ChartTheme, seriesColour } from './theme.ts';

export interface TimeSpan {
  /** Index into `lanes`. */
  readonly lane: number;
  readonly fromMs: number;
  readonly toMs: number;
  /** Index into `kinds`. */
  readonly kind: number;
  readonly text: string;
}

export interface TimeLine {
  readonly title: string;
  readonly lanes: readonly string[];
  readonly kinds: readonly string[];
  readonly spans: readonly TimeSpan[];
}

const LANE = 30;
const BAR = 16;
const LEAST_PX = 1.5;

function kindSeries(line: TimeLine, kind: number, theme: ChartTheme): CustomSeriesOption {
  const spans = line.spans.filter((span) => span.kind === kind);
  return {
    type: 'custom',
    name: line.kinds[kind] ?? '',
    itemStyle: { color: seriesColour(theme, kind) },
    encode: { x: [0, 1], y: 2 },
    data: spans.map(({ fromMs, toMs, lane, text }) => ({ value: [fromMs, toMs, lane], name: text })),
    renderItem(_params, api) {
      const [x1, y] = api.coord([api.value(0), api.value(2)]) as [number, number];
      const [x2] = api.coord([api.value(1), api.value(2)]) as [number, number];
      return {
        type: 'rect',
        shape: { x: x1, y: y - BAR / 2, width: Math.max(LEAST_PX, x2 - x1 - 0.5), height: BAR, r: 2 },
        style: { fill: api.visual('color') as string },
      };
    },
  };
}

export function timeLine(line: TimeLine, theme: ChartTheme): Chart {
  const style = axisStyle(theme);
  const option = {
    ...baseOption(theme),
    legend: legendOf(theme, line.kinds),
    grid: { left: 8, right: 16, top: 34, bottom: 40, containLabel: true },
    tooltip: {
      ...textTooltip(theme),
      trigger: 'item',
      formatter: ({ name, value }: { name: string; value: readonly [number, number, number] }) =>
        `${name}\n${clock(value[0])}, ${duration((value[1] - value[0]) / 1000)}`,
    },
    xAxis: {
      ...style,
      type: 'time',
      axisLabel: { ...style.axisLabel, formatter: (ms: number) => clock(ms) },
    },
    yAxis: nameAxis(theme, line.lanes, 150),
    dataZoom: [{ type: 'inside', zoomOnMouseWheel: 'ctrl', filterMode: 'weakFilter' }],
    series: line.kinds.map((_, kind) => kindSeries(line, kind, theme)),
  };
  const summary = `${line.title}: ${line.spans.length} spans of ${line.lanes.join(', ')}.`;
  return {
    title: line.title,
    summary,
    option: option as unknown as Chart['option'],
    height: 78 + LANE * Math.max(1, line.lanes.length),
  };
}

function clock(ms: number): string {
  return new Date(ms).toISOString().slice(11, 19);
}
