/** Pods that are none of the release's, which try to reach it: what network policies let through. */
import { setTimeout as delay } from 'node:timers/promises';
import type { V1Pod } from '@kubernetes/client-node';
import { nodeCommand } from './helper-pod.ts';
import type { TestCluster } from './test-cluster.ts';

/** Until a policy that was made is in force. */
const ENFORCED_WITHIN_MS = 60_000;
const PORT = 8080;

export interface Stranger {
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
}

/** Which of these `host:port` a pod can connect to. */
export async function reachedBy(
  cluster: TestCluster,
  stranger: Stranger,
  targets: Readonly<Record<string, string>>,
): Promise<string[]> {
  const command = nodeCommand(CONNECT, ...Object.values(targets));
  const { code, message } = await cluster.runHelper({ ...stranger, command });
  if (code !== 0) throw new Error(`the stranger ended with ${code}: ${message}`);
  const isOpen = JSON.parse(message) as boolean[];
  return Object.keys(targets).filter((_, i) => isOpen[i]);
}

/** A pod that listens; gives its `host:port` once it has an address. */
export async function listener(
  cluster: TestCluster,
  labels: Readonly<Record<string, string>>,
): Promise<string> {
  const pod = await cluster.startHelper({ labels, command: nodeCommand(LISTEN), port: PORT });
  const name = pod.metadata!.name!;
  await cluster.waits(`pod/${name}`, 'condition=Ready');
  const { status } = await cluster.get<V1Pod>('pod', name);
  return `${status!.podIP}:${PORT}`;
}

/** Whether the cluster enforces policies: a policy closes a pod that was open before. @throws Error if it never was */
export async function enforcesPolicies(cluster: TestCluster): Promise<boolean> {
  const labels = { 'ballast-e2e': 'probe' };
  const address = await listener(cluster, labels);
  const isOpen = async () => (await reachedBy(cluster, {}, { probe: address })).length > 0;
  const opened = performance.now();
  while (!(await isOpen()))
    if (performance.now() - opened > ENFORCED_WITHIN_MS) throw new Error('a pod does not reach another');
  await cluster.apply({
    ...{ apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy' },
    metadata: { name: 'e2e-probe', namespace: cluster.namespace },
    spec: { podSelector: { matchLabels: labels }, policyTypes: ['Ingress'] },
  });
  const began = performance.now();
  while (await isOpen()) {
    if (performance.now() - began > ENFORCED_WITHIN_MS) return false;
    await delay(1000);
  }
  return true;
}

const CONNECT = `
const open = (target) => new Promise((resolve) => {
  const [, host, port] = /^(.*):(\\d+)$/.exec(target);
  const socket = require('node:net').connect({ host, port: Number(port) });
  const end = (isOpen) => { clearTimeout(timer); socket.destroy(); resolve(isOpen); };
  const timer = setTimeout(end, 10_000, false);
  socket.once('connect', () => end(true)).once('error', () => end(false));
});
Promise.all(process.argv.slice(1).map(open)).then((found) =>
  require('node:fs').writeFileSync('/dev/termination-log', JSON.stringify(found)));
`;

const LISTEN = `
require('node:net').createServer((socket) => socket.destroy()).listen(${PORT});
process.once('SIGTERM', () => process.exit());
`;
