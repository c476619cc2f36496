/** Where this package is installed: the nearest ancestor folder that contains its package.json. */

import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const PACKAGE_NAME = 'ballast';

function isPackageRoot(folder: string): boolean {
  const manifest = join(folder, 'package.json');
  if (!existsSync(manifest)) return false;
  const parsed: unknown = JSON.parse(readFileSync(manifest, 'utf8'));
  return typeof parsed === 'object' && parsed !== null && 'name' in parsed && parsed.name === PACKAGE_NAME;
}

/** The package's root folder, the same from sources and from `dist/`. */
export function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  for (;;) {
    if (isPackageRoot(folder)) return folder;
    const parent = dirname(folder);
    if (parent === folder) throw new Error(`No package.json of '${PACKAGE_NAME}' above ${import.meta.url}`);
    folder = parent;
  }
}

/** The package's version, as in its package.json. */
export function packageVersion(): string {
  const manifest = readFileSync(join(packageRoot(), 'package.json'), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}

/** The folder of built JavaScript, one file for each module. */
export function distRoot(): string {
  return join(packageRoot(), 'dist');
}

/** The folder of bundled programs, from which child processes and worker threads are started. */
export function bundleRoot(): string {
  return join(distRoot(), 'bundle');
}

/** The root of the modules of the running code: the sources when it runs from them, as unit tests do, else `dist/`. */
export function codeRoot(): string {
  return import.meta.url.endsWith('.ts') ? packageRoot() : distRoot();
}
