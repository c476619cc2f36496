/**
 * Examines all images before they are decoded: sizes, colour, depth, pages, and how much a crop would remove.
 * Properties common to all images (colour, the scale of 16-bit values) are decided over all of them, whatever their
 * order.
 */
import { toError, UserError } from '../common/errors.ts';
import type { DataConfig } from '../config/data-config.ts';
import { decodeDeep, decodeOwn, type Header, headerOf } from './image-decoder.ts';
import { checkImageFile } from './image-header.ts';
import { bitsOf, chooseScale, joinRanges, NO_RANGE, rangeOf, type Scale } from './scale.ts';
import type { Items, Pixels } from './source.ts';

export interface Shape {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
}

export interface SizeCount {
  readonly width: number;
  readonly height: number;
  readonly count: number;
}

export interface Survey {
  /** Shape of the first train image that can be read; channels are 3 where any image has colour. */
  readonly first: Shape;
  /** Sizes with their numbers of images, the most frequent first. */
  readonly sizes: readonly SizeCount[];
  /** How values of 16-bit and float files become bytes; null where none needs it. */
  readonly scale: Scale | null;
  readonly doubts: readonly string[];
}

/** Of files that are decoded here: bytes of one page. */
type Info = Header | (Shape & { readonly pages: 1; readonly depth: 'uchar'; readonly hasOtherBand: false });

const FLOATS = new Set(['float', 'double']);
const CONCURRENT = 8;
/** A crop that removes more than this share of an image is reported. */
const MUCH_LOST = 0.2;

type Settings = Pick<DataConfig, 'imageSize' | 'channels' | 'resize'>;

/** Surveys the images of all splits; train comes first. Throws UserError when no train image can be read. */
export async function survey(splits: readonly (Items | null)[], settings: Settings): Promise<Survey> {
  const all = splits.flatMap((items) => (items ? [items.pixels] : []));
  const infos: Map<string, Info>[] = [];
  for (const pixels of all)
    infos.push(pixels.kind === 'files' ? await probeAll(pixels.files) : new Map<string, Info>());
  const first = await firstShape(all[0]!, infos[0]!);
  const seen = infos.flatMap((map) => [...map.values()]);
  const hasColour = [...seen, ...all.flatMap(rawShape)].some(({ channels }) => channels === 3);
  const { scale, doubts } = await deepScale(infos);
  return {
    first: { ...first, channels: hasColour ? 3 : 1 },
    sizes: countSizes(all, infos),
    scale,
    doubts: [...doubts, ...bandDoubts(infos), ...pageDoubts(infos), ...cropDoubts(all, infos, settings)],
  };
}

function rawShape(pixels: Pixels): (Shape & { count: number })[] {
  if (pixels.kind === 'files') return [];
  const { height, width, channels, data } = pixels;
  return [{ height, width, channels, count: data.length / (height * width * channels) }];
}

async function firstShape(pixels: Pixels, infos: ReadonlyMap<string, Info>): Promise<Shape> {
  const [raw] = rawShape(pixels);
  if (raw) return raw;
  const files = pixels.kind === 'files' ? pixels.files : [];
  const file = files.find((name) => infos.has(name));
  if (file === undefined)
    throw new UserError(
      `${files[0]}: cannot be decoded (${await reasonOf(files[0]!)}), nor can any other of the ${files.length} train images`,
    );
  return infos.get(file)!;
}

async function reasonOf(file: string): Promise<string> {
  try {
    await headerOf(file, await checkImageFile(file));
    return 'its content is damaged';
  } catch (thrown) {
    return toError(thrown).message;
  }
}

/** Headers of `files`; those that cannot be read are left out, and named when they are decoded. */
async function probeAll(files: readonly string[]): Promise<Map<string, Info>> {
  const found = new Array<Info | null>(files.length).fill(null);
  let next = 0;
  const work = async (): Promise<void> => {
    for (let at = next++; at < files.length; at = next++) found[at] = await probe(files[at]!);
  };
  await Promise.all(Array.from({ length: CONCURRENT }, work));
  return new Map(files.flatMap((file, i) => (found[i] ? [[file, found[i]] as const] : [])));
}

async function probe(file: string): Promise<Info | null> {
  try {
    const format = await checkImageFile(file);
    if (format === 'sharp' || format === 'tiff') return await headerOf(file, format);
    const { width, height, channels } = await decodeOwn(file, format);
    return { width, height, channels, pages: 1, depth: 'uchar', hasOtherBand: false };
  } catch {
    return null;
  }
}

/** The range of all files of other than unsigned bytes decides; a true 16 bits needs no scale of ours. */
async function deepScale(
  infos: readonly ReadonlyMap<string, Info>[],
): Promise<{ scale: Scale | null; doubts: string[] }> {
  const deep = infos.flatMap((map) =>
    [...map].flatMap(([file, info]) => (isDeep(info) ? [{ file, info }] : [])),
  );
  if (deep.length === 0) return { scale: null, doubts: [] };
  let range = NO_RANGE;
  for (const { file, info } of deep) {
    try {
      range = joinRanges(range, rangeOf((await decodeDeep(file, info)).data, file));
    } catch (error) {
      if (error instanceof UserError) throw error; // others are named when they are decoded
    }
  }
  const isPlain = deep.every(({ info }) => info.depth === 'ushort' && !info.hasOtherBand);
  if (isPlain && bitsOf(range) === 16) return { scale: null, doubts: [] };
  const scale = chooseScale(range, deep.some(({ info }) => FLOATS.has(info.depth))); // prettier-ignore
  const note = scale.note ?? `values reach ${range.max}: read as bytes`;
  return { scale, doubts: [`${deep.length} images of more than 8 bits (first: ${deep[0]!.file}): ${note}`] };
}

function isDeep(info: Info): info is Header {
  return info.depth !== 'uchar';
}

function bandDoubts(infos: readonly ReadonlyMap<string, Info>[]): string[] {
  const other = infos.flatMap((map) => [...map].filter(([, { hasOtherBand }]) => hasOtherBand));
  if (other.length === 0) return [];
  return [
    `${other.length} images have a band beside grey or colour that is no transparency (first: ${other[0]![0]}): it is not used`,
  ];
}

function pageDoubts(infos: readonly ReadonlyMap<string, Info>[]): string[] {
  const several = infos.flatMap((map) => [...map].filter(([, { pages }]) => pages > 1));
  if (several.length === 0) return [];
  const frames = several.reduce((sum, [, { pages }]) => sum + pages - 1, 0);
  return [
    `${several.length} files have several pages or frames (first: ${several[0]![0]}): only the first of each is used, ${frames} others are not; split them to use all`,
  ];
}

function cropDoubts(
  all: readonly Pixels[],
  infos: readonly ReadonlyMap<string, Info>[],
  { imageSize, resize }: Settings,
): string[] {
  if (imageSize === null || resize !== 'crop') return [];
  const lost = ({ width, height }: { width: number; height: number }) =>
    1 - Math.min(width, height) / Math.max(width, height);
  const files = infos.flatMap((map) =>
    [...map].map(([name, info]) => ({ name, count: 1, lost: lost(info) })),
  );
  const arrays = all
    .flatMap(rawShape)
    .map((shape) => ({ name: 'an array', count: shape.count, lost: lost(shape) }));
  const cropped = [...files, ...arrays].filter((image) => image.lost > MUCH_LOST);
  if (cropped.length === 0) return [];
  const most = cropped.reduce((a, b) => (b.lost > a.lost ? b : a));
  const count = cropped.reduce((sum, image) => sum + image.count, 0);
  return [
    `${count} images lose more than ${MUCH_LOST * 100}% of their area to the crop to a square (most: ${Math.round(most.lost * 100)}%, ${most.name}); --resize pad or --resize fit keeps all of it`,
  ];
}

function countSizes(all: readonly Pixels[], infos: readonly ReadonlyMap<string, Info>[]): SizeCount[] {
  const counts = new Map<string, SizeCount>();
  const add = (width: number, height: number, count: number): void => {
    const key = `${width}x${height}`;
    counts.set(key, { width, height, count: (counts.get(key)?.count ?? 0) + count });
  };
  for (const map of infos) for (const { width, height } of map.values()) add(width, height, 1);
  for (const { width, height, count } of all.flatMap(rawShape)) add(width, height, count);
  return [...counts.values()].sort((a, b) => b.count - a.count || a.width - b.width || a.height - b.height);
}
