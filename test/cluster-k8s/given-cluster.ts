/** Requirements of the suite on a cluster that KUBECONFIG names, checked before anything is made there. */
import type { V1Node, V1StorageClass } from '@kubernetes/client-node';
import { UserError } from '../../common/errors.ts';
import type { Cluster } from '../support/k8s/control-plane.ts';

/** Rights to make the objects outside a namespace, the roles of the chart, and to drain a node. */
const RIGHTS = [
  ['create', 'namespaces'],
  ['create', 'customresourcedefinitions'],
  ['create', 'priorityclasses'],
  ['patch', 'nodes'],
  ['create', 'pods/eviction'],
  ['create', 'roles'],
] as const;

/** @throws UserError that says in one line why the suite cannot run there */
export async function checkCluster(cluster: Cluster): Promise<void> {
  const refuse = (why: string): never => {
    throw new UserError(`KUBECONFIG (${cluster.kubeconfig}): ${why}`);
  };
  await cluster.run('get', '--raw', '/readyz', '--request-timeout=20s').catch((thrown: unknown) => {
    const { stderr = String(thrown) } = thrown as { stderr?: string };
    refuse(`the cluster does not answer: ${stderr.trim().split('\n').at(-1)}`);
  });
  const lacking: string[] = [];
  for (const [verb, what] of RIGHTS) {
    const may = await cluster.run('auth', 'can-i', verb, what, '--all-namespaces').catch(() => 'no');
    if (may.trim() !== 'yes') lacking.push(`${verb} ${what}`);
  }
  if (lacking.length > 0) refuse(`its user may not ${lacking.join(', ')}`);
  if ((await usableNodes(cluster)) === 0) refuse('no node is ready and takes pods');
  if (process.env['BALLAST_E2E_VALUES'] === undefined && !(await hasDefaultClass(cluster)))
    refuse('no storage class is the default; name one in a file of values (BALLAST_E2E_VALUES)');
}

/** Nodes that are ready and take any pod. */
export async function usableNodes(cluster: Cluster): Promise<number> {
  const { items } = JSON.parse(await cluster.run('get', 'nodes', '-o', 'json')) as { items: V1Node[] };
  return items.filter(
    ({ spec, status }) =>
      spec?.unschedulable !== true &&
      !(spec?.taints ?? []).some(({ effect }) => effect !== 'PreferNoSchedule') &&
      status?.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'True'),
  ).length;
}

async function hasDefaultClass(cluster: Cluster): Promise<boolean> {
  const text = await cluster.run('get', 'storageclasses', '-o', 'json');
  const { items } = JSON.parse(text) as { items: V1StorageClass[] };
  const mark = 'storageclass.kubernetes.io/is-default-class';
  return items.some(({ metadata }) => metadata?.annotations?.[mark] === 'true');
}
