/**
 * The part of the Prometheus operator and of Kubernetes's discovery, for a Prometheus that was built without them, as Debian's is:
 * targets out of PodMonitors and pods, in a file that Prometheus reads again as it changes.
 */
import { renameSync, writeFileSync } from 'node:fs';
import type { V1Pod } from '@kubernetes/client-node';
import { type LabelSelector, selects } from './objects.ts';

export interface PodMonitor {
  readonly metadata?: { readonly name?: string; readonly namespace?: string };
  readonly spec: {
    readonly selector: LabelSelector;
    readonly podMetricsEndpoints: readonly {
      readonly port: string;
      readonly relabelings: readonly {
        readonly sourceLabels?: readonly string[];
        readonly targetLabel: string;
        readonly replacement?: string;
      }[];
    }[];
  };
}

export interface Target {
  readonly targets: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
}

/** Prometheus's targets for the pods that have an address, each of the job that the operator gives it. */
export function targetsOf(monitors: readonly PodMonitor[], pods: readonly V1Pod[]): Target[] {
  return monitors.flatMap(({ metadata: { name, namespace } = {}, spec }) =>
    pods
      .filter(({ metadata, status }) => metadata?.namespace === namespace && status?.podIP !== undefined)
      .filter(({ metadata }) => selects(spec.selector, metadata?.labels ?? {}))
      .flatMap((pod) =>
        spec.podMetricsEndpoints.flatMap(({ port, relabelings }) => {
          const found = (pod.spec?.containers ?? [])
            .flatMap(({ ports }) => ports ?? [])
            .find((one) => one.name === port);
          if (found === undefined) return [];
          const labels = relabelings.map(({ sourceLabels = [], targetLabel, replacement }) => [
            targetLabel,
            replacement ?? sourceLabels.map((label) => metaLabels(pod)[label] ?? '').join(';'),
          ]);
          return [
            {
              targets: [`${pod.status!.podIP}:${found.containerPort}`],
              labels: {
                job: `${namespace}/${name}`,
                namespace,
                ...Object.fromEntries(labels),
              } as Target['labels'],
            },
          ];
        }),
      ),
  );
}

/** Writes them at once, so that nobody reads a half of them. */
export function writeTargets(file: string, targets: readonly Target[]): void {
  writeFileSync(`${file}.new`, JSON.stringify(targets));
  renameSync(`${file}.new`, file);
}

/** Labels of Kubernetes's discovery. */
function metaLabels({ metadata }: V1Pod): Readonly<Record<string, string>> {
  const labels = Object.entries(metadata?.labels ?? {}).map(([key, value]) => [
    `__meta_kubernetes_pod_label_${key.replace(/[^a-zA-Z0-9_]/g, '_')}`,
    value,
  ]);
  return { __meta_kubernetes_pod_name: metadata?.name ?? '', ...Object.fromEntries(labels) } as Record<
    string,
    string
  >;
}
