/** Trees: nested records with one kind of leaf, as arguments and results of compiled functions (JAX calls them pytrees). */

import type { NdArray } from './array.ts';

export type Tree<Leaf> = Leaf | { readonly [name: string]: Tree<Leaf> };

/** The leaves with their paths ('params/stem.conv.weight'), in insertion order. */
export function flatten<Leaf extends object>(
  tree: Tree<Leaf>,
  isLeaf: (node: Tree<Leaf>) => node is Leaf,
  path = '',
): [path: string, leaf: Leaf][] {
  if (isLeaf(tree)) return [[path, tree]];
  return Object.entries(tree as Record<string, Tree<Leaf>>).flatMap(([name, child]) =>
    flatten(child, isLeaf, path === '' ? name : `${path}/${name}`),
  );
}

/** A tree of the same form with each leaf replaced; `replace` gets leaf and path. */
export function mapTree<A extends object, B>(
  tree: Tree<A>,
  isLeaf: (node: Tree<A>) => node is A,
  replace: (leaf: A, path: string) => B,
  path = '',
): Tree<B> {
  if (isLeaf(tree)) return replace(tree, path);
  return Object.fromEntries(
    Object.entries(tree as Record<string, Tree<A>>).map(([name, child]) => [
      name,
      mapTree(child, isLeaf, replace, path === '' ? name : `${path}/${name}`),
    ]),
  );
}

type SpecsOf<T> = T extends NdArray
  ? { readonly shape: NdArray['shape']; readonly dtype: 'float32' | 'int32' | 'bool' }
  : { readonly [K in keyof T]: SpecsOf<T[K]> };

/** Shapes and types of a tree of arrays: the signature of a function that takes such a tree. */
export function specOf<T extends object>(tree: T): SpecsOf<T> {
  const spec = (node: object): unknown =>
    'data' in node && 'dtype' in node && 'shape' in node
      ? { shape: node.shape, dtype: node.dtype }
      : Object.fromEntries(Object.entries(node).map(([name, child]) => [name, spec(child as object)]));
  return spec(tree) as SpecsOf<T>;
}
