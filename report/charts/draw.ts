/** Charts drawn on the server: SVG text, or a PNG of several side by side. In the browser ECharts draws them itself. */
import * as echarts from 'echarts/dist/echarts.esm.min.mjs';
import sharp from 'sharp';
import { loadPictureFont, textWidth } from '../pictures/font.ts';
import type { Chart } from './chart.ts';
import { withPlainNames } from './plain-names.ts';
import { type ChartTheme, printTheme } from './theme.ts';

/** Pixels of a PNG to one of the drawing. */
const DENSITY = 2;
const TITLE_HEIGHT = 30;
const MARGIN = 16;

echarts.setPlatformAPI({
  measureText: (text: string, font?: string) => ({
    width: textWidth(text, Number(/(?<![\d.])(\d{1,4}(?:\.\d{1,4})?)px/.exec(font ?? '')?.[1] ?? 12)),
  }),
});

export interface DrawOptions {
  /** Pixels. */
  readonly width: number;
  /** Should be the theme that the chart was made with; `printTheme` by default. */
  readonly theme?: ChartTheme;
}

/** The chart with its title as SVG text. */
export function drawSvg(chart: Chart, { width, theme = printTheme }: DrawOptions): string {
  const height = chart.height + TITLE_HEIGHT;
  const drawing = echarts.init(null, null, { renderer: 'svg', ssr: true, width, height });
  try {
    drawing.setOption(withPlainNames(chart.option));
    drawing.setOption({
      title: {
        text: chart.title,
        left: 0,
        top: 0,
        textStyle: { color: theme.ink, fontSize: 14, fontFamily: theme.font },
      },
      ...withPlainNames(shifted(chart.option)),
    });
    return drawing.renderToSVGString();
  } finally {
    drawing.dispose();
  }
}

/** Makes room for the title above legend and grid. */
function shifted({ grid, legend }: Chart['option']): object {
  const lower = (part: unknown) => {
    const { top, ...rest } = part as { top?: number };
    return { ...rest, top: (top ?? 0) + TITLE_HEIGHT };
  };
  return { ...(grid ? { grid: lower(grid) } : {}), ...(legend ? { legend: lower(legend) } : {}) };
}

/** The charts side by side as PNG bytes, at twice their size. */
export async function drawPng(
  charts: readonly Chart[],
  { width, theme = printTheme }: DrawOptions,
): Promise<Uint8Array> {
  await loadPictureFont();
  const height = Math.max(1, ...charts.map((chart) => chart.height)) + TITLE_HEIGHT;
  const pictures = await Promise.all(
    charts.map(async (chart, index) => ({
      input: await sharp(Buffer.from(drawSvg(chart, { width, theme })), { density: 72 * DENSITY })
        .png()
        .toBuffer(),
      left: DENSITY * (MARGIN + index * (width + MARGIN)),
      top: DENSITY * MARGIN,
    })),
  );
  const size = {
    width: DENSITY * (MARGIN + charts.length * (width + MARGIN)),
    height: DENSITY * (height + 2 * MARGIN),
  };
  return sharp({ create: { ...size, channels: 3, background: theme.paper } })
    .composite(pictures)
    .png({ compressionLevel: 9 })
    .toBuffer();
}
