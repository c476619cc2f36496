/**
 * Pods of the chart as containers of this machine (runc.ts). A kubelet's part is done here: environment, volumes,
 * /etc/hosts in place of the cluster's DNS, hooks. test/cluster-k8s has real kubelets.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { IContainer } from 'kubernetes-models/v1/Container';
import { natsProgram } from '../nats.ts';
import type { Host } from '../network.ts';
import type { Secrets } from './certificates.ts';
import { configMapData, environmentOf } from './environment.ts';
import { fieldValue, imageOf, inUnits } from './local-pod.ts';
import { grpcHealth } from './local-process.ts';
import type { KubeObject, Workload } from './objects.ts';
import { bind, type Mount, RuncContainer, SYSTEM_FOLDERS, USER } from './runc.ts';

const HEALTH_PORT = 4701;

export interface Cluster {
  readonly objects: readonly KubeObject[];
  readonly secrets: Secrets;
  /** Of the containers' folders. */
  readonly folder: string;
  /** Addresses by the name of a service. */
  readonly services: Readonly<Record<string, string>>;
}

export class PodContainer {
  readonly id: string;
  readonly host: Host;
  readonly workload: Workload;
  readonly #container: RuncContainer;
  readonly #folder: string;

  /** Starts a workload's first container on a host. `id` names it and its folders: the same one finds its volumes again. */
  constructor(id: string, workload: Workload, host: Host, cluster: Cluster) {
    this.id = id;
    this.host = host;
    this.workload = workload;
    this.#folder = cluster.folder;
    const [container] = workload.spec.containers as [IContainer];
    const environment = filledEnvironment(container, id, host, cluster);
    const command = [...(container.command ?? imageOf(container).entrypoint), ...(container.args ?? [])];
    this.#container = new RuncContainer({
      ...{ id, hostname: id, folder: cluster.folder, network: host.namespace, environment },
      command: command.map((text) => expanded(text, environment)),
      mounts: mountsOf(container, workload, id, cluster),
      memoryBytes: inUnits(container.resources?.limits?.memory ?? ''),
    });
  }

  get output(): string {
    return this.#container.output;
  }

  get isOver(): boolean {
    return this.#container.isOver;
  }

  /** Resolves when it is ready, as its readiness probe sees it. @throws Error with its output when it ended. */
  async untilReady(): Promise<void> {
    while ((await grpcHealth(`${this.host.address}:${HEALTH_PORT}`, 'readiness')) !== null) {
      if (this.isOver) throw new Error(`${this.id} ended:\n${this.output}`);
      await delay(200);
    }
  }

  /** Resolves when a line of its output matches. */
  async untilSays(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.output)) {
      if (this.isOver) throw new Error(`${this.id} ended:\n${this.output}`);
      await delay(50);
    }
  }

  /** Its exit code, once it has ended by itself. */
  get ended(): Promise<number | null> {
    return this.#container.ended;
  }

  /** SIGKILL to all of it. */
  async kill(): Promise<void> {
    this.#container.signal('KILL');
    await this.ended;
  }

  /** Ends it as the kubelet does: the hook, then SIGTERM. Gives the hook's exit code and its own. */
  async end(): Promise<{ hook: number | null; code: number | null }> {
    const { preStop } = this.workload.spec.containers[0]?.lifecycle ?? {};
    const hook = await this.#container.execute(preStop?.exec?.command ?? []);
    this.#container.signal('TERM');
    return { hook, code: await this.ended };
  }

  /** A line of /proc/1/status of the container. */
  status(name: string): string {
    const runc = ['--root', join(this.#folder, 'runc')];
    const text = execFileSync('runc', [...runc, 'exec', this.id, 'cat', '/proc/1/status'], {
      encoding: 'utf8',
    });
    return new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(text)?.[1] ?? '';
  }
}

/** `$(NAME)` of the environment filled in, as in commands of a manifest. */
export function expanded(text: string, environment: ReadonlyMap<string, string>): string {
  return text.replace(/\$\(([A-Za-z0-9_]+)\)/g, (whole, name: string) => environment.get(name) ?? whole);
}

/** Where a container's programs are. */
export const CONTAINER_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

function filledEnvironment(
  container: IContainer,
  id: string,
  host: Host,
  { objects, secrets }: Cluster,
): Map<string, string> {
  const filled = new Map([['PATH', CONTAINER_PATH], ...Object.entries(imageOf(container).environment)]);
  for (const [name, value] of environmentOf(container, objects)) {
    const source = container.env?.find((variable) => variable.name === name);
    filled.set(name, value ?? fieldValue(source, container, id, { secrets }, host.address));
  }
  return filled;
}

/** The pod's volumes; what it may write belongs to its user. */
function mountsOf(container: IContainer, { spec }: Workload, id: string, cluster: Cluster): Mount[] {
  const { folder, objects, secrets, services } = cluster;
  const hosts = join(folder, `${id}-hosts`);
  const names = Object.entries(services).map(([name, address]) => `${address} ${name}\n`);
  writeFileSync(hosts, `127.0.0.1 localhost\n${names.join('')}`);
  const mounts = [bind(hosts, '/etc/hosts', true)];
  for (const { name, mountPath, readOnly = false } of container.volumeMounts ?? []) {
    if (SYSTEM_FOLDERS.includes(mountPath)) continue;
    const volume = spec.volumes?.find((each) => each.name === name);
    const claim = volume?.persistentVolumeClaim?.claimName;
    const path = join(folder, claim ?? `${id}-${name}`);
    mkdirSync(path, { recursive: true });
    const files = {
      ...configMapData(objects, volume?.configMap?.name),
      ...secrets[volume?.secret?.secretName ?? ''],
    };
    for (const [key, text] of Object.entries(files)) {
      writeFileSync(join(path, key), text);
      chmodSync(join(path, key), volume?.secret?.defaultMode ?? 0o644);
      chownSync(join(path, key), 0, USER);
    }
    if (!readOnly) chownSync(path, USER, USER);
    mounts.push(bind(path, mountPath, readOnly));
  }
  if (container.command?.[0] === 'nats-server')
    mounts.push(bind(natsServer(), '/usr/local/bin/nats-server', true));
  return mounts;
}

/** This machine's NATS server, in place of its image: it needs nothing but the C library. */
export function natsServer(): string {
  return execFileSync('sh', ['-c', `command -v '${natsProgram}'`], { encoding: 'utf8' }).trim();
}
