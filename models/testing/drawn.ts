/** Numbers and parameters that test/peer/drawn.py draws bit for bit too. For tests only. */
import { sizeOf } from '../../tensor/array.ts';
import type { ArrayMap, NdArray } from '../../tensor/array.ts';

/** Numbers in [−1/2, 1/2): a hash of stream and place (the finaliser of MurmurHash3). */
export function drawn(stream: number, shape: readonly number[]): NdArray {
  const data = new Float32Array(sizeOf(shape));
  const start = Math.imul(stream, 0x85ebca77);
  for (let i = 0; i < data.length; i++) {
    let h = (Math.imul(i, 0x9e3779b1) + start) | 0;
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
    h ^= h >>> 16;
    data[i] = (h >>> 0) / 2 ** 32 - 0.5;
  }
  return { dtype: 'float32', shape, data };
}

/**
 * Parameters of these shapes, by their names' places in alphabetical order, counted from 1. `shift` takes the channels of a
 * ResNet's normalised units away from zero, to either side.
 */
export function drawnParameters(
  shapes: Readonly<Record<string, readonly number[]>>,
  shift = 0,
): {
  params: ArrayMap;
  streams: ReadonlyMap<string, number>;
} {
  const names = Object.keys(shapes).sort();
  const streams = new Map(names.map((name, i) => [name, i + 1]));
  const values = names.map((name) => [name, parameter(streams.get(name)!, name, shapes[name]!, shift)]);
  return { params: Object.fromEntries(values) as ArrayMap, streams };
}

function parameter(stream: number, name: string, shape: readonly number[], shift: number): NdArray {
  const u = drawn(stream, shape);
  const [scale, offset] = scaleOf(name, shape);
  const ownShift = shape.length === 1 && name.endsWith('bias') ? shift : 0;
  return { ...u, data: u.data.map((value) => value * scale + offset + Math.sign(value) * ownShift) };
}

function scaleOf(name: string, shape: readonly number[]): [scale: number, offset: number] {
  if (shape.length === 4) return [Math.sqrt(24 / sizeOf(shape.slice(1))), 0];
  if (shape.length === 2) return [0.1, 0];
  if (name.endsWith('running_var')) return [1, 1.5];
  return [0.4, name.endsWith('weight') ? 0.6 : 0];
}

/** An array's norm, and its product with other drawn numbers: a wrong element changes one of them. */
export function summary(stream: number, { data, shape }: NdArray): [norm: number, product: number] {
  const other = drawn(stream, shape).data;
  let [squares, product] = [0, 0];
  data.forEach((value, i) => {
    squares += value * value;
    product += value * other[i]!;
  });
  return [Math.sqrt(squares), product];
}
