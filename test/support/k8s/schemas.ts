/**
 * Checks objects against the schemas of Kubernetes and of the operators that we use (npm: kubernetes-models). Those
 * schemas let unknown fields pass, which is how typing mistakes get into clusters; here every field that the schema never
 * looks at is a problem of its own.
 */
import { Certificate } from '@kubernetes-models/cert-manager/cert-manager.io/v1/Certificate';
import { Issuer } from '@kubernetes-models/cert-manager/cert-manager.io/v1/Issuer';
import { ScaledObject } from '@kubernetes-models/keda/keda.sh/v1alpha1/ScaledObject';
import { PodMonitor } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PodMonitor';
import { PrometheusRule } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PrometheusRule';
import { Deployment } from 'kubernetes-models/apps/v1/Deployment';
import { StatefulSet } from 'kubernetes-models/apps/v1/StatefulSet';
import { HorizontalPodAutoscaler } from 'kubernetes-models/autoscaling/v2/HorizontalPodAutoscaler';
import { NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1/NetworkPolicy';
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1/PodDisruptionBudget';
import { Role } from 'kubernetes-models/rbac.authorization.k8s.io/v1/Role';
import { RoleBinding } from 'kubernetes-models/rbac.authorization.k8s.io/v1/RoleBinding';
import { PriorityClass } from 'kubernetes-models/scheduling.k8s.io/v1/PriorityClass';
import { ConfigMap } from 'kubernetes-models/v1/ConfigMap';
import { Namespace } from 'kubernetes-models/v1/Namespace';
import { PersistentVolumeClaim } from 'kubernetes-models/v1/PersistentVolumeClaim';
import { Pod } from 'kubernetes-models/v1/Pod';
import { Secret } from 'kubernetes-models/v1/Secret';
import { Service } from 'kubernetes-models/v1/Service';
import { ServiceAccount } from 'kubernetes-models/v1/ServiceAccount';
import { type KubeObject, nameOf } from './objects.ts';

/** A class of kubernetes-models: its prototype validates, whatever it is called on. */
interface Model {
  readonly apiVersion: string;
  readonly kind: string;
  readonly prototype: { validate(this: unknown): void };
}

const MODELS: readonly Model[] = [
  ...[Certificate, Issuer, ScaledObject, PodMonitor, PrometheusRule, Deployment, StatefulSet, NetworkPolicy],
  ...[
    HorizontalPodAutoscaler,
    PodDisruptionBudget,
    PriorityClass,
    ConfigMap,
    Namespace,
    Pod,
    Secret,
    Service,
  ],
  ...[PersistentVolumeClaim, ServiceAccount, Role, RoleBinding],
];

/** Fields that came after the schemas: `fallback.behavior` with KEDA 2.17 (its CRD has it). */
const NEWER_FIELDS = ['ScaledObject spec.fallback.behavior'];

export interface SchemaReport {
  /** `Deployment/coordinator: spec.replica: unknown field`. */
  readonly problems: readonly string[];
  /** Kinds that no schema was found for. */
  readonly unchecked: readonly string[];
}

export function checkSchemas(objects: readonly KubeObject[]): SchemaReport {
  const problems: string[] = [];
  const unchecked = new Set<string>();
  for (const object of objects) {
    const model = MODELS.find(
      ({ apiVersion, kind }) => apiVersion === object.apiVersion && kind === object.kind,
    );
    if (model === undefined) unchecked.add(`${object.apiVersion} ${object.kind}`);
    else problems.push(...checkObject(object, model).map((problem) => `${nameOf(object)}: ${problem}`));
  }
  return { problems, unchecked: [...unchecked] };
}

function checkObject(object: KubeObject, model: Model): string[] {
  const unread = new Set<string>();
  try {
    model.prototype.validate.call(watched(object, '', unread));
  } catch (thrown) {
    // If a value has the wrong form, its fields are not examined: only the first mistake is reported.
    return [String(thrown instanceof Error ? thrown.message : thrown)];
  }
  return [...unread]
    .filter((path) => !NEWER_FIELDS.includes(`${model.kind} ${path}`))
    .map((path) => `${path}: unknown field`);
}

/** The value, with each of its fields listed in `unread` until it is read. */
function watched(value: unknown, path: string, unread: Set<string>): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const pathOf = (key: string) => (Array.isArray(value) ? `${path}[${key}]` : `${path}${path && '.'}${key}`);
  const fields = new Map(
    Object.entries(value).map(([key, field]) => [key, watched(field, pathOf(key), unread)]),
  );
  for (const key of fields.keys()) unread.add(pathOf(key));
  return new Proxy(value, {
    get(target, key, receiver): unknown {
      if (typeof key !== 'string' || !fields.has(key)) return Reflect.get(target, key, receiver);
      unread.delete(pathOf(key));
      return fields.get(key);
    },
  });
}
