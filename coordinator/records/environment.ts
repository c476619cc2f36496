/** What a run computed on, for environment.json and reports: the coordinator's own process, and its actors' engines. */
import { readFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from '../../common/package-root.ts';

/** What an actor's process computed on, as tensor/program.ts describes it. */
export interface ActorEngine {
  readonly actor: string;
  /** Engine, version, device, and the adapter where it is known. */
  readonly engine: string;
  /** Why this device. */
  readonly choice: string;
}

/** This process. */
export async function describeProcess(): Promise<Record<string, string>> {
  const manifest = JSON.parse(await readFile(join(packageRoot(), 'package.json'), 'utf8')) as {
    version: string;
  };
  return {
    ballast: manifest.version,
    node: process.version,
    platform: `${process.platform}-${process.arch}`,
    cpu: `${cpus()[0]?.model.trim() ?? 'unknown'} × ${cpus().length}`,
  };
}

/** Each of them once, by the names of the actors. */
export function unequalEngines(engines: readonly ActorEngine[]): ActorEngine[] {
  const text = ({ actor, engine, choice }: ActorEngine) => JSON.stringify([actor, engine, choice]);
  const unequal = new Map(engines.map((one) => [text(one), one]));
  return [...unequal.values()].sort((a, b) => byNumber(a.actor, b.actor));
}

/**
 * Engines with the actors that had them, in one line: `onnxruntime-node 1.30.0 cpu: diffusion-worker-0, diffusion-worker-1`.
 * Empty for no actors.
 */
export function describeEngines(engines: readonly ActorEngine[]): string {
  const actors = new Map<string, Set<string>>();
  for (const { actor, engine } of engines) actors.set(engine, (actors.get(engine) ?? new Set()).add(actor));
  return [...actors].map(([engine, names]) => `${engine}: ${listed([...names].sort(byNumber))}`).join('; ');
}

/** More names than a reader wants are counted; environment.json has them all. */
const NAMES_SHOWN = 8;

function listed(names: readonly string[]): string {
  const more = names.length - NAMES_SHOWN;
  return more <= 1 ? names.join(', ') : `${names.slice(0, NAMES_SHOWN).join(', ')} and ${more} more`;
}

function byNumber(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true });
}
