/** Keeps the rules of the nodes as policies, pods and namespaces of the cluster change: the part of a network plugin. */
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
import { KindWatch } from '../../../controller/kind-watch.ts';
import type { Host } from '../../support/network.ts';
import { podAddress, type PodAddress, type Policy, rulesetOf } from './network-policies.ts';

const POLICIES = { group: 'networking.k8s.io', version: 'v1', plural: 'networkpolicies' } as const;

type NetworkPolicy = Policy & KubernetesObject;

interface KnownPod {
  readonly pod: PodAddress;
  readonly node: string | undefined;
}

/** The part of a node that it needs. */
export interface PolicedNode {
  readonly name: string;
  readonly host: Host;
  /** Addresses of its pods. */
  readonly pods: string;
}

export class PolicyKeeper {
  readonly #nodes: readonly PolicedNode[];
  readonly #policies = new Map<string, NetworkPolicy>();
  readonly #namespaces = new Map<string, Readonly<Record<string, string>>>();
  readonly #pods = new Map<string, KnownPod>();
  /** By node. */
  readonly #inForce = new Map<string, string>();
  #watches: readonly { readonly begun: Promise<void>; readonly stop: () => Promise<void> }[] = [];

  private constructor(nodes: readonly PolicedNode[]) {
    this.#nodes = nodes;
  }

  /** Whether policies can be enforced here. */
  static get isPossible(): boolean {
    return spawnSync('nft', ['--version']).status === 0;
  }

  /** Resolves when it knows what there is. */
  static async start(config: KubeConfig, nodes: readonly PolicedNode[]): Promise<PolicyKeeper> {
    const keeper = new PolicyKeeper(nodes);
    const [custom, core] = [config.makeApiClient(CustomObjectsApi), config.makeApiClient(CoreV1Api)];
    const { group, version, plural } = POLICIES;
    const changed = (change: () => void) => {
      change();
      keeper.#refresh();
    };
    keeper.#watches = [
      new KindWatch<NetworkPolicy>(
        config,
        {
          path: `/apis/${group}/${version}/${plural}`,
          list: () =>
            custom.listCustomObjectForAllNamespaces({ group, version, plural }) as Promise<
              KubernetesListObject<NetworkPolicy>
            >,
        },
        {
          see: (policy) => changed(() => keeper.#policies.set(policy.metadata!.uid!, policy)),
          lose: (policy) => changed(() => keeper.#policies.delete(policy.metadata!.uid!)),
        },
      ),
      new KindWatch<V1Namespace>(
        config,
        { path: '/api/v1/namespaces', list: () => core.listNamespace() },
        {
          see: ({ metadata }) =>
            changed(() => keeper.#namespaces.set(metadata!.name!, metadata!.labels ?? {})),
          lose: ({ metadata }) => changed(() => keeper.#namespaces.delete(metadata!.name!)),
        },
      ),
      new KindWatch<V1Pod>(
        config,
        { path: '/api/v1/pods', list: () => core.listPodForAllNamespaces() },
        { see: (pod) => keeper.#see(pod), lose: ({ metadata }) => keeper.#lose(metadata!.uid!) },
      ),
    ];
    await Promise.all(keeper.#watches.map(({ begun }) => begun));
    return keeper;
  }

  #see(pod: V1Pod): void {
    const { spec, status, metadata } = pod;
    const address = podAddress(pod, status?.podIP);
    // A pod that has ended has no address any more, though its status says one.
    if (['Succeeded', 'Failed'].includes(status?.phase ?? '')) return this.#lose(metadata!.uid!);
    if (address === null) return;
    this.#pods.set(metadata!.uid!, { pod: address, node: spec?.nodeName });
    this.#refresh();
  }

  #lose(uid: string): void {
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
    };
    for (const { name, host, pods: range } of this.#nodes) {
      const own = pods.filter(({ node }) => node === name).map(({ pod }) => pod);
      const rules = rulesetOf(own, range, state);
      if (this.#inForce.get(name) === rules) continue;
      execFileSync('nsenter', [...host.enter.slice(1), 'nft', '-f', '-'], {
        input: rules,
        stdio: ['pipe', 'ignore', 'pipe'],
      });
      this.#inForce.set(name, rules);
    }
  }
}
