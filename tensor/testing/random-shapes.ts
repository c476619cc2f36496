/** Random choices for tests, each a function of its key. */
import { sizeOf } from '../array.ts';
import { foldIn, uniform } from '../random.ts';
import type { Key } from '../random.ts';

export class RandomShapes {
  readonly #key: Key;
  #draws = 0;

  constructor(key: Key) {
    this.#key = key;
  }

  /** A whole number in [low, high]. */
  int(low: number, high: number): number {
    return low + Math.floor(uniform(foldIn(this.#key, this.#draws++), 1)[0]! * (high - low + 1));
  }

  oneOf<T>(choices: readonly T[]): T {
    return choices[this.int(0, choices.length - 1)]!;
  }

  /** A shape of `lowest` to four axes with extents up to 6; at most 200 values. */
  shape(lowest = 0): number[] {
    const rank = this.int(lowest, 4);
    for (;;) {
      const shape = Array.from({ length: rank }, () => this.int(1, 6));
      if (sizeOf(shape) <= 200) return shape;
    }
  }

  /** A shape that broadcasts against `shape`: some axes of extent 1, some leading ones missing. */
  broadcastable(shape: readonly number[]): number[] {
    return shape.slice(this.int(0, shape.length)).map((extent) => this.oneOf([1, extent, extent]));
  }

  /** Some axes of a shape, at least one, in order; the shape has at least one. */
  axes(shape: readonly number[]): number[] {
    const some = [...shape.keys()].filter(() => this.oneOf([true, false]));
    return some.length > 0 ? some : [this.axis(shape)];
  }

  axis(shape: readonly number[]): number {
    return this.int(0, shape.length - 1);
  }

  permutation(length: number): number[] {
    const order = Array.from({ length }, (_, i) => i);
    for (let i = length - 1; i > 0; i--) {
      const j = this.int(0, i);
      [order[i], order[j]] = [order[j]!, order[i]!];
    }
    return order;
  }
}
