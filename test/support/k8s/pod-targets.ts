/**
 * What the Prometheus operator and Kubernetes's discovery do, for a Prometheus that was built without them, as Debian's is: jobs
 * out of PodMonitors, and the pods as targets in a file.
 */
import { renameSync, writeFileSync } from 'node:fs';
import type { V1Pod } from '@kubernetes/client-node';
import type { KubeObject } from './objects.ts';

export interface PodMonitor extends KubeObject {
  readonly spec: {
    readonly selector: {
      readonly matchLabels?: Readonly<Record<string, string>>;
      readonly matchExpressions?: readonly {
        readonly key: string;
        readonly operator: string;
        readonly values: readonly string[];
      }[];
    };
    readonly podMetricsEndpoints: readonly {
      readonly port: string;
      readonly relabelings: readonly {
        readonly sourceLabels: readonly string[];
        readonly targetLabel: string;
      }[];
    }[];
  };
}

/** Prometheus's job for a PodMonitor; `file` has the pods. @throws Error for a selector that is not of equality or `In` */
export function jobOf({ metadata, spec }: PodMonitor, file: string): object {
  const { matchLabels = {}, matchExpressions = [] } = spec.selector;
  const [{ port, relabelings }] = spec.podMetricsEndpoints as [PodMonitor['spec']['podMetricsEndpoints'][0]];
  const keep = (label: string, regex: string) => ({ action: 'keep', source_labels: [label], regex });
  return {
    job_name: `${metadata.namespace}/${metadata.name}`,
    file_sd_configs: [{ files: [file], refresh_interval: '1s' }],
    relabel_configs: [
      ...Object.entries(matchLabels).map(([key, value]) => keep(metaLabel(key), value)),
      ...matchExpressions.map(({ key, operator, values }) => {
        if (operator !== 'In') throw new Error(`operator ${operator} is not known`);
        return keep(metaLabel(key), values.join('|'));
      }),
      keep('__meta_kubernetes_pod_container_port_name', port),
      { source_labels: ['__meta_kubernetes_namespace'], target_label: 'namespace' },
      ...relabelings.map(({ sourceLabels, targetLabel }) => ({
        ...{ source_labels: sourceLabels, target_label: targetLabel },
      })),
    ],
  };
}

/** Writes each port of each pod that has an address as a target, with the labels of Kubernetes's discovery. */
export function writeTargets(file: string, pods: readonly V1Pod[]): void {
  const targets = pods.flatMap(({ metadata, spec, status }) =>
    (spec?.containers ?? [])
      .flatMap(({ ports }) => ports ?? [])
      .filter(() => status?.podIP !== undefined)
      .map(({ name, containerPort }) => ({
        targets: [`${status!.podIP}:${containerPort}`],
        labels: {
          __meta_kubernetes_namespace: metadata?.namespace,
          __meta_kubernetes_pod_name: metadata?.name,
          __meta_kubernetes_pod_container_port_name: name ?? '',
          ...Object.fromEntries(
            Object.entries(metadata?.labels ?? {}).map(([key, value]) => [metaLabel(key), value]),
          ),
        },
      })),
  );
  writeFileSync(`${file}.new`, JSON.stringify(targets));
  renameSync(`${file}.new`, file);
}

function metaLabel(key: string): string {
  return `__meta_kubernetes_pod_label_${key.replace(/[^a-zA-Z0-9_]/g, '_')}`;
}
