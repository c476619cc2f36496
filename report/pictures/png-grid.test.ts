import sharp from 'sharp';
import { expect, test } from 'vitest';
import { gridLayout, type PngGrid, pngGrid } from './png-grid.ts';

async function pixels(
  png: Uint8Array,
): Promise<{ at: (x: number, y: number) => number[]; width: number; height: number }> {
  const { data, info } = await sharp(png).raw().toBuffer({ resolveWithObject: true });
  const at = (x: number, y: number): number[] => [
    ...data.subarray((y * info.width + x) * info.channels).subarray(0, 3),
  ];
  expect(info.channels).toBe(3);
  return { at, width: info.width, height: info.height };
}

/** Two grey images of 2×2: 10 20 / 30 40 and 50 60 / 70 80. */
const GREY: PngGrid = {
  images: Uint8Array.of(10, 20, 30, 40, 50, 60, 70, 80),
  height: 2,
  width: 2,
  channels: 1,
  rows: [[1], [0, 1]],
  scale: 3,
};

test('every source pixel is a square of equal pixels, at the places of the layout', async () => {
  const { at, width, height } = await pixels(await pngGrid(GREY));
  // Margin 2, images of 6 pixels with 2 between: 2 + 2·(6 + 2) = 18 each way.
  expect([width, height]).toEqual([18, 18]);
  expect([at(2, 2), at(4, 4), at(5, 2), at(7, 7)]).toEqual(
    [50, 50, 60, 80].map((value) => [value, value, value]),
  );
  expect([at(2, 10), at(2, 15), at(10, 10), at(15, 15)]).toEqual(
    [10, 30, 50, 80].map((value) => [value, value, value]),
  );
  expect([at(1, 2), at(8, 2), at(12, 4), at(2, 8)]).toEqual(new Array(4).fill([255, 255, 255]));
});

test('colour keeps its channels in order', async () => {
  const images = Uint8Array.of(255, 0, 0, 0, 200, 7);
  const { at } = await pixels(
    await pngGrid({ images, height: 1, width: 2, channels: 3, rows: [[0]], scale: 4 }),
  );
  expect([at(2, 2), at(5, 5), at(6, 2)]).toEqual([
    [255, 0, 0],
    [255, 0, 0],
    [0, 200, 7],
  ]);
});

test('labels stand left of the images and leave every image pixel as it is', async () => {
  const grid = { ...GREY, scale: 10, rowLabels: ['Ankle boot', '<b> & "漢"'] };
  const layout = gridLayout(grid);
  const { at } = await pixels(await pngGrid(grid));
  expect(at(layout.left, 2)).toEqual([50, 50, 50]);
  expect(at(layout.left + 19, 21)).toEqual([80, 80, 80]);
  let dark = 0;
  for (let y = 0; y < 22; y++) for (let x = 0; x < layout.left; x++) if ((at(x, y)[0] ?? 255) < 100) dark++;
  expect(dark).toBeGreaterThan(60);
});

test('empty rows are blank; nothing at all is still a picture', async () => {
  const { width, height } = await pixels(await pngGrid({ ...GREY, rows: [[], []] }));
  expect([width, height]).toEqual([10, 18]);
  await pixels(await pngGrid({ ...GREY, images: new Uint8Array(0), rows: [] }));
});

test('sizes and indices that do not fit are refused by name', async () => {
  await expect(pngGrid({ ...GREY, rows: [[0, 2]] })).rejects.toThrow('row 0 names image 2 of 2');
  await expect(pngGrid({ ...GREY, channels: 4 })).rejects.toThrow('1 or 3 channels');
  await expect(pngGrid({ ...GREY, images: new Uint8Array(7) })).rejects.toThrow('7 bytes');
  await expect(pngGrid({ ...GREY, scale: 1.5 })).rejects.toThrow('scale');
});
