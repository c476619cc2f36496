/**
 * The tracer's rules for convolutions and pooling. ONNX convolves [n, c, h, w] images with [o, c, kh, kw] filters; tfjs
 * filters are [kh, kw, c, o], and its NHWC images are transposed on the way in and out (transposes that meet cancel).
 *
 * Gradients, with Y = X ∗ W:
 *   dX, stride 1: dY convolved with W rotated by 180° and its channel axes swapped; stride 2: four such convolutions
 *   (trace-strided-gradient.ts); else the transposed convolution;
 *   dW: X convolved with dY, batch and channels swapped, or a matrix product with copies of X (`filterGradient`).
 */
import type {
  AvgPoolAttrs,
  Conv2DAttrs,
  Conv2DBackpropFilterAttrs,
  Conv2DBackpropInputAttrs,
} from '@tensorflow/tfjs';
import { sizeOf } from './array.ts';
import { MAX_POOL, MAX_POOL_GRADIENT } from './fused-kernels.ts';
import type { MaxPoolAttributes } from './fused-kernels.ts';
import { equalShapes } from './graph-value.ts';
import type { GraphBuilder } from './graph.ts';
import type { Shape, Value } from './graph-value.ts';
import { padImage, reverse, rule } from './trace-rule.ts';
import type { KernelRule, Pads } from './trace-rule.ts';
import { stridedInputGradient } from './trace-strided-gradient.ts';
import tf from './tf.ts';

type Rank4 = [number, number, number, number];
type Conv2DInfo = ReturnType<typeof tf.backend_util.computeConv2DInfo>;

const { backend_util: convolution } = tf;
const TO_NCHW = [0, 3, 1, 2];
const TO_NHWC = [0, 2, 3, 1];
const FILTER_TO_OIHW = [3, 2, 0, 1];
const FILTER_TO_IOHW = [2, 3, 0, 1];

function layoutIn(graph: GraphBuilder, image: Value, dataFormat: string): Value {
  return dataFormat === 'NHWC' ? graph.transpose(image, TO_NCHW) : image;
}

function layoutOut(graph: GraphBuilder, image: Value, dataFormat: string): Value {
  return dataFormat === 'NHWC' ? graph.transpose(image, TO_NHWC) : image;
}

function describe(
  imageShape: readonly number[],
  filterShape: readonly number[],
  attributes: Pick<Conv2DAttrs, 'strides' | 'pad' | 'dataFormat' | 'dimRoundingMode'> & {
    dilations?: Conv2DAttrs['dilations'];
  },
): Conv2DInfo {
  const { strides, pad, dataFormat, dilations = 1, dimRoundingMode } = attributes;
  const format = convolution.convertConv2DDataFormat(dataFormat);
  const info = convolution.computeConv2DInfo(
    [...imageShape] as Rank4,
    [...filterShape] as Rank4,
    strides,
    dilations,
    pad,
    dimRoundingMode,
    false,
    format,
  );
  if (info.dilationHeight !== 1 || info.dilationWidth !== 1)
    throw new RangeError('dilated convolutions are not supported by the compiler');
  return info;
}

function padsOf({ padInfo }: Conv2DInfo): Pads {
  return [padInfo.top, padInfo.left, padInfo.bottom, padInfo.right];
}

function attributesOf(info: Conv2DInfo, pads: readonly number[]) {
  return {
    kernel_shape: { ints: [info.filterHeight, info.filterWidth] },
    strides: { ints: [info.strideHeight, info.strideWidth] },
    pads: { ints: pads },
  };
}

/** dX for stride 1: a convolution of dY by the rotated filter; null when the padding rules it out. */
function inputGradientAsConvolution(
  graph: GraphBuilder,
  dy: Value,
  filter: Value,
  info: Conv2DInfo,
): Value | null {
  const { filterHeight, filterWidth, padInfo } = info;
  const pads = [
    filterHeight - 1 - padInfo.top,
    filterWidth - 1 - padInfo.left,
    filterHeight - 1 - padInfo.bottom,
    filterWidth - 1 - padInfo.right,
  ];
  if (info.strideHeight !== 1 || info.strideWidth !== 1 || pads.some((pad) => pad < 0)) return null;
  const turned = reverse(graph, graph.transpose(filter, FILTER_TO_IOHW), [2, 3]);
  const shape = [info.batchSize, info.inChannels, info.inHeight, info.inWidth];
  return graph.apply('Conv', [dy, turned], attributesOf(info, pads), { shape, dtype: dy.dtype });
}

function inputGradientAsTransposed(graph: GraphBuilder, dy: Value, filter: Value, info: Conv2DInfo): Value {
  const { padInfo } = info;
  const reached = (size: number, stride: number, kernel: number, pads: number) =>
    (size - 1) * stride + kernel - pads;
  const missing = [
    info.inHeight -
      reached(info.outHeight, info.strideHeight, info.filterHeight, padInfo.top + padInfo.bottom),
    info.inWidth - reached(info.outWidth, info.strideWidth, info.filterWidth, padInfo.left + padInfo.right),
  ];
  const attributes = { ...attributesOf(info, padsOf(info)), output_padding: { ints: missing } };
  const shape = [info.batchSize, info.inChannels, info.inHeight, info.inWidth];
  const oihw = graph.transpose(filter, FILTER_TO_OIHW);
  return graph.apply('ConvTranspose', [dy, oihw], attributes, { shape, dtype: dy.dtype });
}

/** Stacks equal images [a, n, h, w] on the first axis and flattens the rest: [k·a, n·h·w]. */
function stackRows(graph: GraphBuilder, images: readonly Value[]): Value {
  const [a, n, height, width] = images[0]!.shape as Rank4;
  const type = { shape: [images.length * a, n, height, width], dtype: images[0]!.dtype };
  const stacked =
    images.length === 1 ? images[0]! : graph.apply('Concat', images, { axis: { int: 0 } }, type);
  return graph.reshape(stacked, [images.length * a, n * height * width]);
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

/** a · bᵀ with the batch inside the inner axis, so that one large product handles all images. */
function rowProduct(graph: GraphBuilder, a: Value, b: Value): Value {
  const attributes = { transA: { int: 0 }, transB: { int: 1 } };
  return graph.apply('Gemm', [a, b], attributes, { shape: [a.shape[0]!, b.shape[0]!], dtype: a.dtype });
}

/** Channels and images per block on any processor. */
const LEAST_BLOCK = 8;

/** dW [kh, kw, c, o] = Σ_{n, y, x} dY[n, o, y, x] · X[n, c, stride·y + i − top, stride·x + j − left]. */
function filterGradient(graph: GraphBuilder, x: Value, dy: Value, info: Conv2DInfo): Value {
  const { batchSize, inChannels, outChannels, filterHeight, filterWidth, strideHeight, strideWidth } = info;
  const isBlock = (extent: number) => extent % LEAST_BLOCK === 0;
  if (filterHeight * filterWidth === 1 || !isBlock(batchSize))
    return filterGradientAsProduct(graph, x, dy, info);
  if (isBlock(outChannels)) return filterGradientAsConvolution(graph, x, dy, info);
  return isBlock(inChannels) && strideHeight === 1 && strideWidth === 1
    ? turnedFilterGradient(graph, x, dy, info)
    : filterGradientAsProduct(graph, x, dy, info);
}

/**
 * dW is X convolved with dY after batch and channels are swapped: images X [c, n, H, W], filters dY [o, n, h', w'] as
 * large as the output, dilated by the stride. The blocked layout does this without copies of X.
 */
function filterGradientAsConvolution(graph: GraphBuilder, x: Value, dy: Value, info: Conv2DInfo): Value {
  const { filterHeight, filterWidth, inHeight, inWidth, outHeight, outWidth } = info;
  const { strideHeight, strideWidth } = info;
  const { top, left } = info.padInfo;
  const bottom = (outHeight - 1) * strideHeight + filterHeight - inHeight - top;
  const right = (outWidth - 1) * strideWidth + filterWidth - inWidth - left;
  const shape = [info.inChannels, info.outChannels, filterHeight, filterWidth];
  const strides = [strideHeight, strideWidth];
  const gradient = convolveSwapped(graph, x, dy, [top, left, bottom, right], strides, shape);
  return graph.transpose(gradient, [2, 3, 0, 1]);
}

/** The same with dY as the images and X as the filters, for stride 1: dW, rotated by 180°. */
function turnedFilterGradient(graph: GraphBuilder, x: Value, dy: Value, info: Conv2DInfo): Value {
  const { filterHeight, filterWidth, padInfo } = info;
  const pads = [
    filterHeight - 1 - padInfo.top,
    filterWidth - 1 - padInfo.left,
    filterHeight - 1 - padInfo.bottom,
    filterWidth - 1 - padInfo.right,
  ] as const;
  const shape = [info.outChannels, info.inChannels, filterHeight, filterWidth];
  const turned = convolveSwapped(graph, dy, x, pads, [1, 1], shape);
  return graph.transpose(reverse(graph, turned, [2, 3]), [2, 3, 1, 0]);
}

/** Images [n, a, H, W] and filters [n, b, h, w] convolved over the batch: [a, b, …]; negative pads crop the image. */
function convolveSwapped(
  graph: GraphBuilder,
  images: Value,
  filters: Value,
  pads: Pads,
  dilations: readonly number[],
  shape: Shape,
): Value {
  const crops = pads.map((pad) => Math.min(pad, 0)) as unknown as Pads;
  const attributes = {
    kernel_shape: { ints: filters.shape.slice(2) },
    dilations: { ints: dilations },
    strides: { ints: [1, 1] },
    pads: { ints: pads.map((pad) => Math.max(pad, 0)) },
  };
  const operands = [padImage(graph, images, crops), filters];
  const [image, filter] = operands.map((operand) => graph.transpose(operand, [1, 0, 2, 3]));
  return graph.apply('Conv', [image!, filter!], attributes, { shape, dtype: images.dtype });
}

/** dW as the product of dY and copies of X, one for each tap. */
function filterGradientAsProduct(graph: GraphBuilder, x: Value, dy: Value, info: Conv2DInfo): Value {
  const images = graph.transpose(x, [1, 0, 2, 3]);
  const errors = graph.transpose(dy, [1, 0, 2, 3]);
  const { inChannels, outChannels, filterHeight, filterWidth } = info;
  const copies = stackRows(graph, patches(graph, images, info));
  const product = rowProduct(graph, stackRows(graph, [errors]), copies);
  const taps = graph.reshape(product, [outChannels, filterHeight, filterWidth, inChannels]);
  return graph.transpose(taps, [1, 2, 3, 0]);
}

/** The part of padded X under each tap, strided: kh·kw images [c, n, h', w']. */
function patches(graph: GraphBuilder, images: Value, info: Conv2DInfo): Value[] {
  const { batchSize, inChannels, outHeight, outWidth, filterHeight, filterWidth, strideHeight, strideWidth } =
    info;
  const padded = padImage(graph, images, padsOf(info));
  const shape = [inChannels, batchSize, outHeight, outWidth];
  if (filterHeight * filterWidth === 1 && equalShapes(shape, padded.shape)) return [padded];
  return range(filterHeight).flatMap((i) =>
    range(filterWidth).map((j) => {
      const ends = [i + (outHeight - 1) * strideHeight + 1, j + (outWidth - 1) * strideWidth + 1];
      const operands = [[i, j], ends, [2, 3], [strideHeight, strideWidth]].map((part) =>
        graph.integers(part),
      );
      return graph.apply('Slice', [padded, ...operands], {}, { shape, dtype: images.dtype });
    }),
  );
}

/** The pooled image, and for each of its values the flat index of its element in x. */
function maxPool(graph: GraphBuilder, x: Value, { size, stride, pad }: MaxPoolAttributes): [Value, Value] {
  const [n, c, height, width] = x.shape as Rank4;
  const pooled = (extent: number) => Math.floor((extent + 2 * pad - size) / stride) + 1;
  const shape = [n, c, pooled(height), pooled(width)];
  const attributes = {
    kernel_shape: { ints: [size, size] },
    strides: { ints: [stride, stride] },
    pads: { ints: [pad, pad, pad, pad] },
  };
  const types = [{ shape, dtype: x.dtype }, { shape, dtype: 'int64' }] as const; // prettier-ignore
  return graph.node('MaxPool', [x], attributes, types) as [Value, Value];
}

/** dX: each dY added at its value's index. Windows overlap, so an element may receive several. */
function maxPoolGradient(graph: GraphBuilder, dy: Value, x: Value, attributes: MaxPoolAttributes): Value {
  const [, places] = maxPool(graph, x, attributes);
  const all = { shape: [sizeOf(x.shape)], dtype: x.dtype };
  const flat = [places, dy].map((value) => graph.reshape(value, [sizeOf(dy.shape)]));
  const adding = { axis: { int: 0 }, reduction: { string: 'add' } };
  const dx = graph.apply('ScatterElements', [graph.splat(0, all), ...flat], adding, all);
  return graph.reshape(dx, x.shape);
}

export const CONVOLUTION_RULES: Readonly<Record<string, KernelRule>> = {
  Conv2D: rule<Conv2DAttrs>((graph, { x, filter }, attributes) => {
    const info = describe(x!.shape, filter!.shape, attributes);
    const image = layoutIn(graph, x!, attributes.dataFormat);
    const shape = [info.batchSize, info.outChannels, info.outHeight, info.outWidth];
    const operands = [image, graph.transpose(filter!, FILTER_TO_OIHW)];
    const y = graph.apply('Conv', operands, attributesOf(info, padsOf(info)), { shape, dtype: x!.dtype });
    return layoutOut(graph, y, attributes.dataFormat);
  }),
  Conv2DBackpropInput: rule<Conv2DBackpropInputAttrs>((graph, { dy, filter }, attributes) => {
    const info = describe(attributes.inputShape, filter!.shape, attributes);
    const errors = layoutIn(graph, dy!, attributes.dataFormat);
    const dx =
      inputGradientAsConvolution(graph, errors, filter!, info) ??
      stridedInputGradient(graph, errors, graph.transpose(filter!, FILTER_TO_IOHW), info) ??
      inputGradientAsTransposed(graph, errors, filter!, info);
    return layoutOut(graph, dx, attributes.dataFormat);
  }),
  Conv2DBackpropFilter: rule<Conv2DBackpropFilterAttrs>((graph, { x, dy }, attributes) => {
    const info = describe(x!.shape, attributes.filterShape, attributes);
    const image = layoutIn(graph, x!, attributes.dataFormat);
    return filterGradient(graph, image, layoutIn(graph, dy!, attributes.dataFormat), info);
  }),
  AvgPool: rule<AvgPoolAttrs>((graph, { x }, { filterSize, strides, pad, dimRoundingMode }) => {
    const info = convolution.computePool2DInfo(
      [...x!.shape] as Rank4,
      filterSize,
      strides,
      1,
      pad,
      dimRoundingMode,
    );
    const shape = [info.batchSize, info.outChannels, info.outHeight, info.outWidth];
    const image = graph.transpose(x!, TO_NCHW);
    const y = graph.apply('AveragePool', [image], attributesOf(info, padsOf(info)), {
      shape,
      dtype: x!.dtype,
    });
    return graph.transpose(y, TO_NHWC);
  }),
  [MAX_POOL]: rule<MaxPoolAttributes>((graph, { x }, attributes) => maxPool(graph, x!, attributes)[0]),
  [MAX_POOL_GRADIENT]: rule<MaxPoolAttributes>((graph, { dy, x }, attributes) =>
    maxPoolGradient(graph, dy!, x!, attributes),
  ),
};
