/** Kubernetes objects as kustomize renders them, and the pods within. */
import { spawnSync } from 'node:child_process';
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

/** Components (kind `Component`) came with kustomize 4, in kubectl 1.21. */
const LEAST_MINOR = 21;

/** Why nothing can be rendered here; null where it can. */
export function whyNotRendered(): string | null {
  const { status, stdout } = spawnSync('kubectl', ['version', '--client', '-o', 'json'], {
    encoding: 'utf8',
  });
  if (status !== 0) return 'kubectl is not there';
  const { clientVersion } = JSON.parse(stdout) as {
    clientVersion: { major: string; minor: string; gitVersion: string };
  };
  const minor = Number.parseInt(clientVersion.minor, 10);
  const isNewEnough = Number(clientVersion.major) > 1 || minor >= LEAST_MINOR;
  return isNewEnough ? null : `kubectl is ${clientVersion.gitVersion}; 1.${LEAST_MINOR} is needed`;
}

/** Renders a kustomization, a folder in k8s/ or an absolute one. @throws Error with what kubectl says. */
export function render(folder: string): KubeObject[] {
  const path = folder.startsWith('/') ? folder : join(packageRoot(), 'k8s', folder);
  const { status, stdout, stderr } = spawnSync('kubectl', ['kustomize', path], {
    encoding: 'utf8',
    maxBuffer: 64 * 2 ** 20,
  });
  if (status !== 0) throw new Error(`kubectl kustomize ${folder}: ${stderr}`);
  return readObjects(stdout);
}

/** The objects of a YAML text. @throws Error for what is no YAML. */
export function readObjects(text: string): KubeObject[] {
  return parseAllDocuments(text, { strict: true, uniqueKeys: true }).map((document) => {
    if ('errors' in document && document.errors.length > 0) throw document.errors[0]!;
    return document.toJS() as KubeObject;
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
