/** Engines and devices of the actors of a run, as environment.json lists them and reports show them. */

/** The engine and device of an actor's process, as tensor/program.ts describes them. */
export interface ActorEngine {
  readonly actor: string;
  /** Engine, version, device, and the adapter where it is known. */
  readonly engine: string;
  /** Why this device. */
  readonly choice: string;
}

/** Each of them once, by the names of the actors. */
export function unequalEngines(engines: readonly ActorEngine[]): ActorEngine[] {
  const text = ({ actor, engine, choice }: ActorEngine) => JSON.stringify([actor, engine, choice]);
  const unequal = new Map(engines.map((one) => [text(one), one]));
  return [...unequal.values()].sort((a, b) => byNumber(a.actor, b.actor));
}

/**
 * The fact of a run's environment that names its engines with the actors that had them, in one line:
 * `onnxruntime-node 1.30.0 cpu: classifier-trainer, diffusion-worker-0`. None for no actors.
 */
export function actorFacts(engines: readonly ActorEngine[]): Readonly<Record<string, string>> {
  const actors = new Map<string, Set<string>>();
  for (const { actor, engine } of engines) actors.set(engine, (actors.get(engine) ?? new Set()).add(actor));
  const lines = [...actors].map(([engine, names]) => `${engine}: ${listed([...names].sort(byNumber))}`);
  return lines.length === 0 ? {} : { actors: lines.join('; ') };
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
