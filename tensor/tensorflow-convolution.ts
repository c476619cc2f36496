/**
 * Convolution kernels for tfjs's `tensorflow` backend, replacing tfjs-node's own. Those pass NCHW images to TensorFlow
 * unchanged, which its CPU kernels do not support; pass strides in NHWC's order; and do not support explicit padding in
 * gradients. Here NCHW stays NCHW on a GPU, and is transposed to NHWC and back on the CPU.
 *
 * Filters are [kh, kw, in, out] in both layouts.
 */
import tf from './tf.ts';
import type { Tensor, Tensor4D, TensorInfo } from './tf.ts';

/** The part of tfjs-node's backend that is used here. */
export interface TensorFlowBackend {
  readonly isUsingGpuDevice: boolean;
  readonly binding: Readonly<Record<AttributeType | 'TF_FLOAT', number>> & { readonly TF_Version: string };
  executeSingleOutput(operation: string, attributes: readonly Attribute[], inputs: readonly Tensor[]): Tensor;
}

type AttributeType = 'TF_ATTR_TYPE' | 'TF_ATTR_INT' | 'TF_ATTR_STRING' | 'TF_ATTR_BOOL';

interface Attribute {
  readonly name: string;
  readonly type: number;
  readonly value: number | string | boolean | readonly number[];
}

/** Attributes of tfjs's convolution kernels; those of gradients include the shape that cannot be inferred. */
interface ConvolutionAttributes {
  readonly strides: number | [number, number];
  readonly pad: Parameters<typeof tf.backend_util.computeConv2DInfo>[4];
  readonly dataFormat: 'NHWC' | 'NCHW';
  readonly dimRoundingMode?: 'floor' | 'round' | 'ceil';
  readonly dilations?: number | [number, number];
  readonly inputShape?: Shape4D;
  readonly filterShape?: Shape4D;
}

type Shape4D = [number, number, number, number];
type Layout = ConvolutionAttributes['dataFormat'];
type ConvInfo = ReturnType<typeof tf.backend_util.computeConv2DInfo>;

/** Replaces the kernels; call it after tfjs-node has registered its own. */
export function registerConvolutions(backend: TensorFlowBackend): void {
  register('Conv2D', ({ x, filter }, attributes) => {
    const run = convolution(backend, attributes, x!.shape, filter!.shape);
    return run.fromLayout(run.execute('Conv2D', [run.toLayout(x!), filter!]));
  });
  register('Conv2DBackpropInput', ({ dy, filter }, attributes) => {
    const run = convolution(backend, attributes, attributes.inputShape!, filter!.shape);
    const sizes = tf.tensor1d(inLayout(attributes.inputShape!, attributes.dataFormat, run.layout), 'int32');
    return run.fromLayout(run.execute('Conv2DBackpropInput', [sizes, filter!, run.toLayout(dy!)]));
  });
  register('Conv2DBackpropFilter', ({ x, dy }, attributes) => {
    const run = convolution(backend, attributes, x!.shape, attributes.filterShape!);
    const sizes = tf.tensor1d(attributes.filterShape!, 'int32');
    return run.execute('Conv2DBackpropFilter', [run.toLayout(x!), sizes, run.toLayout(dy!)]);
  });
}

function register(
  kernelName: string,
  compute: (inputs: Readonly<Record<string, Tensor>>, attributes: ConvolutionAttributes) => Tensor,
): void {
  tf.unregisterKernel(kernelName, 'tensorflow');
  tf.registerKernel({
    kernelName,
    backendName: 'tensorflow',
    // tfjs passes tensors to kernels; its declared type says only TensorInfo.
    kernelFunc: ({ inputs, attrs }): TensorInfo =>
      tf.tidy(() =>
        compute(
          inputs as unknown as Readonly<Record<string, Tensor>>,
          attrs as unknown as ConvolutionAttributes,
        ),
      ),
  });
}

/**
 * How one convolution runs: the layout that the device supports, the conversions to it and back, and the operation
 * itself.
 */
function convolution(
  backend: TensorFlowBackend,
  { strides, pad, dataFormat, dimRoundingMode, dilations = 1 }: ConvolutionAttributes,
  inputShape: readonly number[],
  filterShape: readonly number[],
) {
  const info = tf.backend_util.computeConv2DInfo(
    inputShape as Shape4D,
    filterShape as Shape4D,
    strides,
    dilations,
    pad,
    dimRoundingMode,
    false,
    dataFormat === 'NCHW' ? 'channelsFirst' : 'channelsLast',
  );
  const layout: Layout = backend.isUsingGpuDevice ? dataFormat : 'NHWC';
  const attributes = operationAttributes(backend, info, layout);
  const isMoved = layout !== dataFormat;
  return {
    layout,
    toLayout: (image: Tensor) => (isMoved ? tf.transpose(image as Tensor4D, [0, 2, 3, 1]) : image),
    fromLayout: (image: Tensor) => (isMoved ? tf.transpose(image as Tensor4D, [0, 3, 1, 2]) : image),
    execute: (operation: string, inputs: readonly Tensor[]) =>
      backend.executeSingleOutput(operation, attributes, inputs),
  };
}

function operationAttributes(
  { binding }: TensorFlowBackend,
  info: ConvInfo,
  layout: Layout,
): readonly Attribute[] {
  const perAxis = <T>(outer: T, height: T, width: T): T[] =>
    layout === 'NCHW' ? [outer, outer, height, width] : [outer, height, width, outer];
  const attribute = (name: string, type: AttributeType, value: Attribute['value']): Attribute => ({
    name,
    type: binding[type],
    value,
  });
  const { top, bottom, left, right } = info.padInfo;
  return [
    attribute('T', 'TF_ATTR_TYPE', binding.TF_FLOAT),
    attribute('strides', 'TF_ATTR_INT', perAxis(1, info.strideHeight, info.strideWidth)),
    attribute('dilations', 'TF_ATTR_INT', perAxis(1, info.dilationHeight, info.dilationWidth)),
    attribute('data_format', 'TF_ATTR_STRING', layout),
    attribute('use_cudnn_on_gpu', 'TF_ATTR_BOOL', true),
    attribute('padding', 'TF_ATTR_STRING', 'EXPLICIT'),
    attribute('explicit_paddings', 'TF_ATTR_INT', perAxis([0, 0], [top, bottom], [left, right]).flat()),
  ];
}

/** An image shape of one layout in another. */
function inLayout([n, a, b, c]: Shape4D, from: Layout, to: Layout): Shape4D {
  return from === to ? [n, a, b, c] : [n, b, c, a]; // only ever NCHW to NHWC
}
