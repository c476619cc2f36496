/** Charts in the page: drawn when they come into view, again when their numbers, their width or the scheme change. */
import * as echarts from 'echarts/core';
import { BarChart, CustomChart, HeatmapChart, LineChart, ScatterChart } from 'echarts/charts';
import {
  DataZoomInsideComponent,
  GridComponent,
  LegendScrollComponent,
  MarkLineComponent,
  TooltipComponent,
  VisualMapContinuousComponent,
} from 'echarts/components';
import { CanvasRenderer } from 'echarts/renderers';
import { withPlainNames } from '../../report/charts/plain-names.ts';
import type { Chart } from '../../report/charts/chart.ts';
import { type ChartTheme, darkTheme, lightTheme } from '../../report/charts/theme.ts';
import { h, setText } from './dom.ts';

echarts.use([BarChart, CustomChart, HeatmapChart, LineChart, ScatterChart]);
echarts.use([
  DataZoomInsideComponent,
  GridComponent,
  LegendScrollComponent,
  MarkLineComponent,
  TooltipComponent,
  VisualMapContinuousComponent,
]);
echarts.use([CanvasRenderer]);

const scheme = matchMedia('(prefers-color-scheme: dark)');

/** The theme of the reader's scheme. */
export function pageTheme(): ChartTheme {
  return scheme.matches ? darkTheme : lightTheme;
}

export interface ChartBox {
  readonly element: HTMLElement;
  /** Draws again, with new numbers. */
  update(): void;
}

const boxes = new Set<Box>();
scheme.addEventListener('change', () => {
  for (const box of boxes) box.update();
});

class Box implements ChartBox {
  readonly element: HTMLElement;
  readonly #make: (theme: ChartTheme) => Chart | null;
  readonly #title = h('h3');
  readonly #canvas = h('div', { class: 'chart', role: 'img' });
  #drawing: echarts.ECharts | null = null;
  #isSeen = false;
  #isDue = false;

  constructor(make: (theme: ChartTheme) => Chart | null) {
    this.#make = make;
    this.element = h('figure', {}, this.#title, this.#canvas);
    const seen = new IntersectionObserver(
      (entries) => this.#see(entries.some(({ isIntersecting }) => isIntersecting)),
      { rootMargin: '300px' },
    );
    seen.observe(this.element);
    new ResizeObserver(() => this.#drawing?.resize()).observe(this.#canvas);
    boxes.add(this);
    this.#prepare();
  }

  update(): void {
    if (!this.element.isConnected && this.#drawing !== null) return this.#dispose();
    if (this.#isDue) return;
    this.#isDue = true;
    requestAnimationFrame(() => {
      this.#isDue = false;
      // Out of sight it is drawn when it comes into view; one that is hidden has to find out whether it has numbers.
      if (this.#isSeen || this.element.hidden) this.#draw();
    });
  }

  #see(isSeen: boolean): void {
    this.#isSeen = isSeen;
    if (isSeen) this.update();
  }

  #dispose(): void {
    this.#drawing?.dispose();
    this.#drawing = null;
    boxes.delete(this);
  }

  /** Title, summary and height, so that the page does not jump when it is drawn. */
  #prepare(): Chart | null {
    const chart = this.#make(pageTheme());
    this.element.hidden = chart === null;
    if (chart === null) return null;
    setText(this.#title, chart.title);
    this.#canvas.setAttribute('aria-label', chart.summary);
    this.#canvas.style.height = `${chart.height}px`;
    return chart;
  }

  #draw(): void {
    const chart = this.#prepare();
    if (chart === null || !this.#isSeen || this.#canvas.clientWidth === 0) return;
    this.#drawing ??= echarts.init(this.#canvas, null, { renderer: 'canvas' });
    this.#drawing.resize();
    this.#drawing.setOption(withPlainNames(chart.option), { notMerge: true });
  }
}

/** A figure whose chart `make` builds again each time; null hides it. */
export function chartBox(make: (theme: ChartTheme) => Chart | null): ChartBox {
  return new Box(make);
}
