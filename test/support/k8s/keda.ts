/** KEDA in a cluster, by the manifests of its own release; its pods have the programs of test/cluster-k8s/build.sh. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { type Cluster, whyNot } from './control-plane.ts';
import { KEDA_MODULE, moduleFolder, PINS } from './modules.ts';

const VERSION = PINS['KEDA']!;
const NAMESPACE = 'keda';

/** Its images, with the commands that the manifests name. */
export const KEDA_IMAGES = (
  [
    ['keda', 'keda-operator', '/keda'],
    ['keda-metrics-apiserver', 'keda-adapter', '/keda-adapter'],
    ['keda-admission-webhooks', 'keda-webhooks', '/keda-admission-webhooks'],
  ] as const
).map(([image, program, path]) => ({ name: `ghcr.io/kedacore/${image}:${VERSION}`, program, path }));

/** By which Prometheus finds its operator. */
const MONITOR = {
  ...{ apiVersion: 'monitoring.coreos.com/v1', kind: 'PodMonitor' },
  metadata: { name: 'keda-operator', namespace: NAMESPACE },
  spec: {
    selector: { matchLabels: { app: 'keda-operator' } },
    podMetricsEndpoints: [{ port: 'http', relabelings: [] }],
  },
};

/** Why KEDA cannot run here; null where it can. */
export function whyNoKeda(): string | null {
  return whyNot(KEDA_IMAGES.map(({ program }) => program));
}

/**
 * In a cluster that knows the Prometheus operator's kinds. Resolves when its Deployments are available, and the API server has
 * external metrics from it.
 */
export async function installKeda(cluster: Cluster): Promise<void> {
  const text = execFileSync('kubectl', ['kustomize', join(moduleFolder(KEDA_MODULE), 'config/default')], {
    ...{ encoding: 'utf8', maxBuffer: 64 * 2 ** 20 },
  });
  // As a release has them: its version in place of the branch, and pods that do with the image that is there.
  const released = text
    .replaceAll(/^( +(?:image|app\.kubernetes\.io\/version): .*?)main$/gm, `$1${VERSION}`)
    .replaceAll('imagePullPolicy: Always', 'imagePullPolicy: IfNotPresent');
  cluster.apply(released, '--server-side');
  cluster.apply(MONITOR);
  await cluster.wait('deployment', 'condition=Available', '--all', '-n', NAMESPACE);
  await cluster.wait('apiservice/v1beta1.external.metrics.k8s.io', 'condition=Available');
}
