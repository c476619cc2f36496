/** What the overlays expect of a cluster beyond what they bring: docs/kubernetes.md tells how it gets there. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { packageRoot } from '../../../common/package-root.ts';
import type { Surroundings } from './references.ts';

/** Tokens of the API: whoever runs the cluster makes them. */
const SECRETS = ['api-tokens'];

interface Patch<Value> {
  readonly patch: readonly { readonly op: string; readonly path: string; readonly value: Value }[];
}

interface SecretVariable {
  readonly valueFrom: { readonly secretKeyRef: { readonly name: string; readonly key: string } };
}

export interface NatsValues {
  readonly fullnameOverride: string;
  readonly config: {
    readonly nats: { readonly tls: { readonly secretName: string } };
    readonly merge: { readonly $include: string };
  };
  readonly container: Patch<{ readonly name: string; readonly mountPath: string }> & {
    readonly env: Readonly<Record<string, string | SecretVariable>>;
  };
  readonly podTemplate: Patch<{ readonly name: string; readonly configMap: { readonly name: string } }>;
  readonly tlsCA: { readonly secretName: string };
  readonly promExporter: { readonly enabled: boolean };
}

/** Where the chart has the server's configuration. */
export const NATS_CONFIG_DIR = '/etc/nats-config';

export function natsValues(): NatsValues {
  return parse(readFileSync(join(packageRoot(), 'k8s', 'nats', 'values.yaml'), 'utf8')) as NatsValues;
}

/** Keys of secrets that the chart's server has as variables, by variable: whoever runs the cluster makes them. */
export function natsSecretVariables({ container }: NatsValues): Map<string, { name: string; key: string }> {
  return new Map(
    Object.entries(container.env).flatMap(([variable, value]) =>
      typeof value === 'string' ? [] : [[variable, value.valueFrom.secretKeyRef] as const],
    ),
  );
}

/** The standalone NATS is among the objects of local-cpu. */
export const ALONE: Surroundings = { secrets: SECRETS, services: {}, pods: [] };

/** NATS by its chart. Labels and ports as nats-io/k8s has them: helm/charts/nats/test. */
export function withNatsChart(): Surroundings {
  const values = natsValues();
  const { fullnameOverride, promExporter } = values;
  const ports = { nats: 4222, monitor: 8222, ...(promExporter.enabled ? { 'prom-metrics': 7777 } : {}) };
  return {
    secrets: [...SECRETS, ...[...natsSecretVariables(values).values()].map(({ name }) => name)],
    services: { [fullnameOverride]: [ports.nats] },
    pods: [{ labels: { 'app.kubernetes.io/name': 'nats' }, ports }],
  };
}
