/** Trees: nested records with one kind of leaf, as arguments and results of compiled functions (JAX calls them pytrees). */

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
