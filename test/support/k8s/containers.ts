/**
 * Pods of the chart as containers of runc: the image's root read-only, user 10001, a seccomp profile, no new privileges, no
 * capability, the manifest's limit of memory, in a network namespace of its own. What a kubelet would do is done here:
 * environment, volumes, /etc/hosts in place of the cluster's DNS, hooks.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { IContainer } from 'kubernetes-models/v1/Container';
import type { Host } from '../network.ts';
import type { Secrets } from './certificates.ts';
import { configMapData, environmentOf } from './environment.ts';
import { fieldValue, imageOf, inUnits } from './local-pod.ts';
import { grpcHealth } from './local-process.ts';
import type { KubeObject, Workload } from './objects.ts';

const USER = 10001;
const HEALTH_PORT = 4701;
/** The output of `scripts/make-images.sh` without Docker. */
export const IMAGE_ROOT = join(
  process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'),
  'ballast',
  'images',
  'root',
);
/** Debian's golang-github-containers-common: what Podman and, by the same list, Docker and containerd confine with. */
const SECCOMP = '/usr/share/containers/seccomp.json';

/** Why no container can be started here; null where one can. */
export function whyNoContainers(): string | null {
  if (process.getuid?.() !== 0) return 'only root may';
  if (spawnSync('runc', ['--version']).status !== 0) return 'runc is not there';
  if (!existsSync(SECCOMP)) return `${SECCOMP} is not there: golang-github-containers-common`;
  return existsSync(IMAGE_ROOT) ? null : 'no image: make images';
}

export interface Cluster {
  readonly objects: readonly KubeObject[];
  readonly secrets: Secrets;
  /** Of the containers' folders. */
  readonly folder: string;
  /** Addresses by the name of a service. */
  readonly services: Readonly<Record<string, string>>;
}

export class PodContainer {
  output = '';
  readonly id: string;
  readonly host: Host;
  readonly workload: Workload;
  readonly #runc: readonly string[];
  readonly #child: ChildProcess;
  readonly #ended: Promise<number | null>;

  /** Starts a workload's first container on a host. `id` names it and its folders: the same one finds its volumes again. */
  constructor(id: string, workload: Workload, host: Host, cluster: Cluster) {
    this.id = id;
    this.host = host;
    this.workload = workload;
    this.#runc = ['--root', join(cluster.folder, 'runc')];
    const bundle = join(cluster.folder, `${id}-bundle`);
    mkdirSync(bundle, { recursive: true });
    writeFileSync(join(bundle, 'config.json'), JSON.stringify(specOf(id, workload, host, cluster)));
    this.#child = spawn('runc', [...this.#runc, 'run', '--bundle', bundle, id], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#ended = once(this.#child, 'close').then(([code]) => code as number | null);
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => (this.output += text));
  }

  get isOver(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
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
    return this.#ended;
  }

  /** SIGKILL to all of it. */
  async kill(): Promise<void> {
    this.#signal('KILL');
    await this.#ended;
  }

  /** Ends it as the kubelet does: the hook, then SIGTERM. Gives the hook's exit code and its own. */
  async end(): Promise<{ hook: number | null; code: number | null }> {
    const { preStop } = this.workload.spec.containers[0]?.lifecycle ?? {};
    const hook = spawn('runc', [...this.#runc, 'exec', this.id, ...(preStop?.exec?.command ?? [])], {
      stdio: 'pipe',
    });
    for (const stream of [hook.stdout, hook.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => (this.output += text));
    const [code] = (await once(hook, 'close')) as [number | null];
    this.#signal('TERM');
    return { hook: code, code: await this.#ended };
  }

  /** A line of /proc/1/status of the container. */
  status(name: string): string {
    const text = execFileSync('runc', [...this.#runc, 'exec', this.id, 'cat', '/proc/1/status'], {
      encoding: 'utf8',
    });
    return new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(text)?.[1] ?? '';
  }

  #signal(name: 'TERM' | 'KILL'): void {
    if (!this.isOver)
      spawnSync('runc', [...this.#runc, 'kill', ...(name === 'KILL' ? ['--all'] : []), this.id, name]);
  }
}

/** The container as the runtime specification of the Open Container Initiative has it. */
function specOf(id: string, workload: Workload, host: Host, cluster: Cluster): object {
  const [container] = workload.spec.containers as [IContainer];
  const environment = filledEnvironment(container, id, host, cluster);
  const expand = (text: string) =>
    text.replace(/\$\(([A-Za-z0-9_]+)\)/g, (whole, name: string) => environment.get(name) ?? whole);
  const command = [...(container.command ?? imageOf(container).entrypoint), ...(container.args ?? [])];
  const namespaces = ['pid', 'ipc', 'uts', 'mount'].map((type) => ({ type }));
  return {
    ociVersion: '1.0.2',
    hostname: id,
    root: { path: IMAGE_ROOT, readonly: true },
    process: {
      user: { uid: USER, gid: USER },
      args: command.map(expand),
      env: [...environment].map(([name, value]) => `${name}=${value}`),
      ...{ cwd: '/tmp', capabilities: {}, noNewPrivileges: true },
    },
    mounts: [...SYSTEM_MOUNTS, ...mountsOf(container, workload, id, cluster)],
    linux: {
      namespaces: [...namespaces, { type: 'network', path: `/run/netns/${host.namespace}` }],
      resources: { memory: { limit: inUnits(container.resources?.limits?.memory ?? '') } },
      cgroupsPath: `/ballast-test-${process.pid}-${id}`,
      seccomp: seccompProfile(),
      maskedPaths: ['/proc/kcore', '/proc/keys', '/proc/timer_list', '/sys/firmware'],
      readonlyPaths: ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'],
    },
  };
}

interface Mount {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

function mount(type: string, destination: string, ...options: string[]): Mount {
  return { type, destination, source: type, options: ['nosuid', 'noexec', ...options] };
}

const SYSTEM_MOUNTS: readonly Mount[] = [
  mount('proc', '/proc', 'nodev'),
  mount('tmpfs', '/dev', 'mode=755', 'size=65536k'),
  mount('tmpfs', '/dev/shm', 'nodev', 'mode=1777', 'size=1g'),
  mount('sysfs', '/sys', 'nodev', 'ro'),
  mount('tmpfs', '/tmp', 'nodev', 'mode=1777'),
];

interface SeccompRule {
  readonly names: readonly string[];
  readonly action: string;
  readonly args?: readonly object[] | null;
  readonly errnoRet?: number;
  readonly includes?: { readonly caps?: readonly string[]; readonly arches?: readonly string[] };
  readonly excludes?: { readonly caps?: readonly string[]; readonly arches?: readonly string[] };
}

/** The profile for a process without capabilities on this processor, as runc takes it. */
function seccompProfile(): object {
  const { defaultAction, defaultErrnoRet, syscalls } = JSON.parse(readFileSync(SECCOMP, 'utf8')) as {
    readonly defaultAction: string;
    readonly defaultErrnoRet?: number;
    readonly syscalls: readonly SeccompRule[];
  };
  const arch = process.arch === 'x64' ? 'amd64' : process.arch;
  const applies = ({ includes = {}, excludes = {} }: SeccompRule) =>
    (includes.caps ?? []).length === 0 &&
    ((includes.arches ?? []).length === 0 || includes.arches!.includes(arch)) &&
    !(excludes.arches ?? []).includes(arch);
  const rules = syscalls.filter(applies).map(({ names, action, args, errnoRet }) => ({
    ...{ names, action },
    ...(args == null ? {} : { args }),
    ...(errnoRet === undefined ? {} : { errnoRet }),
  }));
  const architectures = [process.arch === 'x64' ? 'SCMP_ARCH_X86_64' : 'SCMP_ARCH_AARCH64'];
  return {
    defaultAction,
    ...(defaultErrnoRet === undefined ? {} : { defaultErrnoRet }),
    architectures,
    syscalls: rules,
  };
}

function filledEnvironment(
  container: IContainer,
  id: string,
  host: Host,
  { objects, secrets }: Cluster,
): Map<string, string> {
  const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
  const filled = new Map([['PATH', path], ...Object.entries(imageOf(container).environment)]);
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
    if (['/dev/shm', '/tmp'].includes(mountPath)) continue; // among the system's
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

function bind(source: string, destination: string, readOnly: boolean): Mount {
  return { type: 'bind', source, destination, options: ['rbind', readOnly ? 'ro' : 'rw'] };
}

/** This machine's NATS server, in place of its image: it needs nothing but the C library. */
function natsServer(): string {
  return execFileSync('sh', ['-c', 'command -v nats-server'], { encoding: 'utf8' }).trim();
}
