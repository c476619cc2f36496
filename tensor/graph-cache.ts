/**
 * Compiled graphs on disk, so that a process compiles nothing that an earlier one has compiled. The cache is a folder
 * with one file per graph, named by its dependencies (graph-key.ts):
 *
 *   SHA-256 of the rest, hex ⏎ facts as JSON ⏎ the optimised ONNX model
 *
 * Many processes may use the folder at once: files are written atomically, by renaming, and a damaged or removed graph
 * is compiled again. The folder has a size limit; the least recently used graphs are removed first. If nothing can be
 * written, graphs are compiled as if there were no cache, and one line of the log says why.
 */
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { errorCode } from '../common/errors.ts';
import { createLog } from '../common/log.ts';
import type { Log } from '../common/log.ts';
import type { ResultForm } from './program.ts';
import type { GraphKey } from './graph-key.ts';

const DEFAULT_LIMIT_BYTES = 2 ** 30;
/** Graphs with built-in values serve one epoch of one run: they must not evict the others. */
const VALUES_SHARE = 0.5;
const STALE_MS = 3_600_000;
const NEWLINE = 10;

/** Facts stored with a model. */
export interface GraphFacts {
  /** The function's identity, for people. */
  readonly identity: string;
  /** SHA-256 of the traced graph. */
  readonly digest: string;
  readonly usedInputs: readonly string[];
  readonly flops: number;
  readonly form: ResultForm;
}

export interface KeptGraph {
  readonly facts: GraphFacts;
  readonly model: Uint8Array;
}

interface GraphFile {
  readonly name: string;
  readonly sizeBytes: number;
  readonly usedAtMs: number;
}

/** The files to remove: temporary ones of processes that died, and the oldest ones beyond the limits. */
export function chooseEvictions(
  files: readonly GraphFile[],
  limitBytes: number,
  nowMs: number,
): readonly string[] {
  const isStale = ({ name, usedAtMs }: GraphFile) => name.endsWith('.tmp') && nowMs - usedAtMs > STALE_MS;
  const removed = new Set(files.filter(isStale).map(({ name }) => name));
  const graphs = files
    .filter(({ name }) => name.endsWith('.graph'))
    .toSorted((a, b) => b.usedAtMs - a.usedAtMs); // newest first
  const bound = (group: readonly GraphFile[], limit: number) => {
    let sum = 0;
    for (const { name, sizeBytes } of group) if ((sum += sizeBytes) > limit) removed.add(name);
  };
  bound(graphs.filter(({ name }) => name.startsWith('values-')), VALUES_SHARE * limitBytes); // prettier-ignore
  bound(graphs.filter(({ name }) => !removed.has(name)), limitBytes); // prettier-ignore
  return [...removed];
}

export class GraphCache {
  readonly #folder: string;
  readonly #limitBytes: number;
  readonly #log: Log;
  #isWritable = true;

  constructor(folder: string, limitBytes = DEFAULT_LIMIT_BYTES, log: Log = createLog()) {
    this.#folder = folder;
    this.#limitBytes = limitBytes;
    this.#log = log;
  }

  /** The graph, or null. A damaged file is removed. Never throws. */
  async read(key: GraphKey): Promise<KeptGraph | null> {
    const path = this.#path(key);
    try {
      const kept = decode(await readFile(path));
      if (kept === null) await rm(path, { force: true });
      else await utimes(path, new Date(), new Date()).catch(() => undefined); // a read-only folder still serves
      return kept;
    } catch (thrown) {
      if (errorCode(thrown) !== 'ENOENT') this.#giveUp(thrown);
      return null;
    }
  }

  /** A path at which ONNX Runtime may write its model for `keep`; null if nothing can be written. Never throws. */
  async reserve(): Promise<string | null> {
    if (!this.#isWritable) return null;
    const path = join(this.#folder, `${randomUUID()}.tmp`);
    try {
      await mkdir(this.#folder, { recursive: true, mode: 0o700 });
      await writeFile(path, '');
      return path;
    } catch (thrown) {
      this.#giveUp(thrown);
      return null;
    }
  }

  /** Takes over the model at `path`, which came from `reserve`, and removes graphs beyond the limits. Never throws. */
  async keep(key: GraphKey, facts: GraphFacts, path: string): Promise<void> {
    try {
      await writeFile(path, encode({ facts, model: await readFile(path) }));
      await rename(path, this.#path(key));
      await this.#evict();
    } catch (thrown) {
      await this.abandon(path, thrown);
    }
  }

  /** Gives up a path from `reserve`, and all further writing, for this reason. Never throws. */
  async abandon(path: string, reason: unknown): Promise<void> {
    this.#giveUp(reason);
    await rm(path, { force: true }).catch(() => undefined);
  }

  /** Removes a graph that turned out to be unusable. Never throws. */
  async forget(key: GraphKey): Promise<void> {
    await rm(this.#path(key), { force: true }).catch(() => undefined);
  }

  async #evict(): Promise<void> {
    const names = await readdir(this.#folder);
    const files = await Promise.all(names.map((name) => describeFile(this.#folder, name)));
    const present = files.filter((file) => file !== null);
    for (const name of chooseEvictions(present, this.#limitBytes, Date.now()))
      await rm(join(this.#folder, name), { force: true });
  }

  #path({ digest, holdsValues }: GraphKey): string {
    return join(this.#folder, `${holdsValues ? 'values' : 'inputs'}-${digest}.graph`);
  }

  #giveUp(error: unknown): void {
    if (this.#isWritable)
      this.#log.warn('graphs are compiled again: their cache cannot be used', {
        folder: this.#folder,
        error,
      });
    this.#isWritable = false;
  }
}

/** Null for a file that another process has removed. */
async function describeFile(folder: string, name: string): Promise<GraphFile | null> {
  try {
    const { size, mtimeMs } = await stat(join(folder, name));
    return { name, sizeBytes: size, usedAtMs: mtimeMs };
  } catch {
    return null;
  }
}

/** The file, in parts. */
function encode({ facts, model }: KeptGraph): Uint8Array[] {
  const rest = [Buffer.from(`${JSON.stringify(facts)}\n`), model];
  return [Buffer.from(`${sha256(...rest)}\n`), ...rest];
}

/** Null if the file is damaged. */
function decode(bytes: Buffer): KeptGraph | null {
  const first = bytes.indexOf(NEWLINE);
  const rest = bytes.subarray(first + 1);
  if (first < 0 || bytes.toString('latin1', 0, first) !== sha256(rest)) return null;
  const second = rest.indexOf(NEWLINE);
  return {
    facts: JSON.parse(rest.toString('utf8', 0, second)) as GraphFacts,
    model: rest.subarray(second + 1),
  };
}

function sha256(...parts: Uint8Array[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
}

let shared: GraphCache | null | undefined;

/**
 * The cache of this process: in BALLAST_GRAPH_CACHE, otherwise in `ballast/graphs` of the user's cache folder. Null
 * when the variable is `off`.
 */
export function graphCache(): GraphCache | null {
  if (shared === undefined) {
    const chosen = process.env['BALLAST_GRAPH_CACHE'] ?? '';
    const folder = chosen === '' ? defaultFolder() : chosen;
    shared = chosen === 'off' || folder === null ? null : new GraphCache(folder);
  }
  return shared;
}

/** Null for a user without a home, which containers may have. */
function defaultFolder(): string | null {
  const base = process.env['XDG_CACHE_HOME'] ?? '';
  try {
    return join(isAbsolute(base) ? base : join(homedir(), '.cache'), 'ballast', 'graphs');
  } catch {
    return null;
  }
}
