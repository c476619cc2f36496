/**
 * An immutable list of a fixed length whose `with` costs O(log n) instead of a copy: a tree of arrays of 32, of which a
 * change copies one path. For state machines of plain values that change one of many entries at each event.
 */

const BITS = 5;
const WIDTH = 1 << BITS;

type Tree<T> = readonly (Tree<T> | T)[];

export class PersistentList<T> implements Iterable<T> {
  readonly length: number;
  readonly #root: Tree<T>;
  /** Bits of an index below those that choose in the root. */
  readonly #shift: number;

  private constructor(root: Tree<T>, length: number, shift: number) {
    this.#root = root;
    this.length = length;
    this.#shift = shift;
  }

  /** `length` times the same value. */
  static filled<T>(length: number, value: T): PersistentList<T> {
    let tree: Tree<T> = new Array<T>(WIDTH).fill(value);
    let shift = 0;
    for (; WIDTH << shift < length; shift += BITS) tree = new Array<Tree<T>>(WIDTH).fill(tree); // shared
    return new PersistentList<T>(tree, length, shift);
  }

  /** The value at an index; undefined outside. */
  at(index: number): T | undefined {
    if (!(index >= 0 && index < this.length)) return undefined;
    let node = this.#root;
    for (let shift = this.#shift; shift > 0; shift -= BITS)
      node = node[(index >> shift) & (WIDTH - 1)] as Tree<T>;
    return node[index & (WIDTH - 1)] as T;
  }

  /** The same list with another value at an index. @throws RangeError for an index outside. */
  with(index: number, value: T): PersistentList<T> {
    if (!(index >= 0 && index < this.length)) throw new RangeError(`no index ${index} in ${this.length}`);
    return new PersistentList<T>(replaced(this.#root, this.#shift, index, value), this.length, this.#shift);
  }

  *[Symbol.iterator](): Iterator<T> {
    for (let index = 0; index < this.length; index++) yield this.at(index)!;
  }
}

function replaced<T>(tree: Tree<T>, shift: number, index: number, value: T): Tree<T> {
  const slot = (index >> shift) & (WIDTH - 1);
  const entry = shift === 0 ? value : replaced(tree[slot] as Tree<T>, shift - BITS, index, value);
  return tree.with(slot, entry);
}
