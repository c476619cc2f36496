/**
 * Converts images and weights into ONNX Runtime's blocked layout (blocked-convolution.ts), b numbers per block:
 *
 *   image    X [n, c, h, w]        → [n, c/b, h, w, b]                         ReorderInput
 *   weights  W [o, i, kh, kw]      → [o/b, i/b, kh, kw, b(i), b(o)]            ReorderInput, and blocks of b change places
 *   turned   Wᵀ by 180° [i, o, …]  → [i/b, o/b, kh, kw, b(o), b(i)]            from W's blocks: ReorderInput, rows gathered
 *
 * For a filter's gradient, batch and channels change places (trace-convolution.ts), and so:
 *
 *   image    Xᵀ [c, n, h, w]       → [c, n/b, h, w, b]                         ReorderInput, then whole images change places
 *   weights  Eᵀ [o, n, h, w]       → [o/b, n/b, h, w, b(n), b(o)]              from the blocked form of E
 *
 * ReorderInput transposes b rows at a time, many times faster than Transpose moves single numbers; Transpose then moves
 * only rows of at least b numbers.
 */
import type { ConvolutionOperands, Shape4 } from './convolution-operands.ts';
import type { OnnxNode, OnnxTensor } from './onnx.ts';

export const BLOCKED_DOMAIN = 'com.microsoft.nchwc';

/** Zero columns before and after each row of an image. */
export interface ColumnPads {
  readonly left: number;
  readonly right: number;
}

/** Writes the nodes that bring operands into blocked layout, each operand once. */
export class BlockedOperands {
  readonly nodes: OnnxNode[] = [];
  readonly initializers: OnnxTensor[] = [];
  /** Names of values in blocked layout, by the name of the plain value and the form. */
  readonly #blocked = new Map<string, string>();
  readonly #block: number;

  constructor(block: number) {
    this.#block = block;
  }

  /** Records that `name` exists in blocked layout already. */
  remember(name: string, blocked: string): void {
    this.#blocked.set(name, blocked);
  }

  /** The image called `name`, blocked. */
  image(name: string): string {
    return this.#once(name, (result) => this.#reorder(name, result));
  }

  /** `source` [n, c, h, w] with batch and channels swapped and columns padded; `shape` is [c, n, h, w]. */
  swappedImage(source: string, [c, n, height, width]: Shape4, { left, right }: ColumnPads): string {
    const b = this.#block;
    return this.#once(`${source}:image${left},${right}`, (result) => {
      const side = this.#step('Reshape', [source, this.#shape([1, n, c * height, width])]);
      const blocks = this.#reorder(side);
      const images = this.#reshape(blocks, [n / b, c, height * width * b]);
      const moved = this.#reshape(this.#transpose(images, [1, 0, 2]), [(c * n * height) / b, width * b]);
      const padded =
        left === 0 && right === 0
          ? moved
          : this.#step('Pad', [moved, this.#shape([0, left * b, 0, right * b])]);
      this.#reshape(padded, [c, n, height, left + width + right], result);
    });
  }

  /** Weights [o, i, kh, kw], blocked. */
  weights({ source, form, shape }: ConvolutionOperands['weights']): string {
    switch (form) {
      case 'plain':
        return this.#plainWeights(source, shape);
      case 'swapped':
        return this.#swappedWeights(source, shape);
      case 'turned':
        return this.#turnedWeights(source, shape);
      default:
        return form satisfies never;
    }
  }

  #plainWeights(name: string, [o, i, kh, kw]: Shape4): string {
    const b = this.#block;
    return this.#once(`${name}:weights`, (result) => {
      const rows = this.#reorder(this.#reshape(name, [o / b, b, i * kh * kw, 1]));
      const taps = this.#reshape(rows, [(o * i) / (b * b), b, kh * kw, b]);
      this.#reshape(this.#transpose(taps, [0, 2, 1, 3]), [o, i, kh, kw], result);
    });
  }

  /** Turned weights [o, i, kh, kw] of a filter [i, o, kh, kw]. */
  #turnedWeights(filter: string, [o, i, kh, kw]: Shape4): string {
    const b = this.#block;
    const taps = kh * kw;
    return this.#once(`${filter}:turned`, (result) => {
      const blocks = this.#plainWeights(filter, [i, o, kh, kw]);
      const rows = this.#reorder(this.#reshape(blocks, [(o * i * taps) / (b * b), b, b, 1]));
      // to row (o', i', tap) from row (i', o', last tap − tap)
      const order = Array.from({ length: (o * i * taps) / (b * b) }, (_, row) => {
        const [tap, pair] = [row % taps, Math.floor(row / taps)];
        const [inner, outer] = [pair % (i / b), Math.floor(pair / (i / b))];
        return (inner * (o / b) + outer) * taps + (taps - 1 - tap);
      });
      const flat = this.#reshape(rows, [order.length, b * b]);
      this.#reshape(this.#step('Gather', [flat, this.#shape(order)]), [o, i, kh, kw], result);
    });
  }

  #swappedWeights(source: string, [o, n, height, width]: Shape4): string {
    const b = this.#block;
    return this.#once(`${source}:swapped`, (result) => {
      const blocks = this.#reshape(this.image(source), [n / b, b, o / b, height * width, b]);
      this.#reshape(this.#transpose(blocks, [2, 0, 3, 1, 4]), [o, n, height, width], result);
    });
  }

  /** The name of a derived value, which `make` writes the first time. */
  #once(key: string, make: (result: string) => void): string {
    const existing = this.#blocked.get(key);
    if (existing !== undefined) return existing;
    const result = `${key}:blocked`;
    this.#blocked.set(key, result);
    make(result);
    return result;
  }

  #reorder(name: string, result?: string): string {
    return this.#step('ReorderInput', [name], {}, result, BLOCKED_DOMAIN);
  }

  #reshape(name: string, extents: readonly number[], result?: string): string {
    return this.#step('Reshape', [name, this.#shape(extents)], {}, result);
  }

  #transpose(name: string, permutation: readonly number[]): string {
    return this.#step('Transpose', [name], { perm: { ints: permutation } });
  }

  #step(
    op: string,
    inputs: readonly string[],
    attributes: OnnxNode['attributes'] = {},
    result = `b${this.nodes.length}`,
    domain = '',
  ): string {
    this.nodes.push({ op, domain, inputs, outputs: [result], attributes });
    return result;
  }

  #shape(elements: readonly number[]): string {
    const name = `b:${elements.join()}`;
    const bytes = new Uint8Array(BigInt64Array.from(elements.map(BigInt)).buffer);
    if (!this.initializers.some((known) => known.name === name))
      this.initializers.push({ name, dtype: 'int64', shape: [elements.length], bytes });
    return name;
  }
}
