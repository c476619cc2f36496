/** The inputs that decide a run's result, as two digests: its *content* (settings, images, files that it reads,
 * engine) and the
 * *code* that turns them into weights and metrics. Runs are kept under both, so that nothing is computed twice and no
 * table mixes results of different code unasked. The processor is not part of it: it changes low bits, and is recorded.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { dirname, isAbsolute, join } from 'node:path';
import { codeRoot } from '../../common/package-root.ts';
import type { RunConfig } from '../../config/run-config.ts';

export interface RunKey {
  /** SHA-256, hex. */
  readonly content: string;
  /** SHA-256, hex. */
  readonly code: string;
}

/** Folders and files whose code decides results, from the root of the compiled code. */
const DECIDING = [
  ...['tensor', 'models', 'data', 'services/classifier-trainer', 'services/diffusion-worker'],
  ...[
    'common/apportion',
    'coordinator/epoch/adaptive-sampling',
    'coordinator/epoch/epoch',
    'coordinator/epoch/sharding',
    'coordinator/epoch/synthesis-plan',
  ],
];

/** Digests of runs; data and files that several runs share are read once. */
export class RunKeys {
  readonly #data = new Map<string, Promise<string>>();
  readonly #files = new Map<string, Promise<string>>();
  #code: Promise<string> | undefined;

  /** Throws UserError as reading the data does. */
  async keyOf(config: RunConfig): Promise<RunKey> {
    const [data, engine, files] = await Promise.all([
      this.dataDigest(config),
      describeEngine(config),
      this.#fileDigests(config),
    ]);
    // None of these changes a result.
    const { out: _out, eventsUrl: _url, workers: _workers, ...settings } = config;
    const content = sha256(JSON.stringify([settings, data, engine, files]));
    this.#code ??= codeDigest();
    return { content, code: await this.#code };
  }

  /** Of the images that the run trains on. Throws UserError as reading the data does. */
  async dataDigest({ data }: Pick<RunConfig, 'data'>): Promise<string> {
    return once(this.#data, JSON.stringify(data), async () => {
      const { loadDataset } = await import('../../data/dataset.ts');
      return (await loadDataset(data)).digest;
    });
  }

  /** Of every file outside the data that the settings name: prior, judge, weights. */
  async #fileDigests({ data: _data, out: _out, ...rest }: RunConfig): Promise<string[]> {
    const digests: string[] = [];
    for (const path of pathsIn(rest)) {
      const isFile = await stat(path).then(
        (found) => found.isFile(),
        () => false,
      );
      if (isFile) digests.push(await once(this.#files, path, () => fileDigest(path)));
    }
    return digests;
  }
}

function once(
  memory: Map<string, Promise<string>>,
  name: string,
  make: () => Promise<string>,
): Promise<string> {
  const known = memory.get(name) ?? make();
  memory.set(name, known);
  return known;
}

function pathsIn(value: unknown): string[] {
  if (typeof value === 'string') return isAbsolute(value) ? [value] : [];
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap(pathsIn);
}

async function describeEngine({ engine, device, threads }: RunConfig): Promise<string> {
  const { engineNamed } = await import('../../tensor/engine.ts');
  return (await engineNamed(engine).describe({ threads, device })).engine;
}

async function fileDigest(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

async function codeDigest(): Promise<string> {
  const root = codeRoot();
  const hash = createHash('sha256');
  for (const name of DECIDING)
    for (const file of await sourcesUnder(root, name))
      hash.update(`${file}\n`).update(await readFile(join(root, file)));
  return hash.digest('hex');
}

/** Code files of a folder, or of a module given without its ending, in order; tests and declarations left out. */
async function sourcesUnder(root: string, name: string): Promise<string[]> {
  const isCode = (file: string) => /\.(js|ts)$/.test(file) && !/\.(test|d)\.ts$|\.test\.js$/.test(file);
  try {
    const files = await readdir(join(root, name), { recursive: true });
    return files
      .filter(isCode)
      .sort()
      .map((file) => `${name}/${file}`);
  } catch {
    const files = await readdir(join(root, dirname(name)));
    return files
      .map((file) => `${dirname(name)}/${file}`)
      .filter((file) => file.replace(/\.\w+$/, '') === name && isCode(file));
  }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
