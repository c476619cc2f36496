/** Keeps the rules in the pods' network namespaces as policies, pods and namespaces of the cluster change. */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  CoreV1Api,
  CustomObjectsApi,
  type KubeConfig,
  type KubernetesListObject,
  type KubernetesObject,
  type V1Namespace,
  type V1Pod,
} from '@kubernetes/client-node';
import type { Host } from '../../support/network.ts';
import { podAddress, type PodAddress, type Policy, rulesetOf } from './network-policies.ts';
import { Watch } from './watch.ts';

const POLICIES = { group: 'networking.k8s.io', version: 'v1', plural: 'networkpolicies' } as const;

type NetworkPolicy = Policy & KubernetesObject;

interface KnownPod {
  readonly pod: PodAddress;
  /** Where it runs, if it is a pod of this agent. */
  readonly host?: Host;
}

export class PolicyKeeper {
  readonly #node: string;
  readonly #policies = new Map<string, NetworkPolicy>();
  readonly #namespaces = new Map<string, Readonly<Record<string, string>>>();
  readonly #pods = new Map<string, KnownPod>();
  /** By network namespace. */
  readonly #inForce = new Map<string, string>();
  #watches: readonly Watch[] = [];

  private constructor(node: string) {
    this.#node = node;
  }

  /** Whether policies can be enforced here. */
  static get isPossible(): boolean {
    return spawnSync('nft', ['--version']).status === 0;
  }

  /** Resolves when it knows what there is. `node` is the address of the nodes. */
  static async start(config: KubeConfig, node: string): Promise<PolicyKeeper> {
    const keeper = new PolicyKeeper(node);
    const [custom, core] = [config.makeApiClient(CustomObjectsApi), config.makeApiClient(CoreV1Api)];
    const { group, version, plural } = POLICIES;
    const changed = (change: () => void) => {
      change();
      keeper.#refresh();
    };
    keeper.#watches = [
      Watch.of<NetworkPolicy>(
        config,
        `/apis/${group}/${version}/${plural}`,
        () =>
          custom.listCustomObjectForAllNamespaces({ group, version, plural }) as Promise<
            KubernetesListObject<NetworkPolicy>
          >,
        {
          see: (policy) => changed(() => keeper.#policies.set(policy.metadata!.uid!, policy)),
          lose: (policy) => changed(() => keeper.#policies.delete(policy.metadata!.uid!)),
        },
      ),
      Watch.of<V1Namespace>(config, '/api/v1/namespaces', () => core.listNamespace(), {
        see: ({ metadata }) => changed(() => keeper.#namespaces.set(metadata!.name!, metadata!.labels ?? {})),
        lose: ({ metadata }) => changed(() => keeper.#namespaces.delete(metadata!.name!)),
      }),
    ];
    await Promise.all(keeper.#watches.map(({ begun }) => begun));
    return keeper;
  }

  /** A pod of this agent, before anything of it runs. */
  attach(pod: V1Pod, host: Host): void {
    this.#pods.set(pod.metadata!.uid!, { pod: podAddress(pod, host.address)!, host });
    this.#refresh();
  }

  /** A pod that is there, or has changed; its address, if it has one that is not of this agent, is in its status. */
  see(pod: V1Pod): void {
    const uid = pod.metadata!.uid!;
    const host = this.#pods.get(uid)?.host;
    if (['Succeeded', 'Failed'].includes(pod.status?.phase ?? '')) return this.lose(uid);
    const known = podAddress(pod, host?.address ?? pod.status?.podIP);
    if (known === null) return;
    this.#pods.set(uid, { pod: known, ...(host === undefined ? {} : { host }) });
    this.#refresh();
  }

  /** A pod that is gone, or of which nothing runs any more. */
  lose(uid: string): void {
    if (this.#pods.delete(uid)) this.#refresh();
  }

  async stop(): Promise<void> {
    await Promise.all(this.#watches.map((watch) => watch.stop()));
  }

  #refresh(): void {
    const pods = [...this.#pods.values()];
    const state = {
      policies: [...this.#policies.values()],
      pods: pods.map(({ pod }) => pod),
      namespaces: this.#namespaces,
      node: this.#node,
    };
    for (const { pod, host } of pods) {
      if (host === undefined) continue;
      const rules = rulesetOf(pod, state);
      if (this.#inForce.get(host.namespace) === rules) continue;
      execFileSync('nsenter', [...host.enter.slice(1), 'nft', '-f', '-'], {
        input: rules,
        stdio: ['pipe', 'ignore', 'pipe'],
      });
      this.#inForce.set(host.namespace, rules);
    }
  }
}
