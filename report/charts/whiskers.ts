/** Thin rules with ends: intervals around bars and dots of a chart whose categories stand on the y axis. */
import type { CustomSeriesOption } from 'echarts';
import type { Interval } from '../statistics.ts';
import type { ChartTheme } from './theme.ts';

/** Which of a category's bars a rule belongs to, and how high these are, pixels. */
export interface BarPlace {
  readonly index: number;
  readonly of: number;
  readonly barPx: number;
}

/** One rule per category; null leaves it out. Without `place` it is in the middle. */
export function horizontalWhiskers(
  intervals: readonly (Interval | null)[],
  theme: ChartTheme,
  place: BarPlace = { index: 0, of: 1, barPx: 0 },
): CustomSeriesOption {
  const data = intervals.flatMap((interval, row) =>
    interval === null ? [] : [[interval.low, interval.high, row]],
  );
  const offset = (place.index - (place.of - 1) / 2) * place.barPx * 1.15;
  return {
    type: 'custom',
    silent: true,
    tooltip: { show: false },
    z: 5,
    encode: { x: [0, 1], y: 2 },
    data,
    renderItem(_params, api) {
      const [x1, y1] = api.coord([api.value(0), api.value(2)]) as [number, number];
      const [x2] = api.coord([api.value(1), api.value(2)]) as [number, number];
      const y = y1 + offset;
      const line = (from: [number, number], to: [number, number]) => ({
        type: 'line' as const,
        shape: { x1: from[0], y1: from[1], x2: to[0], y2: to[1] },
        style: { stroke: theme.ink, lineWidth: 1.2 },
      });
      return {
        type: 'group',
        children: [line([x1, y], [x2, y]), line([x1, y - 3], [x1, y + 3]), line([x2, y - 3], [x2, y + 3])],
      };
    },
  };
}
