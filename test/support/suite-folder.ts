/** Before all system tests: a temporary folder for what several files share; afterwards it is removed. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  interface ProvidedContext {
    /** Empty at first; the first file that needs a thing makes it. */
    suiteFolder: string;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), 'ballast-system-'));
  project.provide('suiteFolder', folder);
  process.env['BALLAST_GRAPH_CACHE'] = join(folder, 'graphs'); // processes of the tests inherit it
  process.env['BALLAST_IMAGE_CACHE'] = join(folder, 'images');
  return () => rm(folder, { recursive: true, force: true });
}
