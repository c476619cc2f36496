/** cert-manager in a cluster, by the chart of its own release; its pods have the program of test/cluster-k8s/build.sh. */
import { join } from 'node:path';
import { type Cluster, whyNot } from './control-plane.ts';
import { CERT_MANAGER_MODULE, moduleFolder, PINS } from './modules.ts';

const PROGRAM = 'cert-manager';
const TAG = `v${PINS['CERT_MANAGER']}`;

/** Its images, with their entry points. */
export const CERT_MANAGER_IMAGES = ['controller', 'webhook', 'cainjector'].map((part) => ({
  ...{ name: `quay.io/jetstack/cert-manager-${part}:${TAG}`, program: PROGRAM },
  path: `/app/cmd/${part}/${part}`,
}));

/** Why cert-manager cannot run here; null where it can. */
export function whyNoCertManager(): string | null {
  return whyNot([PROGRAM]);
}

/** Resolves when certificates can be asked for. */
export async function installCertManager(cluster: Cluster): Promise<void> {
  const values = {
    ...{ 'crds.enabled': true, 'startupapicheck.enabled': false },
    ...{ 'image.tag': TAG, 'webhook.image.tag': TAG, 'cainjector.image.tag': TAG },
  };
  await cluster.runHelm(
    ...['install', 'cert-manager', join(moduleFolder(CERT_MANAGER_MODULE), 'deploy/charts/cert-manager')],
    ...['--namespace', 'cert-manager', '--create-namespace', '--wait', '--timeout', '10m'],
    ...Object.entries(values).flatMap(([name, value]) => ['--set', `${name}=${value}`]),
  );
  for (const kind of ['validating', 'mutating'])
    await cluster.wait(
      `${kind}webhookconfiguration/cert-manager-webhook`,
      'jsonpath={.webhooks[0].clientConfig.caBundle}',
    );
}
