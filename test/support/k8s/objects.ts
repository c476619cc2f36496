/** Kubernetes objects as helm renders them, and the pods within. */
import { spawnSync } from 'node:child_process';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { IContainer } from 'kubernetes-models/v1/Container';
import type { IPodTemplateSpec } from 'kubernetes-models/v1/PodTemplateSpec';
import type { IPersistentVolumeClaim } from 'kubernetes-models/v1/PersistentVolumeClaim';
import { parseAllDocuments } from 'yaml';
import { packageRoot } from '../../../common/package-root.ts';

export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly [field: string]: unknown;
}

/** A Deployment, StatefulSet or bare Pod: what makes pods. */
export interface Workload {
  /** `Deployment/coordinator`. */
  readonly name: string;
  readonly object: KubeObject;
  readonly labels: Readonly<Record<string, string>>;
  readonly spec: NonNullable<IPodTemplateSpec['spec']>;
  readonly claimTemplates: readonly string[];
}

/** Choices of values, by what tests call them: files below k8s/. */
const CHOICES = { cpu: [], gpu: ['gpu.yaml'], mig: ['gpu.yaml', 'mig.yaml'] } as const;
export type Choice = keyof typeof CHOICES;

/** Release and namespace of what is rendered. */
export const RELEASE = 'ballast';

/** Where scripts/setup-tests.sh puts helm; that of the PATH goes first. */
const TOOLS = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'ballast', 'tools');
export const HELM_PATH = `${process.env.PATH}:${TOOLS}`;

/** Why nothing can be rendered here; null where it can. */
export function whyNotRendered(): string | null {
  const { status, stdout } = spawnSync('helm', ['version', '--short'], {
    encoding: 'utf8',
    env: { ...process.env, PATH: HELM_PATH },
  });
  if (status !== 0) return 'helm is not there';
  return /^v[4-9]/.test(stdout) ? null : `helm is ${stdout.trim()}; 4 is needed`;
}

/** Runs helm on k8s/chart: `template` by default. `flags` follow the values of the choice. */
export function helm(choice: Choice, flags: readonly string[] = []): { failure: string; output: string } {
  const folder = join(packageRoot(), 'k8s');
  const values = CHOICES[choice].flatMap((file) => ['--values', join(folder, file)]);
  const { status, stdout, stderr } = spawnSync(
    'helm',
    ['template', RELEASE, join(folder, 'chart'), '--namespace', RELEASE, ...values, ...flags],
    { encoding: 'utf8', maxBuffer: 64 * 2 ** 20, env: { ...process.env, PATH: HELM_PATH } },
  );
  return { failure: status === 0 ? '' : stderr, output: stdout };
}

const rendered = new Map<string, KubeObject[]>();

/** The objects of a release; equal ones are rendered once, and not to be changed. @throws Error with what helm says. */
export function render(choice: Choice, flags: readonly string[] = []): KubeObject[] {
  const key = [choice, ...flags].join(' ');
  const known = rendered.get(key);
  if (known !== undefined) return known;
  const { failure, output } = helm(choice, flags);
  if (failure !== '') throw new Error(`helm template (${choice}): ${failure}`);
  const objects = readObjects(output);
  rendered.set(key, objects);
  return objects;
}

/** The objects of a YAML text. @throws Error if it is not YAML. */
export function readObjects(text: string): KubeObject[] {
  return parseAllDocuments(text, { strict: true, uniqueKeys: true }).flatMap((document) => {
    if ('errors' in document && document.errors.length > 0) throw document.errors[0]!;
    const object = document.toJS() as KubeObject | null;
    return object === null ? [] : [object]; // a template that only comments
  });
}

/** `Deployment/coordinator`. */
export function nameOf({ kind, metadata }: KubeObject): string {
  return `${kind}/${metadata.name}`;
}

export function workloadsOf(objects: readonly KubeObject[]): Workload[] {
  return objects.flatMap((object) => {
    const name = nameOf(object);
    if (object.kind === 'Pod') {
      const spec = object.spec as Workload['spec'];
      return [{ name, object, labels: object.metadata.labels ?? {}, spec, claimTemplates: [] }];
    }
    if (!['Deployment', 'StatefulSet', 'DaemonSet', 'Job'].includes(object.kind)) return [];
    const { template, volumeClaimTemplates = [] } = object.spec as {
      template: IPodTemplateSpec;
      volumeClaimTemplates?: readonly IPersistentVolumeClaim[];
    };
    if (template.spec === undefined) return [];
    const claimTemplates = volumeClaimTemplates.map(({ metadata }) => metadata?.name ?? '');
    return [{ name, object, labels: template.metadata?.labels ?? {}, spec: template.spec, claimTemplates }];
  });
}

/** All containers of a pod, those that prepare it included. */
export function containersOf({ spec }: Workload): IContainer[] {
  return [...(spec.initContainers ?? []), ...spec.containers];
}

/** Whether labels fulfil a selector, as `matchLabels` and `matchExpressions` say. An empty one selects all. */
export function selects(
  selector: LabelSelector | undefined,
  labels: Readonly<Record<string, string>>,
): boolean {
  if (selector === undefined) return false;
  const { matchLabels = {}, matchExpressions = [] } = selector;
  return (
    Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every(({ key, operator, values = [] }) => {
      const value = labels[key];
      switch (operator) {
        case 'In':
          return value !== undefined && values.includes(value);
        case 'NotIn':
          return value === undefined || !values.includes(value);
        case 'Exists':
          return value !== undefined;
        case 'DoesNotExist':
          return value === undefined;
        default:
          throw new Error(`operator ${operator} is not known`);
      }
    })
  );
}

export interface LabelSelector {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: string;
    readonly values?: readonly string[];
  }[];
}
