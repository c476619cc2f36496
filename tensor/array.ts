/**
 * `NdArray`: a plain, engine-free array in row-major order, the only form in which tensors cross module, thread and
 * process boundaries. tfjs tensors exist only inside traced functions.
 */

export type DType = 'float32' | 'int32' | 'bool' | 'uint8';
export type TypedArray = Float32Array | Int32Array | Uint8Array;

export interface NdArray {
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Float32Array for float32, Int32Array for int32, Uint8Array for bool (0 or 1) and uint8. */
  readonly data: TypedArray;
}

/** Named arrays, for example a model's parameters: `{'stem.conv.weight': …}`. */
export type ArrayMap = Readonly<Record<string, NdArray>>;

/** Number of elements of a shape; 1 for a scalar (`[]`). */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

/** A float32 array; throws RangeError when `data` does not fill `shape`. */
export function float32(shape: readonly number[], data: ArrayLike<number>): NdArray {
  return checked({ dtype: 'float32', shape, data: Float32Array.from(data) });
}

/** An int32 array; throws RangeError when `data` does not fill `shape`. */
export function int32(shape: readonly number[], data: ArrayLike<number>): NdArray {
  return checked({ dtype: 'int32', shape, data: Int32Array.from(data) });
}

/** A float32 array of zeros. */
export function zeros(shape: readonly number[]): NdArray {
  return { dtype: 'float32', shape, data: new Float32Array(sizeOf(shape)) };
}

function checked(array: NdArray): NdArray {
  if (array.data.length !== sizeOf(array.shape))
    throw new RangeError(`${array.data.length} values do not fill shape [${array.shape.join(', ')}]`);
  return array;
}
