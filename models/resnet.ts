/**
 * ResNet-18, -34 and -50 (He et al. 1512.03385) with batch normalisation, as torchvision and timm build them: a
 * bottleneck has its stride in the 3×3 convolution, and the names are the same, so their weights fit
 * (resnet-weights.ts).
 *
 *   7×7 stem, stride 2 → 3×3 maximum, stride 2 → four stages (each after the first halves the resolution)
 *   → global average → linear head `fc`
 */
import type { ArrayMap } from '../tensor/array.ts';
import { avgPoolGlobal, maxPool2d } from '../tensor/ops.ts';
import type { Key } from '../tensor/random.ts';
import tf from '../tensor/tf.ts';
import type { Tensor2D, Tensor4D } from '../tensor/tf.ts';
import { normalizedConv } from './batch-norm.ts';
import type { BatchStatistics } from './batch-norm.ts';
import { Initializer } from './parameters.ts';
import type { Parameters } from './parameters.ts';

/** Blocks of each stage; a bottleneck outputs four times its width. */
const ARCHITECTURES = {
  resnet18: { blocks: [2, 2, 2, 2], isBottleneck: false },
  resnet34: { blocks: [3, 4, 6, 3], isBottleneck: false },
  resnet50: { blocks: [3, 4, 6, 3], isBottleneck: true },
} as const;
const WIDTHS = [64, 128, 256, 512] as const;
const STEM = { convolution: 'conv1', norm: 'bn1' };

export type ResNetArchitecture = keyof typeof ARCHITECTURES;
export const RESNET_HEAD = 'fc';

interface Convolution {
  readonly convolution: string;
  readonly norm: string;
  readonly inputs: number;
  readonly outputs: number;
  readonly size: number;
  readonly stride: number;
}

interface Block {
  /** In order; a ReLU follows each, the last one after the sum. */
  readonly path: readonly Convolution[];
  /** Null if the block's input has the shape of its output. */
  readonly shortcut: Convolution | null;
}

function blocksOf(architecture: ResNetArchitecture): Block[] {
  const { blocks, isBottleneck } = ARCHITECTURES[architecture];
  let inputs: number = WIDTHS[0];
  return WIDTHS.flatMap((width, stage) =>
    Array.from({ length: blocks[stage]! }, (_, i) => {
      const stride = i === 0 && stage > 0 ? 2 : 1;
      const block = blockOf(`layer${stage + 1}.${i}`, { inputs, width, stride, isBottleneck });
      inputs = block.path.at(-1)!.outputs;
      return block;
    }),
  );
}

interface BlockShape {
  readonly inputs: number;
  readonly width: number;
  readonly stride: number;
  readonly isBottleneck: boolean;
}

function blockOf(name: string, { inputs, width, stride, isBottleneck }: BlockShape): Block {
  const outputs = isBottleneck ? 4 * width : width;
  const layer = (i: number, form: Omit<Convolution, 'convolution' | 'norm'>): Convolution => ({
    convolution: `${name}.conv${i}`,
    norm: `${name}.bn${i}`,
    ...form,
  });
  const path = isBottleneck
    ? [
        layer(1, { inputs, outputs: width, size: 1, stride: 1 }),
        layer(2, { inputs: width, outputs: width, size: 3, stride }),
        layer(3, { inputs: width, outputs, size: 1, stride: 1 }),
      ]
    : [
        layer(1, { inputs, outputs, size: 3, stride }),
        layer(2, { inputs: outputs, outputs, size: 3, stride: 1 }),
      ];
  if (inputs === outputs && stride === 1) return { path, shortcut: null };
  const names = { convolution: `${name}.downsample.0`, norm: `${name}.downsample.1` };
  return { path, shortcut: { ...names, inputs, outputs, size: 1, stride } };
}

/** The part of `ClassifierConfig` that determines the first and the last layer. */
export interface ResNetEnds {
  readonly channels: number;
  readonly classes: number;
  readonly cosineScale?: number;
}

/** Shapes of all parameters and running statistics, by torchvision's names. */
export function resNetShapes(
  architecture: ResNetArchitecture,
  { channels, classes, cosineScale }: ResNetEnds,
): Readonly<Record<string, readonly number[]>> {
  const blocks = blocksOf(architecture);
  const features = blocks.at(-1)!.path.at(-1)!.outputs;
  const stem = { ...STEM, inputs: channels, outputs: WIDTHS[0], size: 7 };
  const ofBlocks = blocks.flatMap(({ path, shortcut }) => (shortcut === null ? path : [...path, shortcut]));
  return {
    ...Object.fromEntries<readonly number[]>(
      [stem, ...ofBlocks].flatMap(({ convolution, norm, inputs, outputs, size }) => [
        [`${convolution}.weight`, [outputs, inputs, size, size]] as const,
        ...NORM_PARTS.map((part) => [`${norm}.${part}`, [outputs]] as const),
      ]),
    ),
    [`${RESNET_HEAD}.weight`]: [classes, features],
    ...(cosineScale === undefined ? { [`${RESNET_HEAD}.bias`]: [classes] } : {}), // a cosine head has none
  };
}

const NORM_PARTS = ['weight', 'bias', 'running_mean', 'running_var'];

/**
 * New values for parameters of these shapes: convolutions of variance 2/fan-in (He et al. 2015), the head of variance
 * 1/fan-in, scales and variances 1, all others 0.
 */
export function initResNet(shapes: Readonly<Record<string, readonly number[]>>, key: Key): ArrayMap {
  const init = new Initializer(key);
  for (const [name, shape] of Object.entries(shapes)) {
    const [outputs, inputs, size] = shape as [number, number, number];
    const layer = name.replace(/\.weight$/, '');
    if (shape.length === 4) init.conv(layer, inputs, outputs, size, { bias: false });
    else if (shape.length === 2) init.linear(layer, inputs, outputs, { bias: `${layer}.bias` in shapes });
    else if (name.endsWith('.running_mean')) init.batchNorm(name.slice(0, -'.running_mean'.length), outputs);
  }
  return init.arrays;
}

/**
 * The features that the head receives: x [n, c, h, w] → [n, 512 or 2048]. `batch`: normalised by its own statistics.
 */
export function resNetFeatures(
  architecture: ResNetArchitecture,
  params: Parameters,
  x: Tensor4D,
  batch?: BatchStatistics,
): Tensor2D {
  const run = (layer: Pick<Convolution, 'convolution' | 'norm' | 'stride'>, h: Tensor4D) =>
    normalizedConv(params, layer, h, { stride: layer.stride, batch });
  const stem: Tensor4D = tf.relu(run({ ...STEM, stride: 2 }, x));
  const first = maxPool2d(stem, { size: 3, stride: 2, pad: 1 });
  const last = blocksOf(architecture).reduce((h, { path, shortcut }) => {
    const change = path.reduce((value, layer, i) => run(layer, i === 0 ? value : tf.relu(value)), h);
    return tf.relu<Tensor4D>(tf.add(change, shortcut === null ? h : run(shortcut, h)));
  }, first);
  return avgPoolGlobal(last);
}
