/**
 * Runs the bundle that scripts/bundle.mjs writes, with the code that V8 compiled for it then: a process spends half of its
 * start on compiling otherwise. Every program and public module of dist/bundle calls this; docs/decisions/0052 says why.
 */

import { chmodSync, existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Script } from 'node:vm';

/** Each runs, at its first call, its module and the modules that this imports. */
type Entries = Readonly<Record<string, () => unknown>>;

/** The export of a bundle: runs it, with the function that replaces its `import()`. */
type Loadable = (importModule: (specifier: string) => Promise<unknown>) => Entries;

interface Bundle {
  readonly entries: Entries;
  readonly script: Script | null;
}

/** Those that this thread has loaded, by path. */
const loaded = new Map<string, Bundle>();

/**
 * The exports of an entry (`actors/index`) of a bundle. Where nothing is compiled for this version of Node and its flags, V8
 * compiles what it needs, as of any other module.
 */
export function loadBundled(path: string, entry: string): unknown {
  const bundle = loaded.get(path) ?? open(path);
  loaded.set(path, bundle);
  return bundle.entries[entry]!();
}

/** Saves what V8 has compiled by now of the bundles that this thread has loaded. */
export function saveCompiled(): void {
  for (const [path, { script }] of loaded) {
    if (script === null) continue;
    const file = compiledFile(path);
    writeFileSync(`${file}.new`, script.createCachedData());
    chmodSync(`${file}.new`, 0o644); // as readable as the bundle, whatever the program's umask
    renameSync(`${file}.new`, file); // nobody reads half of it
  }
}

function compiledFile(path: string): string {
  return `${path}.code`;
}

function open(path: string): Bundle {
  const require = createRequire(path);
  const importModule = (specifier: string) => import(specifier);
  if (process.sourceMapsEnabled)
    // Node maps the stacks of what it loads itself
    return { entries: (require(path) as Loadable)(importModule), script: null };
  const source = readFileSync(path, 'latin1'); // esbuild writes ASCII
  const compiled = compiledFile(path);
  const script = new Script(`(function (module, require, __filename) {${source}\n})`, {
    filename: path,
    ...(existsSync(compiled) ? { cachedData: readFileSync(compiled) } : {}),
  });
  const module = {} as { exports: Loadable };
  (script.runInThisContext() as (...args: unknown[]) => void)(module, require, path);
  return { entries: module.exports(importModule), script };
}
