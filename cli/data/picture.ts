/** A data set as one PNG: images of each class, and histograms of class counts and of sizes. Bounded in both directions. */
import sharp from 'sharp';
import type { LoadedDataset } from '../../data/dataset.ts';
import { countClasses } from '../../data/source.ts';
import type { SizeCount } from '../../data/survey.ts';
import { barChart } from '../../report/charts/bar-chart.ts';
import { drawPng } from '../../report/charts/draw.ts';
import { printTheme } from '../../report/charts/theme.ts';
import { pngGrid } from '../../report/pictures/png-grid.ts';

const IMAGES_SHOWN = 10;
/** Of more classes, the largest and the smallest half of this are drawn. */
const CLASSES_SHOWN = 40;
const SIZES_SHOWN = 20;
const CHART_WIDTH = 420;
/** Pixels of the side of an image in the picture, about. */
const CELL = 64;

/** PNG bytes. */
export async function drawDataset(dataset: LoadedDataset): Promise<Uint8Array> {
  const shown = chooseClasses(dataset);
  const charts = await drawPng([classHistogram(dataset, shown), sizeHistogram(dataset.sizes)], {
    width: CHART_WIDTH,
  });
  const grid = await pngGrid(imageGrid(await reduced(dataset), shown));
  const [top, below] = await Promise.all([charts, grid].map((png) => sharp(png).metadata()));
  return sharp({
    create: {
      ...{ width: Math.max(top!.width, below!.width), height: top!.height + below!.height },
      ...{ channels: 3, background: printTheme.paper },
    },
  })
    .composite([
      { input: Buffer.from(charts), left: 0, top: 0 },
      { input: Buffer.from(grid), left: 0, top: top!.height },
    ])
    .png({ compressionLevel: 9 })
    .toBuffer();
}

function chooseClasses({ classes, train }: LoadedDataset): number[] {
  const counts = countClasses(train.labels, classes.length);
  const all = classes.map((_, label) => label);
  if (all.length <= CLASSES_SHOWN) return all;
  const ordered = all.sort((a, b) => counts[b]! - counts[a]! || a - b);
  return [...ordered.slice(0, CLASSES_SHOWN / 2), ...ordered.slice(-CLASSES_SHOWN / 2)];
}

function classHistogram({ classes, train, validation, test }: LoadedDataset, shown: readonly number[]) {
  const series = Object.entries({ train, validation, test }).flatMap(([name, set]) => {
    const counts = set && countClasses(set.labels, classes.length);
    return counts ? [{ name, values: shown.map((label) => counts[label]!) }] : [];
  });
  const title =
    shown.length < classes.length
      ? `Images of a class (${shown.length} of ${classes.length}: the largest, the smallest)`
      : 'Images of a class';
  return barChart(
    {
      title,
      xLabel: 'images',
      categories: shown.map((label) => ({ name: classes[label]! })),
      series,
      kind: 'count',
    },
    printTheme,
  );
}

function sizeHistogram(sizes: readonly SizeCount[]) {
  const shown = sizes.slice(0, SIZES_SHOWN);
  const rest = sizes.slice(SIZES_SHOWN).reduce((sum, { count }) => sum + count, 0);
  const bars = [
    ...shown.map(({ width, height, count }) => ({ name: `${width}×${height}`, count })),
    ...(rest > 0 ? [{ name: `${sizes.length - SIZES_SHOWN} others`, count: rest }] : []),
  ];
  return barChart(
    {
      title: 'Sizes, width × height',
      xLabel: 'images',
      categories: bars.map(({ name }) => ({ name })),
      series: [{ name: 'images', values: bars.map(({ count }) => count) }],
      kind: 'count',
    },
    printTheme,
  );
}

type Drawn = Pick<LoadedDataset, 'classes' | 'height' | 'width' | 'channels'> & {
  readonly images: Uint8Array;
  /** Positions of the images of each class that are drawn. */
  readonly rows: ReadonlyMap<number, readonly number[]>;
};

/** The first images of each class, no larger than a cell. */
async function reduced(dataset: LoadedDataset): Promise<Drawn> {
  const { classes, height, width, channels, train } = dataset;
  const picked: number[] = [];
  const rows = new Map<number, number[]>();
  train.labels.forEach((label, i) => {
    const row = rows.get(label) ?? [];
    if (row.length >= IMAGES_SHOWN) return;
    rows.set(label, [...row, picked.length]);
    picked.push(i);
  });
  const factor = Math.min(1, CELL / Math.max(height, width));
  const [h, w] = [Math.max(1, Math.round(height * factor)), Math.max(1, Math.round(width * factor))];
  const size = height * width * channels;
  const images = new Uint8Array(picked.length * h * w * channels);
  for (const [to, from] of picked.entries()) {
    const bytes = train.images.subarray(from * size, (from + 1) * size);
    const raw = { height, width, channels: channels as 1 | 3 };
    const small =
      factor === 1
        ? bytes
        : await sharp(bytes, { raw }).resize(w, h, { fit: 'fill' }).toColourspace(channels === 1 ? 'b-w' : 'srgb').raw().toBuffer(); // prettier-ignore
    images.set(small, to * h * w * channels);
  }
  return { classes, height: h, width: w, channels, images, rows };
}

function imageGrid({ classes, rows, ...grid }: Drawn, shown: readonly number[]) {
  return {
    ...grid,
    rows: shown.map((label) => rows.get(label) ?? []),
    rowLabels: shown.map((label) => classes[label]!),
  };
}
