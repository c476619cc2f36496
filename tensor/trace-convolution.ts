/**
 * The tracer's rules for convolutions and pooling. ONNX convolves [n, c, h, w] images with [o, c, kh, kw] filters; tfjs
 * filters are [kh, kw, c, o], and its NHWC images are transposed on the way in and out (transposes that meet cancel).
 *
 * Gradients, with Y = X ∗ W:
 *   dX, stride 1: dY convolved with W turned by 180° and its channel axes swapped; else the transposed convolution;
 *   dW[o, (i, j, c)] = Σ_n dY[n, o, :] · patch(i, j)(X)[n, c, :]ᵀ, a batch of matrix products over shifted views of X.
 */
import type {
  AvgPoolAttrs,
  Conv2DAttrs,
  Conv2DBackpropFilterAttrs,
  Conv2DBackpropInputAttrs,
} from '@tensorflow/tfjs';
import { UPSAMPLE_2X } from './fused-kernels.ts';
import type { GraphBuilder, Value } from './graph.ts';
import { matMul, reverse, rule } from './trace-rule.ts';
import type { KernelRule } from './trace-rule.ts';
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

function padsOf({ padInfo }: Conv2DInfo): number[] {
  return [padInfo.top, padInfo.left, padInfo.bottom, padInfo.right];
}

function attributesOf(info: Conv2DInfo, pads: readonly number[]) {
  return {
    kernel_shape: { ints: [info.filterHeight, info.filterWidth] },
    strides: { ints: [info.strideHeight, info.strideWidth] },
    pads: { ints: pads },
  };
}

/** dX for stride 1: a convolution of dY by the turned filter; null when the padding rules it out. */
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

/** The views of padded X that meet each filter tap, side by side on the channel axis: [n, kh·kw·c, h'·w']. */
function patches(graph: GraphBuilder, x: Value, info: Conv2DInfo): Value {
  const { batchSize, inChannels, outHeight, outWidth, filterHeight, filterWidth, strideHeight, strideWidth } =
    info;
  const flat = (value: Value, channels: number) =>
    graph.reshape(value, [batchSize, channels, outHeight * outWidth]);
  const pads = padsOf(info);
  const padded = pads.every((pad) => pad === 0) ? x : padImage(graph, x, pads);
  const views: Value[] = [];
  for (let i = 0; i < filterHeight; i++)
    for (let j = 0; j < filterWidth; j++) {
      const starts = graph.integers([i, j]);
      const ends = graph.integers([
        i + (outHeight - 1) * strideHeight + 1,
        j + (outWidth - 1) * strideWidth + 1,
      ]);
      const operands = [
        padded,
        starts,
        ends,
        graph.integers([2, 3]),
        graph.integers([strideHeight, strideWidth]),
      ];
      const shape = [batchSize, inChannels, outHeight, outWidth];
      const whole = shape.every((extent, axis) => extent === padded.shape[axis]);
      views.push(whole ? padded : graph.apply('Slice', operands, {}, { shape, dtype: x.dtype }));
    }
  if (views.length === 1) return flat(views[0]!, inChannels);
  const channels = inChannels * views.length;
  const type = { shape: [batchSize, channels, outHeight, outWidth], dtype: x.dtype };
  return flat(graph.apply('Concat', views, { axis: { int: 1 } }, type), channels);
}

function padImage(graph: GraphBuilder, x: Value, [top, left, bottom, right]: readonly number[]): Value {
  const [n, c, height, width] = x.shape as Rank4;
  const shape = [n, c, height + top! + bottom!, width + left! + right!];
  const pads = graph.integers([0, 0, top!, left!, 0, 0, bottom!, right!]);
  return graph.apply('Pad', [x, pads, graph.scalar(0)], {}, { shape, dtype: x.dtype });
}

function filterGradient(graph: GraphBuilder, x: Value, dy: Value, info: Conv2DInfo): Value {
  const { batchSize, inChannels, outChannels, filterHeight, filterWidth, outHeight, outWidth } = info;
  const errors = graph.reshape(dy, [batchSize, outChannels, outHeight * outWidth]);
  const products = matMul(graph, errors, patches(graph, x, info), false, true);
  const taps = filterHeight * filterWidth * inChannels;
  const summed = graph.apply(
    'ReduceSum',
    [products, graph.integers([0])],
    { keepdims: { int: 0 } },
    {
      shape: [outChannels, taps],
      dtype: x.dtype,
    },
  );
  return graph.transpose(
    graph.reshape(summed, [outChannels, filterHeight, filterWidth, inChannels]),
    [1, 2, 3, 0],
  );
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
  [UPSAMPLE_2X]: (graph, { x }) => {
    const [n, c, height, width] = x!.shape as Rank4;
    const scales = graph.constant([1, 1, 2, 2], { shape: [4], dtype: 'float32' });
    const attributes = {
      mode: { string: 'nearest' },
      coordinate_transformation_mode: { string: 'asymmetric' },
      nearest_mode: { string: 'floor' },
    };
    const shape = [n, c, height * 2, width * 2];
    const noRegion = graph.constant([], { shape: [0], dtype: 'float32' });
    return graph.apply('Resize', [x!, noRegion, scales], attributes, { shape, dtype: x!.dtype });
  },
};
