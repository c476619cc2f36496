/**
 * A node of a test's cluster: Kubernetes's own kubelet and kube-proxy, and containerd, in namespaces of their own, so that nothing
 * of it is left when they end. Its pods have addresses of a range of its own, which the other machines of the network reach
 * through it.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { packageRoot } from '../../../common/package-root.ts';
import { type ApiServer, SERVERS, userOfNode, WITH_PARENT } from '../../support/k8s/control-plane.ts';
import type { Host } from '../../support/network.ts';
import { SANDBOX } from './images.ts';

/** Programs of build.sh that a node runs. */
export const NODE_PROGRAMS = [
  'containerd',
  'containerd-shim-runc-v2',
  'ctr',
  'kubelet',
  'kube-proxy',
] as const;
/** Debian's containernetworking-plugins. */
export const CNI_PLUGINS = '/usr/lib/cni';

export interface NodeOptions {
  readonly name: string;
  readonly host: Host;
  /** Addresses of its pods, and of all pods of the cluster. */
  readonly pods: string;
  readonly allPods: string;
  /** Address of a server of names. */
  readonly dns: string;
  /** Its own; the paths of its sockets are at the end of it. */
  readonly folder: string;
  /** Of images.ts. */
  readonly images: string;
  readonly server: ApiServer;
}

/** The program of a node's namespaces. */
const MACHINE = join(packageRoot(), 'test/cluster-k8s/nodes/machine.sh');
const CGROUPS = '/sys/fs/cgroup';
const AGAIN_MS = 100;

export class Node {
  readonly name: string;
  readonly host: Host;
  readonly pods: string;
  readonly #folder: string;
  readonly #cgroup: string;
  readonly #machine: ChildProcess;
  /** Resolves when it has ended, by itself or by `stop`. */
  readonly ended: Promise<unknown>;

  /** Starts it. */
  constructor(options: NodeOptions) {
    [this.name, this.host, this.pods, this.#folder] = [
      options.name,
      options.host,
      options.pods,
      options.folder,
    ];
    this.#cgroup = `ballast-test-${process.pid}-${options.name}`;
    makeCgroup(this.#cgroup);
    const { folder } = options;
    for (const name of ['cni', 'certificates']) mkdirSync(join(folder, name), { recursive: true });
    writeFileSync(join(folder, 'containerd.toml'), containerdConfig(folder));
    writeFileSync(join(folder, 'cni', 'pods.conflist'), JSON.stringify(networkConfig(options)));
    writeFileSync(join(folder, 'kubelet.json'), JSON.stringify(kubeletConfig(options, `/${this.#cgroup}`)));
    writeFileSync(join(folder, 'kube-proxy.json'), JSON.stringify(proxyConfig(options)));
    const unshare = ['unshare', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];
    const words = [...WITH_PARENT, ...options.host.enter, ...unshare, 'sh', MACHINE, folder];
    this.#machine = spawn('setpriv', words, {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: {
        ...{ PATH: `${SERVERS}:${process.env.PATH}`, SERVERS, IMAGES: options.images, NAME: options.name },
        ...{
          KUBELET_CONFIG: options.server.configAs(userOfNode(options.name)),
          ADDRESS: options.host.address,
        },
      },
    });
    this.ended = once(this.#machine, 'exit');
  }

  /** The end of what its programs said. */
  get transcript(): string {
    return ['containerd', 'kubelet', 'kube-proxy']
      .map((name) => join(this.#folder, `${name}.log`))
      .filter((file) => existsSync(file))
      .map((file) => `--- ${file}\n${readFileSync(file, 'utf8').slice(-20_000)}`)
      .join('\n');
  }

  /** Ends it at once, as a machine without power does. */
  async stop(): Promise<void> {
    this.#machine.kill('SIGKILL');
    await this.ended;
    await removeCgroup(this.#cgroup);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function containerdConfig(folder: string): string {
  return `version = 3
root = '${folder}/containerd'
state = '/run/containerd'
[grpc]
  address = '/run/containerd/containerd.sock'
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = '${SANDBOX}'
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true # even root may not lower it everywhere
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ['${CNI_PLUGINS}']
  conf_dir = '${folder}/cni'
`;
}

/** Each pod has a link to its node, which passes packets on. */
function networkConfig({ pods, folder }: NodeOptions): object {
  const ipam = {
    ...{ type: 'host-local', ranges: [[{ subnet: pods }]], routes: [{ dst: '0.0.0.0/0' }] },
    dataDir: join(folder, 'addresses'),
  };
  return { cniVersion: '1.0.0', name: 'pods', plugins: [{ type: 'ptp', ipam }] };
}

function kubeletConfig({ server, host, dns, folder }: NodeOptions, cgroupRoot: string): object {
  return {
    ...{ apiVersion: 'kubelet.config.k8s.io/v1beta1', kind: 'KubeletConfiguration' },
    ...{
      address: host.address,
      healthzPort: 0,
      containerRuntimeEndpoint: 'unix:///run/containerd/containerd.sock',
    },
    // The API server alone may ask it for logs, or to run something.
    authentication: {
      ...{ anonymous: { enabled: false }, webhook: { enabled: false } },
      x509: { clientCAFile: server.kubeletAuthority },
    },
    authorization: { mode: 'AlwaysAllow' },
    ...{ clusterDNS: [dns], clusterDomain: 'cluster.local', resolvConf: '' },
    ...{ cgroupDriver: 'cgroupfs', cgroupRoot, enforceNodeAllocatable: ['pods'], failCgroupV1: false },
    ...{
      failSwapOn: false,
      maxPods: 40,
      podLogsDir: join(folder, 'logs'),
      volumePluginDir: join(folder, 'plugins'),
    },
    // The disk is that of the machine outside.
    ...{ imageGCHighThresholdPercent: 100, evictionHard: { 'memory.available': '100Mi' } },
  };
}

function proxyConfig({ server, name, allPods }: NodeOptions): object {
  return {
    ...{ apiVersion: 'kubeproxy.config.k8s.io/v1alpha1', kind: 'KubeProxyConfiguration', mode: 'nftables' },
    ...{ clientConnection: { kubeconfig: server.configAs('system:kube-proxy') }, hostnameOverride: name },
    ...{ detectLocalMode: 'ClusterCIDR', clusterCIDR: allPods },
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' }, // settings of the machine
  };
}

/** In each hierarchy of version 1, or in the one of version 2. */
function makeCgroup(name: string): void {
  for (const folder of hierarchies()) mkdirSync(join(folder, name), { recursive: true });
  for (const file of ['cpuset.cpus', 'cpuset.mems']) {
    const from = join(CGROUPS, 'cpuset', file);
    if (existsSync(from)) writeFileSync(join(CGROUPS, 'cpuset', name, file), readFileSync(from));
  }
}

/** Its processes are being killed. */
async function removeCgroup(name: string): Promise<void> {
  for (const folder of hierarchies()) {
    const path = join(folder, name);
    while (existsSync(path)) {
      const inner = execFileSync('find', [path, '-depth', '-type', 'd'], { encoding: 'utf8' })
        .trim()
        .split('\n');
      try {
        for (const each of inner) rmdirSync(each);
      } catch {
        await delay(AGAIN_MS);
      }
    }
  }
}

function hierarchies(): string[] {
  if (existsSync(join(CGROUPS, 'cgroup.controllers'))) return [CGROUPS];
  return readdirSync(CGROUPS).map((name) => join(CGROUPS, name));
}
