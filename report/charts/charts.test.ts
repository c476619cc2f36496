import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { CLASSES, fakeRunReport } from '../testing/fake-records.ts';
import { barChart } from './bar-chart.ts';
import { confusionCells, confusionChart, worstMixups } from './confusion-chart.ts';
import { dotPlot } from './dot-plot.ts';
import { drawPng, drawSvg } from './draw.ts';
import { lineChart } from './line-chart.ts';
import { printTheme } from './theme.ts';
import { timeLine } from './time-line.ts';

const NASTY = '<script>alert("x")</script>&{a|b}';
const line = { x: [1, 2, 3], xLabel: 'epoch', yLabel: 'share', kind: 'rate' as const };

describe('a chart', () => {
  it('leaves other objects alone, whatever classes are called', () => {
    const names = ['__proto__', 'constructor', 'toString', 'Cat'];
    const heading = { title: 'Recall', kind: 'rate' as const };
    const series = names.map((name) => ({ name, values: [0.1, 0.2, 0.3] }));
    for (const chart of [
      lineChart({ ...line, ...heading, series }, printTheme),
      confusionChart(
        {
          title: 'Confusion',
          classes: names,
          cells: [
            [0, 1, 2],
            [1, 1, 3],
            [2, 0, 1],
            [3, 3, 4],
          ],
        },
        printTheme,
      ),
    ])
      expect(drawSvg(chart, { width: 600 })).toContain('toString');
    const inherited: string[] = [];
    for (const name in {}) inherited.push(name);
    expect(inherited).toEqual([]);
  });

  it('describes itself in a sentence, without NaN', () => {
    const chart = lineChart(
      {
        ...line,
        title: 'Recall',
        series: [
          { name: 'a', values: [0.1, null, 0.787] },
          { name: 'b', values: [NaN, null, null] },
        ],
      },
      printTheme,
    );
    expect(chart.summary).toBe('Recall over epochs: a from 10.0% to 78.7%, b –.');
    expect(drawSvg(chart, { width: 400 })).not.toMatch(/NaN|undefined|Infinity/);
  });

  it('draws names as text, whatever they hold', () => {
    const charts = [
      lineChart(
        {
          ...line,
          title: NASTY,
          series: [
            { name: NASTY, values: [1, 2, 3] },
            { name: 'b', values: [1, 2, 3] },
          ],
        },
        printTheme,
      ),
      barChart(
        {
          title: NASTY,
          xLabel: NASTY,
          kind: 'rate',
          categories: [{ name: NASTY }],
          series: [{ name: NASTY, values: [0.5], intervals: [{ low: 0.4, high: 0.6 }] }],
        },
        printTheme,
      ),
      dotPlot(
        {
          title: NASTY,
          xLabel: '',
          kind: 'rate',
          rows: [{ name: NASTY, values: [0.5], mean: 0.5, interval: null }],
          reference: 0,
        },
        printTheme,
      ),
      confusionChart({ title: NASTY, classes: [NASTY, 'b'], cells: [[0, 1, 3]] }, printTheme),
      timeLine(
        {
          title: NASTY,
          lanes: [NASTY],
          kinds: ['made'],
          spans: [{ lane: 0, fromMs: 0, toMs: 5, kind: 0, text: NASTY }],
        },
        printTheme,
      ),
    ];
    for (const chart of charts) {
      const svg = drawSvg(chart, { width: 400 });
      expect(svg).toContain('&lt;script');
      expect(svg).not.toContain('<script');
    }
  });

  it('draws without any data', () => {
    const empty = [
      lineChart({ ...line, x: [], title: 'none', series: [] }, printTheme),
      barChart({ title: 'none', xLabel: '', kind: 'count', categories: [], series: [] }, printTheme),
      confusionChart({ title: 'none', classes: [], cells: [] }, printTheme),
    ];
    for (const chart of empty) expect(drawSvg(chart, { width: 300 })).not.toMatch(/NaN|undefined/);
  });

  it('puts pictures side by side as PNG, with letters', async () => {
    const chart = lineChart(
      { ...line, title: 'Recall', series: [{ name: 'a', values: [0.1, 0.2, 0.3] }] },
      printTheme,
    );
    const png = await drawPng([chart, chart], { width: 300 });
    const { data, info } = await sharp(png).greyscale().raw().toBuffer({ resolveWithObject: true });
    expect([info.width, info.height]).toEqual([2 * (16 + 2 * 316), 2 * (260 + 30 + 32)]);
    const title = data.filter((_, i) => Math.floor(i / info.width) < 80 && i % info.width < 300);
    expect(title.filter((value) => value < 100).length).toBeGreaterThan(100);
  });
});

describe('a confusion matrix', () => {
  it('is kept sparse, and names the worst pairs by the share of the true class', () => {
    const cells = confusionCells([
      [8, 2, 0],
      [0, 4, 0],
      [5, 0, 5],
    ]);
    expect(cells).toEqual([
      [0, 0, 8],
      [0, 1, 2],
      [1, 1, 4],
      [2, 0, 5],
      [2, 2, 5],
    ]);
    expect(worstMixups(cells, 3, 5)).toEqual([
      { truth: 2, predicted: 0, images: 5, share: 0.5 },
      { truth: 0, predicted: 1, images: 2, share: 0.2 },
    ]);
  });

  it('shows chosen classes alone', () => {
    const { confusion } = fakeRunReport().test!;
    const chart = confusionChart(
      { title: 'Confusion', classes: CLASSES, cells: confusionCells(confusion), shown: [0, 9] },
      printTheme,
    );
    expect(drawSvg(chart, { width: 300 })).toContain('Ankle boot');
    expect(chart.summary).toMatch(/% of Ankle boot taken for Trouser/);
  });
});
