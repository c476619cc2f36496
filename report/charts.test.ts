import { expect, test } from 'vitest';
import { spreadLabels, ticks } from './axes.ts';
import { groupedBars } from './bar-chart.ts';
import { fitText, pageTheme, printTheme, textWidth, themeVariables } from './chart-theme.ts';
import { confusionChart } from './confusion-chart.ts';
import { dotPlot } from './dot-plot.ts';
import { percent } from './format.ts';
import { type LineChart, lineChart } from './line-chart.ts';
import { escapeMarkup } from './markup.ts';
import { hasStrokes, strokePath, strokeWidth } from './stroke-font.ts';

const LINES: LineChart = {
  title: 'T',
  x: [1, 2, 3, 4],
  xLabel: 'epoch',
  yLabel: 'rate',
  series: [{ name: 'a', values: [0, 0.5, null, 1] }],
  format: (value) => percent(value),
  domain: [0, 1],
};

test('markup: everything dangerous is escaped, what XML forbids is replaced', () => {
  expect(escapeMarkup(`<a href='x'>&"`)).toBe('&lt;a href=&#39;x&#39;&gt;&amp;&quot;');
  expect(escapeMarkup('a\u0000b\ud800c\td')).toBe('a\ufffdb\ufffdc\td');
});

test('ticks are round numbers inside the domain', () => {
  expect(ticks([0, 1], 5)).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1]);
  expect(ticks([0.861, 0.942], 5)).toEqual([0.88, 0.9, 0.92, 0.94]);
  expect(ticks([1, 12], 6, true)).toEqual([2, 4, 6, 8, 10, 12]);
  expect(ticks([1, 3], 6, true)).toEqual([1, 2, 3]);
  expect(ticks([1, 1], 6, true)).toEqual([1]);
});

test('labels keep their order and their distance, inside the range', () => {
  expect(spreadLabels([50, 52, 10], 10, 0, 100)).toEqual([50, 60, 10]);
  expect(spreadLabels([95, 99, 98], 10, 0, 100)).toEqual([80, 100, 90]);
});

test('lines break at missing values and end in their own label', () => {
  const svg = lineChart(pageTheme, LINES);
  const paths = [...svg.matchAll(/<path d="(M[^"]*)" fill="none" stroke="var\(--series-0\)"/g)];
  expect(paths.map(([, d]) => d?.match(/[ML]/g)?.join(''))).toEqual(['ML']);
  expect(svg).toContain('100.0%</text>');
  expect(svg).not.toMatch(/NaN|undefined|Infinity/);
});

test('charts without a single value say so and hold no NaN', () => {
  const svg = lineChart(pageTheme, {
    ...LINES,
    series: [{ name: 'a', values: [null, NaN, null, null] }],
    domain: 'fit',
  });
  expect(svg).toContain('nothing measured yet');
  const bars = groupedBars(pageTheme, {
    title: 'T',
    xLabel: 'x',
    categories: [{ name: 'c', note: 'n' }],
    series: [{ name: 's', values: [NaN] }],
    format: (value) => percent(value),
  });
  const dots = dotPlot(pageTheme, {
    title: 'T',
    xLabel: 'x',
    rows: [{ name: 'm', values: [NaN], mean: NaN, interval: null, note: '–' }],
    format: (value) => percent(value),
  });
  const matrix = confusionChart(
    pageTheme,
    'T',
    [
      [0, 0],
      [1, 3],
    ],
    ['a', 'b'],
  );
  for (const drawn of [svg, bars, dots, matrix]) expect(drawn).not.toMatch(/NaN|undefined|Infinity/);
  expect(matrix).toContain('true b, predicted b: 3 of 4 (75.0%)');
});

test('names in charts are escaped', () => {
  const svg = confusionChart(pageTheme, '<T>', [[1]], ['<img onerror=x>']);
  expect(svg).not.toContain('<img');
  expect(svg).toContain('aria-label="&lt;T&gt;"');
});

test('one colour per series in both schemes', () => {
  for (const scheme of ['light', 'dark'] as const) {
    const colours = [...themeVariables(scheme).matchAll(/--series-\d:(#[0-9a-f]{6})/g)].map(
      ([, colour]) => colour,
    );
    expect(new Set(colours).size).toBe(pageTheme.series.length);
  }
});

test('stroked letters: known path, width, accents, and what they leave to fonts', () => {
  // 'L' is 00 → 09 → 59 on the grid; 12.5 px make a grid unit one pixel, the baseline (y = 9) lies at y = 20.
  expect(strokePath('L', 10, 20, 12.5)).toBe('M10 11L10 20L15 20');
  // (5 + 2.6) · 0.08 em.
  expect(strokeWidth('L')).toBeCloseTo(0.608, 12);
  expect(strokePath('é', 0, 0, 10)).toBe(strokePath('e', 0, 0, 10));
  expect([hasStrokes('Ankle boot ± 0.4%'), hasStrokes('漢')]).toEqual([true, false]);
});

test('a cut text fits its width', () => {
  const cut = fitText(printTheme, 'A very long class name', 11, 60);
  expect(cut).toMatch(/^A ver.*…$/);
  expect(textWidth(printTheme, cut, 11)).toBeLessThanOrEqual(60);
  expect(fitText(printTheme, 'short', 11, 60)).toBe('short');
});
