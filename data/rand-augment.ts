/**
 * RandAugment (Cubuk et al. 1909.13719) with torchvision's fourteen operations and scale of magnitudes, 0 … 30: N
 * operations drawn with replacement, all of the same magnitude M, each with a random sign if it has one. At M = 9 of an
 * image of W × H pixels:
 *
 *   shear ±0.09    translate ±⌊0.136·W⌋ or ±⌊0.136·H⌋    rotate ±9°    brightness, colour, contrast, sharpness × (1 ± 0.27)
 *   posterise to 7 bits    solarise from 178.5    auto-contrast    equalise    identity
 * The result of an operation is Pillow's (image-operations.ts). Colour leaves a grey image unchanged.
 */
import { foldIn, integers, type Key } from '../tensor/random.ts';
import type { Shape } from './decode.ts';
import {
  autoContrasted,
  brightened,
  contrasted,
  equalized,
  posterized,
  rotated,
  saturated,
  sharpened,
  shearX,
  shearY,
  solarized,
  translated,
} from './image-operations.ts';

export const MAX_MAGNITUDE = 30;
/** Of the image's width or height; the paper's 150 of 331 pixels. */
const MAX_TRANSLATION = 150 / 331;

export interface RandAugment {
  /** N, how many operations one image goes through. */
  readonly operations: number;
  /** M, 0 … 30. */
  readonly magnitude: number;
}

interface Operation {
  readonly isSigned: boolean;
  /** `share`: M/30, negative for the other sign. */
  readonly apply: (image: Uint8Array, shape: Shape, share: number) => Uint8Array;
}

const signed = (apply: Operation['apply']): Operation => ({ isSigned: true, apply });
const unsigned = (apply: Operation['apply']): Operation => ({ isSigned: false, apply });

/** torchvision's operations by its names, in its order. */
export const OPERATIONS: Readonly<Record<string, Operation>> = {
  Identity: unsigned((image) => image.slice()),
  ShearX: signed((image, shape, share) => shearX(image, shape, 0.3 * share)),
  ShearY: signed((image, shape, share) => shearY(image, shape, 0.3 * share)),
  TranslateX: signed((image, shape, share) => translated(image, shape, pixels(share, shape.width), 0)),
  TranslateY: signed((image, shape, share) => translated(image, shape, 0, pixels(share, shape.height))),
  Rotate: signed((image, shape, share) => rotated(image, shape, 30 * share)),
  Brightness: signed((image, shape, share) => brightened(image, shape, 1 + 0.9 * share)),
  Color: signed((image, shape, share) => saturated(image, shape, 1 + 0.9 * share)),
  Contrast: signed((image, shape, share) => contrasted(image, shape, 1 + 0.9 * share)),
  Sharpness: signed((image, shape, share) => sharpened(image, shape, 1 + 0.9 * share)),
  Posterize: unsigned((image, shape, share) => posterized(image, shape, 8 - Math.round(4 * share))),
  Solarize: unsigned((image, shape, share) => solarized(image, shape, 255 * (1 - share))),
  AutoContrast: unsigned((image, shape) => autoContrasted(image, shape)),
  Equalize: unsigned((image, shape) => equalized(image, shape)),
};

/** Whole pixels of a translation. */
function pixels(share: number, extent: number): number {
  return Math.trunc(share * MAX_TRANSLATION * extent);
}

/** Names and signs of the operations that a key selects. */
export function drawOperations(count: number, key: Key): { name: string; sign: 1 | -1 }[] {
  const names = Object.keys(OPERATIONS);
  const drawn = integers(foldIn(key, 'operations'), count, names.length);
  const flips = integers(foldIn(key, 'signs'), count, 2);
  return Array.from(drawn, (operation, i) => ({
    name: names[operation]!,
    sign: OPERATIONS[names[operation]!]!.isSigned && flips[i] === 1 ? -1 : 1,
  }));
}

/** Applies N operations to an image of bytes [height, width, channels]; the same key gives the same result. */
export function randAugmented(
  image: Uint8Array,
  shape: Shape,
  { operations, magnitude }: RandAugment,
  key: Key,
): Uint8Array {
  return drawOperations(operations, key).reduce(
    (made, { name, sign }) => OPERATIONS[name]!.apply(made, shape, (sign * magnitude) / MAX_MAGNITUDE),
    image,
  );
}
