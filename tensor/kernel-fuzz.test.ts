// Every kernel on random shapes, output and gradients, against the reference engine. BALLAST_FUZZ_SEED chooses other
// shapes, BALLAST_FUZZ_ROUNDS how many of each.
import { describe, expect, it } from 'vitest';
import * as ops from './ops.ts';
import { foldIn, keyFromSeed } from './random.ts';
import { awayFromZero, expectClose, positive, runOn } from './testing/kernel-comparison.ts';
import type { Case } from './testing/kernel-comparison.ts';
import { RandomShapes } from './testing/random-shapes.ts';
import tf from './tf.ts';
import type { Tensor, Tensor1D, Tensor4D } from './tf.ts';
import { KERNEL_RULES } from './trace-kernels.ts';

const SEED = Number(process.env['BALLAST_FUZZ_SEED'] ?? 1);
const ROUNDS = Number(process.env['BALLAST_FUZZ_ROUNDS'] ?? 2);
/** Sums of a few hundred numbers, in another order. */
const TOLERANCE = 1e-4;

type Draw = (random: RandomShapes) => Case;
type Options = Pick<Case, 'domain' | 'forwardOnly'>;
const forwardOnly: Options = { forwardOnly: true };

function unary(fn: (x: Tensor) => Tensor, options: Options = {}): Draw {
  return (random) => ({ fn, x: random.shape(), ...options });
}

function broadcasting(fn: Case['fn'], options: Options = {}): Draw {
  return (random) => {
    const large = random.shape();
    const small = random.broadcastable(large);
    const [x, y] = random.oneOf([true, false]) ? [large, small] : [small, large];
    return { fn, x, y, ...options };
  };
}

/** For operations whose tfjs gradient does not broadcast. */
function pairwise(fn: Case['fn'], options: Options = {}): Draw {
  return (random) => {
    const x = random.shape();
    return { fn, x, y: x, ...options };
  };
}

function along(fn: (x: Tensor, axis: number) => Tensor, options: Options = {}): Draw {
  return (random) => {
    const x = random.shape(1);
    const axis = random.axis(x);
    return { fn: (tensor) => fn(tensor, axis), x, ...options };
  };
}

function reduction(fn: (x: Tensor, axes: number[], keep: boolean) => Tensor, options: Options = {}): Draw {
  return (random) => {
    const x = random.shape(1);
    const [axes, keep] = [random.axes(x), random.oneOf([true, false])];
    return { fn: (tensor) => fn(tensor, axes, keep), x, ...options };
  };
}

/** [n, c, h, w] and [o, c, kh, kw]; multiples of eight reach the blocked layout. */
function convolution(pads: readonly (number | undefined)[]): Draw {
  return (random) => {
    const [n, c, o] = [random.oneOf([1, 2, 8]), random.oneOf([1, 3, 8]), random.oneOf([1, 2, 8, 16])];
    const kernel = random.oneOf([1, 3]);
    const [stride, pad] = [random.int(1, 2), random.oneOf(pads)];
    const x = [n, c, random.int(3, 6), random.int(3, 6)];
    const options = { stride, ...(pad === undefined ? {} : { pad }) };
    const fn = (image: Tensor, filter: Tensor) => ops.conv2d(image as Tensor4D, filter as Tensor4D, options);
    return { fn, x, y: [o, c, kernel, kernel], domain: (value) => value / 4 };
  };
}

const DRAWS: Readonly<Record<string, Draw>> = {
  Abs: unary((x) => tf.abs(x), { domain: awayFromZero }),
  Ceil: unary((x) => tf.ceil(x), forwardOnly),
  Cos: unary((x) => tf.cos(x)),
  Exp: unary((x) => tf.exp(x)),
  Expm1: unary((x) => tf.expm1(x)),
  Floor: unary((x) => tf.floor(x), forwardOnly),
  Round: unary((x) => tf.round(x), forwardOnly),
  Identity: unary((x) => tf.clone(x)),
  Log: unary((x) => tf.log(x), { domain: positive }),
  Log1p: unary((x) => tf.log1p(x), { domain: positive }),
  Neg: unary((x) => tf.neg(x)),
  Reciprocal: unary((x) => tf.reciprocal(x), { domain: positive }),
  Relu: unary((x) => tf.relu(x), { domain: awayFromZero }),
  Relu6: unary((x) => tf.relu6(x), { domain: awayFromZero }),
  Elu: unary((x) => tf.elu(x), { domain: awayFromZero, ...forwardOnly }),
  LeakyRelu: unary((x) => tf.leakyRelu(x, 0.1), { domain: awayFromZero }),
  Rsqrt: unary((x) => tf.rsqrt(x), { domain: positive }),
  Sigmoid: unary((x) => tf.sigmoid(x)),
  Sign: unary((x) => tf.sign(x), forwardOnly),
  Sin: unary((x) => tf.sin(x)),
  Softplus: unary((x) => tf.softplus(x)),
  Sqrt: unary((x) => tf.sqrt(x), { domain: positive }),
  Square: unary((x) => tf.square(x)),
  Step: unary((x) => tf.step(x, 0.3), forwardOnly),
  Tanh: unary((x) => tf.tanh(x)),
  ClipByValue: unary((x) => tf.clipByValue(x, -0.5, 0.5)),
  Silu: unary((x) => ops.silu(x)),
  Add: broadcasting((x, y) => tf.add(x, y)),
  Sub: broadcasting((x, y) => tf.sub(x, y)),
  Multiply: broadcasting((x, y) => tf.mul(x, y)),
  RealDiv: broadcasting((x, y) => tf.div(x, y), { domain: positive }),
  Pow: broadcasting((x, y) => tf.pow(x, y), { domain: positive }),
  Maximum: pairwise((x, y) => tf.maximum(x, y)),
  Minimum: pairwise((x, y) => tf.minimum(x, y)),
  SquaredDifference: pairwise((x, y) => tf.squaredDifference(x, y)),
  Equal: broadcasting((x, y) => tf.equal(x, y), { domain: Math.round, ...forwardOnly }),
  NotEqual: broadcasting((x, y) => tf.notEqual(x, y), { domain: Math.round, ...forwardOnly }),
  Greater: broadcasting((x, y) => tf.greater(x, y), forwardOnly),
  GreaterEqual: broadcasting((x, y) => tf.greaterEqual(x, y), forwardOnly),
  Less: broadcasting((x, y) => tf.less(x, y), forwardOnly),
  LessEqual: broadcasting((x, y) => tf.lessEqual(x, y), forwardOnly),
  LogicalAnd: broadcasting((x, y) => tf.logicalAnd(tf.greater(x, 0), tf.greater(y, 0)), forwardOnly),
  LogicalOr: broadcasting((x, y) => tf.logicalOr(tf.greater(x, 0), tf.greater(y, 0)), forwardOnly),
  LogicalNot: unary((x) => tf.logicalNot(tf.greater(x, 0)), forwardOnly),
  Select: pairwise((x, y) => {
    const odd = Array.from({ length: x.size }, (_, i) => i % 3 === 0);
    return tf.where(tf.tensor(odd, x.shape, 'bool'), x, y);
  }),
  Cast: unary((x) => tf.cast(tf.greater(x, 0), 'float32'), forwardOnly),
  AddN: pairwise((x, y) => tf.addN([x, y, x])),
  Sum: reduction((x, axes, keep) => tf.sum(x, axes, keep)),
  Mean: reduction((x, axes, keep) => tf.mean(x, axes, keep)),
  Max: reduction((x, axes, keep) => tf.max(x, axes, keep)),
  Min: reduction((x, axes, keep) => tf.min(x, axes, keep)),
  Prod: reduction((x, axes, keep) => tf.prod(x, axes, keep), forwardOnly),
  ArgMax: along((x, axis) => tf.argMax(x, axis), forwardOnly),
  Softmax: (random) => ({ fn: (x) => tf.softmax(x), x: random.shape(1) }),
  LogSoftmax: (random) => ({ fn: (x) => tf.logSoftmax(x), x: random.shape(1) }),
  GroupNorm: (random) => {
    const groups = random.int(1, 3);
    const channels = groups * random.int(1, 3);
    return {
      fn: (x, y) => ops.groupNorm(x as Tensor4D, y as Tensor1D, tf.square(y) as Tensor1D, groups),
      x: [random.int(1, 3), channels, random.int(2, 4), random.int(2, 4)],
      y: [channels],
    };
  },
  MaxPool2D: (random) => {
    const [size, stride] = [random.int(2, 3), random.int(1, 3)];
    const pad = random.int(0, 1);
    const x = [random.int(1, 2), random.int(1, 3), random.int(3, 7), random.int(3, 7)];
    return { fn: (image) => ops.maxPool2d(image as Tensor4D, { size, stride, pad }), x };
  },
  MaxPool2DGrad: (random) => {
    const size = random.int(2, 3);
    const pooled = (image: Tensor) => tf.sum(tf.square(ops.maxPool2d(image as Tensor4D, { size })));
    return { fn: (x) => tf.grad(pooled)(x), x: [1, 2, random.int(3, 7), random.int(3, 7)], ...forwardOnly };
  },
  BatchMatMul: (random) => {
    const [m, k, n] = [random.int(1, 5), random.int(1, 5), random.int(1, 5)];
    const batch = random.shape().slice(0, 2);
    const [left, right] = [random.oneOf([true, false]), random.oneOf([true, false])];
    return {
      fn: (x, y) => tf.matMul(x, y, left, right),
      x: [...batch, ...(left ? [k, m] : [m, k])],
      y: [...batch, ...(right ? [n, k] : [k, n])],
    };
  },
  Reshape: (random) => {
    const x = random.shape();
    return { fn: (value) => tf.square(tf.reshape(value, [...x].reverse())), x };
  },
  ExpandDims: along((x, axis) => tf.expandDims(x, axis)),
  Transpose: (random) => {
    const x = random.shape();
    const [first, second] = [random.permutation(x.length), random.permutation(x.length)];
    return { fn: (value) => tf.square(tf.transpose(tf.transpose(value, first), second)), x };
  },
  Slice: (random) => {
    const x = random.shape(1);
    const begin = x.map((extent) => random.int(0, extent - 1));
    const size = x.map((extent, axis) => random.int(1, extent - begin[axis]!));
    return { fn: (value) => tf.slice(value, begin, size), x };
  },
  Concat: (random) => {
    const x = random.shape(1);
    const axis = random.axis(x);
    const y = x.map((extent, i) => (i === axis ? random.int(1, 4) : extent));
    return { fn: (a, b) => tf.concat([a, b, a], axis), x, y };
  },
  Pack: (random) => {
    const x = random.shape().slice(0, 3);
    const axis = random.int(0, x.length);
    return { fn: (a, b) => tf.stack([a, b, a], axis), x, y: x };
  },
  Unpack: (random) => {
    const x = random.shape(1);
    const axis = random.axis(x);
    const whole = x.map((extent, i) => (i === axis ? extent + 1 : extent)); // tfjs has no gradient for a single part
    const fn = (value: Tensor) => tf.mul(tf.unstack(value, axis)[0]!, tf.unstack(value, axis).at(-1)!);
    return { fn, x: whole };
  },
  SplitV: (random) => {
    const x = random.shape(1);
    const axis = random.axis(x);
    const cut = random.int(1, 3);
    const whole = x.map((extent, i) => (i === axis ? extent + cut : extent));
    const swap = (value: Tensor) => tf.concat(tf.split(value, [cut, x[axis]!], axis).reverse(), axis);
    return { fn: (value) => tf.square(swap(value)), x: whole };
  },
  PadV2: (random) => {
    const x = random.shape(1);
    const paddings = x.map((): [number, number] => [random.int(0, 2), random.int(0, 2)]);
    return { fn: (value) => tf.pad(value, paddings, 0.5), x };
  },
  Tile: (random) => {
    const x = random.shape(1).slice(0, 3);
    const times = x.map(() => random.int(1, 3));
    return { fn: (value) => tf.tile(value, times), x };
  },
  Reverse: reduction((x, axes) => tf.reverse(x, axes)),
  GatherV2: (random) => {
    const x = random.shape(1);
    const axis = random.axis(x);
    const indices = Array.from({ length: random.int(1, 4) }, () => random.int(0, x[axis]! - 1));
    return { fn: (value) => tf.gather(value, tf.tensor1d(indices, 'int32'), axis), x, ...forwardOnly };
  },
  OneHot: (random) => {
    const [rows, classes] = [random.int(1, 5), random.int(2, 6)];
    return { fn: (x) => tf.oneHot(tf.argMax(x, 1), classes), x: [rows, classes], ...forwardOnly };
  },
  Fill: unary((x) => tf.mul(x, tf.fill(x.shape, 3))),
  ZerosLike: unary((x) => tf.add(x, tf.zerosLike(x))),
  OnesLike: along((x, axis) => tf.concat([x, tf.onesLike(x)], axis)),
  Conv2D: (random) => {
    const [stride, kernel, c] = [random.int(1, 2), random.int(1, 3), random.int(1, 3)];
    const pad = random.oneOf(['same', 'valid'] as const);
    return {
      fn: (x, y) => tf.conv2d(x as Tensor4D, y as Tensor4D, stride, pad),
      x: [random.int(1, 2), random.int(3, 6), random.int(3, 6), c],
      y: [kernel, kernel, c, random.int(1, 3)],
    };
  },
  Conv2DBackpropInput: convolution([undefined]),
  Conv2DBackpropFilter: convolution([0]),
  AvgPool: (random) => {
    const [size, stride] = [random.int(1, 3), random.int(1, 2)];
    const x = [random.int(1, 2), random.int(3, 6), random.int(3, 6), random.int(1, 3)];
    return { fn: (image) => tf.avgPool(image as Tensor4D, size, stride, 'valid'), x, ...forwardOnly };
  },
};

async function compare(example: Case): Promise<void> {
  const actual = await runOn('onnxruntime', example);
  const expected = await runOn('reference', example);
  for (const name of Object.keys(expected)) expectClose(actual[name]!, expected[name]!, TOLERANCE, name);
}

describe('kernels on random shapes', () => {
  it('has random shapes for every rule', () => {
    expect(Object.keys(DRAWS).sort()).toEqual(Object.keys(KERNEL_RULES).sort());
  });

  it.each(Object.keys(DRAWS))('%s agrees between engines', async (name) => {
    for (let round = 1; round <= ROUNDS; round++) {
      const example = DRAWS[name]!(new RandomShapes(foldIn(keyFromSeed(SEED), name, round)));
      await compare(example).catch((cause: unknown) => {
        const shapes = `[${example.x.join()}]${example.y === undefined ? '' : ` and [${example.y.join()}]`}`;
        const again = `BALLAST_FUZZ_SEED=${SEED} BALLAST_FUZZ_ROUNDS=${round}`;
        throw new Error(`${name} of ${shapes} (${again}): ${String(cause)}`, { cause });
      });
    }
  });
});
