/** The targets of the Dockerfile, read by a parser that knows enough of the language for our file. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../../common/package-root.ts';

export interface Stage {
  readonly name: string;
  /** Its base: an image, or another stage. */
  readonly from: string;
  /** Instructions with their texts, in order. */
  readonly steps: readonly { readonly instruction: string; readonly text: string }[];
}

/** The start of a target's container. */
export interface ImageConfig {
  readonly entrypoint: readonly string[];
  readonly user: string;
  readonly environment: Readonly<Record<string, string>>;
}

/** Stages by name, in order; arguments before the first FROM are put in. */
export function readStages(
  text = readFileSync(join(packageRoot(), 'Dockerfile'), 'utf8'),
): Map<string, Stage> {
  const args = new Map<string, string>();
  const stages = new Map<
    string,
    { name: string; from: string; steps: { instruction: string; text: string }[] }
  >();
  let current = '';
  for (const line of text.replaceAll('\\\n', ' ').split('\n')) {
    const [, instruction = '', rest = ''] = /^([A-Z]+)\s+(.*)$/.exec(line.trim()) ?? [];
    if (instruction === '') continue;
    if (instruction === 'ARG' && current === '') {
      const [name = '', value = ''] = rest.split('=');
      args.set(name, value);
    } else if (instruction === 'FROM') {
      const [, image = '', name = ''] = /^(\S+) AS (\S+)$/.exec(rest) ?? [];
      current = name;
      const from = image.replace(/\$\{(\w+)\}/g, (_, key: string) => args.get(key) ?? '');
      stages.set(name, { name, from, steps: [] });
    } else stages.get(current)?.steps.push({ instruction, text: rest });
  }
  return stages;
}

/** A stage with those that it is built upon, the lowest first. */
export function lineage(stages: ReadonlyMap<string, Stage>, name: string): Stage[] {
  const stage = stages.get(name);
  if (stage === undefined) return [];
  return [...lineage(stages, stage.from), stage];
}

export function imageConfig(stages: ReadonlyMap<string, Stage>, target: string): ImageConfig {
  const steps = lineage(stages, target).flatMap((stage) => stage.steps);
  const last = (instruction: string) =>
    steps.findLast((step) => step.instruction === instruction)?.text ?? '';
  const environment = steps
    .filter(({ instruction }) => instruction === 'ENV')
    .flatMap(({ text }) => text.split(/\s+/).map((pair) => pair.split('=') as [string, string]));
  return {
    entrypoint: JSON.parse(last('ENTRYPOINT') || '[]') as string[],
    user: last('USER'),
    environment: Object.fromEntries(environment),
  };
}
