/** The nodes of a test's cluster (node.ts), with what a cluster has beside them: names, a storage class, network policies. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { CoreV1Api, KubeConfig, type V1PersistentVolumeClaim } from '@kubernetes/client-node';
import { KindWatch } from '../../../controller/kind-watch.ts';
import type { ApiServer } from '../../support/k8s/control-plane.ts';
import type { Host, TestNetwork } from '../../support/network.ts';
import { ClusterDns } from './cluster-dns.ts';
import { FolderVolumes } from './folder-volumes.ts';
import { type ProgramImage, writeImages } from './images.ts';
import { Node } from './node.ts';
import { PolicyKeeper } from './policy-keeper.ts';

export interface NodesOptions {
  readonly names: readonly string[];
  readonly server: ApiServer;
  readonly network: TestNetwork;
  /** Of the network: one for each node, and one for a server of names. */
  readonly hosts: readonly Host[];
  readonly dns: Host;
  /** Images beside those that the chart names. */
  readonly programs: readonly ProgramImage[];
  readonly folder: string;
}

/** Addresses of a node's pods, less those of the network and the broadcast. */
const PODS_OF_NODE = 64;

export class Nodes {
  readonly #nodes: readonly Node[];
  readonly #dns: ClusterDns;
  readonly #keeper: PolicyKeeper | null;
  readonly #volumes: KindWatch<V1PersistentVolumeClaim>;

  private constructor(
    nodes: readonly Node[],
    dns: ClusterDns,
    keeper: PolicyKeeper | null,
    volumes: KindWatch<V1PersistentVolumeClaim>,
  ) {
    [this.#nodes, this.#dns, this.#keeper, this.#volumes] = [nodes, dns, keeper, volumes];
  }

  /** Resolves when all are ready. @throws Error with what they said, where one ends or does not get ready */
  static async start(options: NodesOptions): Promise<Nodes> {
    const { server, folder } = options;
    const images = join(folder, 'images');
    await writeImages(images, options.programs);
    const config = new KubeConfig();
    config.loadFromFile(server.cluster.kubeconfig);
    const dns = new ClusterDns(options.dns, server.cluster.kubeconfig, folder);
    const nodes = startNodes(options, images);
    const keeper = PolicyKeeper.isPossible ? await PolicyKeeper.start(config, nodes) : null;
    const all = new Nodes(nodes, dns, keeper, await giveVolumes(config, join(folder, 'volumes')));
    try {
      await Promise.race([all.#areReady(server), all.#anEnd()]);
    } catch (thrown) {
      const { transcript } = all;
      await all.stop();
      throw new Error(transcript, { cause: thrown });
    }
    return all;
  }

  async #areReady({ cluster }: ApiServer): Promise<void> {
    for (const { name } of this.#nodes) {
      await cluster.wait(`node/${name}`, 'create');
      await cluster.wait(`node/${name}`, 'condition=Ready');
    }
  }

  /** @throws Error when a node has ended */
  async #anEnd(): Promise<void> {
    const name = await Promise.race(this.#nodes.map(async (node) => (await node.ended, node.name)));
    throw new Error(`${name} ended`);
  }

  /** The end of what their programs said. */
  get transcript(): string {
    return [...this.#nodes, this.#dns].map(({ transcript }) => transcript).join('\n');
  }

  /** Ends all of them with their pods at once. */
  async stop(): Promise<void> {
    await this.#volumes.stop();
    await this.#keeper?.stop();
    await Promise.all(this.#nodes.map((node) => node.stop()));
    await this.#dns.stop();
  }
}

function startNodes({ names, server, network, hosts, dns, folder }: NodesOptions, images: string): Node[] {
  // The process id makes addresses that no other test has at the same time.
  const range = `100.${64 + ((process.pid >> 8) & 63)}.${process.pid & 255}`;
  return names.map((name, i) => {
    const pods = `${range}.${i * PODS_OF_NODE}/26`;
    network.route(pods, hosts[i]!);
    const own = join(folder, name);
    mkdirSync(own, { recursive: true });
    return new Node({
      ...{ name, host: hosts[i]!, pods, allPods: `${range}.0/24`, dns: dns.address, folder: own },
      ...{ images, server },
    });
  });
}

async function giveVolumes(config: KubeConfig, folder: string): Promise<KindWatch<V1PersistentVolumeClaim>> {
  await FolderVolumes.createClass(config);
  const core = config.makeApiClient(CoreV1Api);
  const volumes = new FolderVolumes(core, folder);
  const tell = (work: Promise<void>) =>
    void work.catch((thrown: unknown) => process.stderr.write(`volumes: ${String(thrown)}\n`));
  return new KindWatch<V1PersistentVolumeClaim>(
    config,
    { path: '/api/v1/persistentvolumeclaims', list: () => core.listPersistentVolumeClaimForAllNamespaces() },
    { see: (claim) => tell(volumes.see(claim)), lose: (claim) => tell(volumes.lose(claim)) },
  );
}
