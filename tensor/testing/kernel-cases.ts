/** The kernels' test cases: every rule of the tracer, and shapes and compositions that meet in networks. For tests only. */
import * as ops from '../ops.ts';
import tf from '../tf.ts';
import type { Tensor, Tensor1D, Tensor2D, Tensor3D, Tensor4D } from '../tf.ts';
import { awayFromZero, positive } from './kernel-comparison.ts';
import type { Case } from './kernel-comparison.ts';

function unary(fn: (x: Tensor) => Tensor, domain?: Case['domain']): Case {
  return { fn, x: [2, 3], ...(domain ? { domain } : {}) };
}

/** Every kernel rule, reached through the public tfjs operation that calls it. */
export const CASES: Readonly<Record<string, Case>> = {
  Abs: unary((x) => tf.abs(x), awayFromZero),
  Ceil: { ...unary((x) => tf.ceil(x)), forwardOnly: true },
  Cos: unary((x) => tf.cos(x)),
  Exp: unary((x) => tf.exp(x)),
  Expm1: unary((x) => tf.expm1(x)),
  Floor: { ...unary((x) => tf.floor(x)), forwardOnly: true },
  Round: { ...unary((x) => tf.round(x)), forwardOnly: true },
  Identity: unary((x) => tf.clone(x)),
  Log: unary((x) => tf.log(x), positive),
  Log1p: unary((x) => tf.log1p(x), positive),
  Neg: unary((x) => tf.neg(x)),
  Reciprocal: unary((x) => tf.reciprocal(x), awayFromZero),
  Relu: unary((x) => tf.relu(x), awayFromZero),
  Relu6: unary((x) => tf.relu6(x), awayFromZero),
  Elu: { ...unary((x) => tf.elu(x), awayFromZero), forwardOnly: true },
  LeakyRelu: unary((x) => tf.leakyRelu(x, 0.1), awayFromZero),
  Rsqrt: unary((x) => tf.rsqrt(x), positive),
  Sigmoid: unary((x) => tf.sigmoid(x)),
  Sign: { ...unary((x) => tf.sign(x)), forwardOnly: true },
  Sin: unary((x) => tf.sin(x)),
  Softplus: unary((x) => tf.softplus(x)),
  Sqrt: unary((x) => tf.sqrt(x), positive),
  Square: unary((x) => tf.square(x)),
  Step: { ...unary((x) => tf.step(x, 0.3)), forwardOnly: true },
  Tanh: unary((x) => tf.tanh(x)),
  ClipByValue: unary((x) => tf.clipByValue(x, -0.5, 0.5)),
  Silu: unary((x) => ops.silu(x)),
  Add: { fn: (x, y) => tf.add(x, y), x: [2, 3], y: [3] },
  Sub: { fn: (x, y) => tf.sub(x, y), x: [2, 3], y: [2, 1] },
  Multiply: { fn: (x, y) => tf.mul(x, y), x: [2, 3], y: [1, 3] },
  RealDiv: { fn: (x, y) => tf.div(x, y), x: [2, 3], y: [3], domain: positive },
  Pow: { fn: (x, y) => tf.pow(x, y), x: [2, 3], y: [2, 3], domain: positive },
  Maximum: { fn: (x, y) => tf.maximum(x, y), x: [2, 3], y: [2, 3] },
  Minimum: { fn: (x, y) => tf.minimum(x, y), x: [2, 3], y: [2, 3] },
  SquaredDifference: { fn: (x, y) => tf.squaredDifference(x, y), x: [2, 3], y: [2, 3] },
  Equal: { fn: (x, y) => tf.equal(x, y), x: [2, 3], y: [2, 3], domain: Math.round, forwardOnly: true },
  NotEqual: { fn: (x, y) => tf.notEqual(x, y), x: [2, 3], y: [2, 3], domain: Math.round, forwardOnly: true },
  Greater: { fn: (x, y) => tf.greater(x, y), x: [2, 3], y: [2, 3], forwardOnly: true },
  GreaterEqual: { fn: (x, y) => tf.greaterEqual(x, y), x: [2, 3], y: [3], forwardOnly: true },
  Less: { fn: (x, y) => tf.less(x, y), x: [2, 3], y: [2, 3], forwardOnly: true },
  LessEqual: { fn: (x, y) => tf.lessEqual(x, y), x: [2, 3], y: [2, 3], forwardOnly: true },
  LogicalAnd: {
    fn: (x, y) => tf.logicalAnd(tf.greater(x, 0), tf.greater(y, 0)),
    x: [9],
    y: [9],
    forwardOnly: true,
  },
  LogicalOr: {
    fn: (x, y) => tf.logicalOr(tf.greater(x, 0), tf.greater(y, 0)),
    x: [9],
    y: [9],
    forwardOnly: true,
  },
  LogicalNot: { fn: (x) => tf.logicalNot(tf.greater(x, 0)), x: [9], forwardOnly: true },
  Select: {
    fn: (x, y) => tf.where(tf.tensor2d([[1, 0, 1], [0, 0, 1]], [2, 3], 'bool'), x, y), // prettier-ignore
    x: [2, 3],
    y: [2, 3],
  },
  Cast: { fn: (x) => tf.cast(tf.greater(x, 0), 'float32'), x: [2, 3], forwardOnly: true },
  AddN: { fn: (x, y) => tf.addN([x, y, x]), x: [2, 3], y: [2, 3] },
  Sum: { fn: (x) => tf.sum(x, [0, 2]), x: [2, 3, 4] },
  Mean: { fn: (x) => tf.mean(x, 1, true), x: [2, 3, 4] },
  Max: { fn: (x) => tf.max(x, 1), x: [2, 3] },
  Min: { fn: (x) => tf.min(x, 1), x: [2, 3] },
  Prod: { fn: (x) => tf.prod(x, 1), x: [2, 3], forwardOnly: true },
  ArgMax: { fn: (x) => tf.argMax(x, 1), x: [4, 3], forwardOnly: true },
  Softmax: { fn: (x) => tf.softmax(x), x: [2, 5] },
  LogSoftmax: { fn: (x) => tf.logSoftmax(x), x: [2, 5] },
  GroupNorm: {
    fn: (x, y) => ops.groupNorm(x as Tensor4D, y as Tensor1D, tf.ones([4]), 2),
    x: [2, 4, 3, 3],
    y: [4],
  },
  MaxPool2D: {
    fn: (x) => ops.maxPool2d(x as Tensor4D, { size: 3, stride: 2, pad: 1 }),
    x: [2, 3, 6, 5],
  },
  MaxPool2DGrad: {
    fn: (x) =>
      tf.grad((image) => tf.sum(ops.maxPool2d(image as Tensor4D, { size: 3, stride: 2, pad: 1 })))(x),
    x: [2, 3, 5, 6],
    forwardOnly: true,
  },
  BatchMatMul: { fn: (x, y) => tf.matMul(x, y), x: [2, 3, 4], y: [2, 4, 2] },
  Reshape: { fn: (x) => tf.square(tf.reshape(tf.reshape(x, [6, 1]), [3, -1])), x: [2, 3] },
  ExpandDims: { fn: (x) => tf.expandDims(x, -1), x: [2, 3] },
  Transpose: { fn: (x) => tf.square(tf.transpose(tf.transpose(x, [2, 0, 1]), [0, 2, 1])), x: [2, 3, 4] },
  Slice: { fn: (x) => tf.slice(x, [1, 0], [1, -1]), x: [3, 4] },
  Concat: { fn: (x, y) => tf.concat([x, y], 1), x: [2, 3], y: [2, 1] },
  Pack: { fn: (x, y) => tf.stack([x, y], 1), x: [2, 3], y: [2, 3] },
  Unpack: { fn: (x) => tf.mul(tf.unstack(x, 1)[0]!, tf.unstack(x, 1)[2]!), x: [2, 3] },
  SplitV: { fn: (x) => tf.mul(tf.split(x, 2, 1)[0]!, tf.split(x, 2, 1)[1]!), x: [2, 4] },
  PadV2: { fn: (x) => tf.pad(x, [[1, 0], [0, 2]], 0.5), x: [2, 3] }, // prettier-ignore
  Tile: { fn: (x) => tf.tile(x, [2, 3]), x: [2, 3] },
  Reverse: { fn: (x) => tf.reverse(x, [0, 1]), x: [2, 3] },
  GatherV2: { fn: (x) => tf.gather(x, tf.tensor1d([2, 0, 2], 'int32')), x: [3, 2], forwardOnly: true },
  OneHot: { fn: (x) => tf.oneHot(tf.argMax(x, 1), 4), x: [3, 4], forwardOnly: true },
  Fill: { fn: (x) => tf.mul(x, tf.fill([2, 3], 3)), x: [2, 3] },
  ZerosLike: { fn: (x) => tf.add(x, tf.zerosLike(x)), x: [2, 3] },
  OnesLike: { fn: (x) => tf.concat([x, tf.onesLike(x)], 0), x: [2, 3] },
  Conv2D: {
    fn: (x, y) => tf.conv2d(x as Tensor4D, y as Tensor4D, 1, 'same'),
    x: [2, 5, 5, 3],
    y: [3, 3, 3, 2],
  },
  Conv2DBackpropInput: {
    fn: (x, y) => ops.conv2d(x as Tensor4D, y as Tensor4D, { stride: 2 }),
    x: [2, 3, 6, 5],
    y: [4, 3, 3, 3],
  },
  Conv2DBackpropFilter: {
    fn: (x, y) => ops.conv2d(x as Tensor4D, y as Tensor4D, { pad: 0 }),
    x: [2, 3, 5, 6],
    y: [4, 3, 3, 2],
  },
  AvgPool: { fn: (x) => tf.avgPool(x as Tensor4D, 2, 2, 'valid'), x: [2, 4, 4, 3], forwardOnly: true },
};

/** More shapes and compositions that meet in networks. */
export const COMPOSITIONS: Readonly<Record<string, Case>> = {
  'matMul, left transposed': { fn: (x, y) => tf.matMul(x, y, true, false), x: [4, 3], y: [4, 2] },
  'matMul, both transposed': { fn: (x, y) => tf.matMul(x, y, true, true), x: [2, 4, 3], y: [2, 2, 4] },
  linear: {
    fn: (x, y) => ops.linear(x as Tensor2D, y as Tensor2D, tf.tensor1d([1, 2])),
    x: [3, 4],
    y: [2, 4],
  },
  'conv2d 3×3': { fn: (x, y) => ops.conv2d(x as Tensor4D, y as Tensor4D), x: [2, 3, 5, 4], y: [4, 3, 3, 3] },
  'conv2d 1×1': { fn: (x, y) => ops.conv2d(x as Tensor4D, y as Tensor4D), x: [2, 3, 5, 4], y: [4, 3, 1, 1] },
  'conv2d 1×1 stride 2': {
    fn: (x, y) => ops.conv2d(x as Tensor4D, y as Tensor4D, { stride: 2 }),
    x: [2, 3, 5, 4],
    y: [4, 3, 1, 1],
  },
  'conv2d 5×5 stride 2': {
    fn: (x, y) => ops.conv2d(x as Tensor4D, y as Tensor4D, { stride: 2 }),
    x: [1, 2, 7, 8],
    y: [3, 2, 5, 5],
  },
  'conv2d 5×5 stride 2 over even sides': {
    fn: (x, y) => ops.conv2d(x as Tensor4D, y as Tensor4D, { stride: 2 }),
    x: [1, 1, 6, 4],
    y: [2, 1, 5, 5],
  },
  'conv2d NHWC stride 2 valid': {
    fn: (x, y) => tf.conv2d(x as Tensor4D, y as Tensor4D, 2, 'valid'),
    x: [2, 7, 6, 3],
    y: [3, 3, 3, 2],
  },
  attention: {
    fn: (x, y) => tf.matMul(tf.softmax(tf.matMul(x as Tensor3D, y as Tensor3D, false, true)), y),
    x: [2, 5, 3],
    y: [2, 5, 3],
  },
  'conv2d in blocks of channels': {
    fn: (x, y) => ops.conv2d(tf.tile(x as Tensor4D, [1, 8, 1, 1]), tf.tile(y as Tensor4D, [8, 8, 1, 1])),
    x: [1, 2, 3, 2],
    y: [2, 2, 3, 3],
    domain: (value) => value / 8,
  },
  // Eight images and eight outputs: what the filter's gradient in blocked layout needs.
  'conv2d of eight images': {
    fn: (x, y) => ops.conv2d(x as Tensor4D, y as Tensor4D),
    x: [8, 2, 2, 3],
    y: [8, 2, 3, 3],
  },
  'conv2d of eight images, stride 2 over an even and an odd side': {
    fn: (x, y) => ops.conv2d(x as Tensor4D, y as Tensor4D, { stride: 2 }),
    x: [8, 1, 4, 5],
    y: [8, 1, 3, 3],
  },
  'conv2d of eight images, unpadded': {
    fn: (x, y) => ops.conv2d(x as Tensor4D, y as Tensor4D, { pad: 0 }),
    x: [8, 1, 5, 4],
    y: [8, 1, 3, 2],
  },
  // The filter's gradient with error and image in each other's place: few outputs.
  'conv2d of eight images and channels, two outputs': {
    fn: (x, y) => ops.conv2d(tf.tile(x as Tensor4D, [1, 8, 1, 1]), tf.tile(y as Tensor4D, [1, 8, 1, 1])),
    x: [8, 1, 3, 2],
    y: [2, 1, 3, 3],
    domain: (value) => value / 4,
  },
  upsampleConv2d: {
    fn: (x, y) => ops.upsampleConv2d(x as Tensor4D, y as Tensor4D, tf.tensor1d([1, 2])),
    x: [1, 2, 3, 2],
    y: [2, 2, 3, 3],
  },
  'conv2d 3×3 stride 2 with a shortcut': {
    fn: (x, y) => {
      const shortcut = ops.conv2d(x as Tensor4D, tf.slice(y as Tensor4D, [0, 0, 1, 1], [-1, -1, 1, 1]), { stride: 2 }); // prettier-ignore
      return tf.add(ops.conv2d(x as Tensor4D, y as Tensor4D, { stride: 2 }), tf.square(shortcut));
    },
    x: [1, 2, 4, 6],
    y: [3, 2, 3, 3],
  },
  'conv2d 2×3 stride 2, unpadded': {
    fn: (x, y) => ops.conv2d(x as Tensor4D, y as Tensor4D, { stride: 2, pad: 0 }),
    x: [1, 2, 6, 4],
    y: [3, 2, 2, 3],
  },
  'scaled 1×1 filter': {
    fn: (x, y) => ops.conv2d(x as Tensor4D, tf.mul(0.5, tf.sub(y as Tensor4D, 1))),
    x: [2, 3, 2, 2],
    y: [4, 3, 1, 1],
  },
  'scale and shift of each channel': {
    fn: (x, y) => tf.add(tf.reshape(y, [1, 3, 1, 1]), tf.mul(tf.tensor4d([2, -1, 0.5], [1, 3, 1, 1]), x)),
    x: [2, 3, 2, 2],
    y: [3],
  },
  'scale and shift of each channel, then of each image': {
    fn: (x, y) => {
      const [scale, shift] = [tf.tensor4d([2, -1, 0.5], [1, 3, 1, 1]), tf.tensor4d([1, 2, 3], [1, 3, 1, 1])];
      const perImage = tf.reshape(y, [2, 3, 1, 1]);
      return tf.add(tf.mul(tf.add(tf.mul(x, scale), shift), perImage), tf.square(perImage));
    },
    x: [2, 3, 2, 2],
    y: [6],
  },
  'conv2d with a bias': {
    fn: (x, y) => tf.add(ops.conv2d(x as Tensor4D, tf.ones([3, 2, 3, 3])), tf.reshape(y, [1, 3, 1, 1])),
    x: [2, 2, 4, 4],
    y: [3],
  },
  'spaceToDepth and back': {
    fn: (x) => ops.depthToSpace(tf.square(ops.spaceToDepth(x as Tensor4D, 2)), 2),
    x: [2, 3, 4, 4],
  },
  'scalar constants': { fn: (x) => tf.div(tf.sub(tf.mul(2, x), 1), tf.add(tf.square(x), 1)), x: [2, 3] },
  'normalise and affine': {
    fn: (x, y) => ops.groupNorm(x as Tensor4D, y as Tensor1D, y as Tensor1D, 2),
    x: [2, 4, 3, 2],
    y: [4],
  },
};
