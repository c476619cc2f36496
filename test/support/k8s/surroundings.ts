/** What the overlays expect of a cluster beyond what they bring: docs/kubernetes.md tells how it gets there. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { packageRoot } from '../../../common/package-root.ts';
import type { Surroundings } from './references.ts';

/** Tokens of the API: whoever runs the cluster makes them. */
const SECRETS = ['api-tokens'];

interface NatsValues {
  readonly fullnameOverride: string;
  readonly config: { readonly nats: { readonly tls: { readonly secretName: string } } };
  readonly tlsCA: { readonly secretName: string };
  readonly promExporter: { readonly enabled: boolean };
}

export function natsValues(): NatsValues {
  return parse(readFileSync(join(packageRoot(), 'k8s', 'nats', 'values.yaml'), 'utf8')) as NatsValues;
}

/** The standalone NATS is among the objects of local-cpu. */
export const ALONE: Surroundings = { secrets: SECRETS, services: {}, pods: [] };

/** NATS by its chart. Labels and ports as nats-io/k8s has them: helm/charts/nats/test. */
export function withNatsChart(): Surroundings {
  const { fullnameOverride, promExporter } = natsValues();
  const ports = { nats: 4222, monitor: 8222, ...(promExporter.enabled ? { 'prom-metrics': 7777 } : {}) };
  return {
    secrets: SECRETS,
    services: { [fullnameOverride]: [ports.nats] },
    pods: [{ labels: { 'app.kubernetes.io/name': 'nats' }, ports }],
  };
}
