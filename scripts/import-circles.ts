/** Circles of imports, types included: files that can only be understood together. */

import { readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

/** Local imports of a file: `from './a.ts'`, `import './a.ts'`, `import('./a.ts')`. */
const IMPORTED = /(?:\bfrom|\bimport)\s*\(?\s*'(\.[^']+)'/g;

/** The files that each file imports, of those in `files`, by path relative to `root`. */
export function importsOf(root: string, files: readonly string[]): Map<string, string[]> {
  const known = new Set(files);
  return new Map(
    files.map((file) => {
      const found = [...readFileSync(join(root, file), 'utf8').matchAll(IMPORTED)];
      const paths = found.map(([, path]) => normalize(join(dirname(file), path!)));
      return [file, paths.filter((path) => known.has(path))];
    }),
  );
}

/** One cycle, its files in the order of their imports; null if there is none. */
export function findCircle(imports: ReadonlyMap<string, readonly string[]>): string[] | null {
  const isDone = new Set<string>();
  const visit = (file: string, path: readonly string[]): string[] | null => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (isDone.has(file)) return null;
    for (const imported of imports.get(file) ?? []) {
      const circle = visit(imported, [...path, file]);
      if (circle !== null) return circle;
    }
    isDone.add(file);
    return null;
  };
  for (const file of imports.keys()) {
    const circle = visit(file, []);
    if (circle !== null) return circle;
  }
  return null;
}
