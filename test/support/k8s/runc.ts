/**
 * Containers of runc, as unprivileged as the chart asks: the image's root read-only, user 10001, a seccomp profile, no new
 * privileges, no capability, a limit of memory, in a network namespace of the pod's.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Host, TestNetwork } from '../network.ts';

/** User and group of all containers. */
export const USER = 10001;
/** The output of `scripts/make-images.sh` without Docker. */
export const IMAGE_ROOT = join(
  process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'),
  'ballast',
  'images',
  'root',
);
/** Debian's golang-github-containers-common: what Podman and, by the same list, Docker and containerd confine with. */
const SECCOMP = '/usr/share/containers/seccomp.json';

const PROBE_MS = 60_000;

/** Why no container can be started here; null where one can. */
export function whyNoContainers(): string | null {
  if (process.getuid?.() !== 0) return 'only root may';
  if (spawnSync('runc', ['--version']).status !== 0) return 'runc is not there';
  if (!existsSync(SECCOMP)) return `${SECCOMP} is not there: golang-github-containers-common`;
  if (!existsSync(IMAGE_ROOT)) return 'no image: make images';
  return whyNotStarted();
}

/** Starts a container that does nothing: a machine that is a container itself may forbid that, even to root. */
function whyNotStarted(): string | null {
  const network = TestNetwork.create(1);
  if (network === null) return 'no network can be made';
  const folder = mkdtempSync(join(tmpdir(), 'ballast-probe-'));
  const id = `probe-${process.pid}`;
  const [host] = network.hosts as [Host];
  const plan = {
    id,
    hostname: id,
    command: ['/bin/true'],
    environment: new Map(),
    mounts: [],
    memoryBytes: 2 ** 28,
  };
  writeFileSync(
    join(folder, 'config.json'),
    JSON.stringify(specOf({ ...plan, network: host.namespace, folder })),
  );
  const words = ['--root', join(folder, 'runc'), 'run', '--bundle', folder, id];
  const { status, stderr } = spawnSync('runc', words, { encoding: 'utf8', timeout: PROBE_MS });
  network.close();
  rmSync(folder, { recursive: true });
  return status === 0 ? null : `no container starts: ${stderr.trim().split('\n').at(-1)}`;
}

export interface ContainerPlan {
  /** Unique on this machine. */
  readonly id: string;
  readonly hostname: string;
  readonly command: readonly string[];
  readonly environment: ReadonlyMap<string, string>;
  readonly mounts: readonly Mount[];
  readonly memoryBytes: number;
  /** Name of the network namespace. */
  readonly network: string;
  /** Folder of bundles and of runc's own state. */
  readonly folder: string;
}

export class RuncContainer {
  output = '';
  readonly id: string;
  /** Its exit code, once it has ended. */
  readonly ended: Promise<number | null>;
  readonly #runc: readonly string[];
  readonly #child: ChildProcess;

  /** Starts it. */
  constructor(plan: ContainerPlan) {
    this.id = plan.id;
    this.#runc = ['--root', join(plan.folder, 'runc')];
    const bundle = join(plan.folder, `${plan.id}-bundle`);
    mkdirSync(bundle, { recursive: true });
    writeFileSync(join(bundle, 'config.json'), JSON.stringify(specOf(plan)));
    this.#child = spawn('runc', [...this.#runc, 'run', '--bundle', bundle, plan.id], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.ended = once(this.#child, 'close').then(([code]) => {
      rmSync(bundle, { recursive: true, force: true });
      return code as number | null;
    });
    this.#listen(this.#child);
  }

  get isOver(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** Runs a command inside; what it says is added to the output. Gives its exit code. */
  async execute(command: readonly string[]): Promise<number | null> {
    const child = spawn('runc', [...this.#runc, 'exec', this.id, ...command], { stdio: 'pipe' });
    this.#listen(child);
    const [code] = (await once(child, 'close')) as [number | null];
    return code;
  }

  /** KILL goes to all of it. */
  signal(name: 'TERM' | 'KILL'): void {
    if (!this.isOver)
      spawnSync('runc', [...this.#runc, 'kill', ...(name === 'KILL' ? ['--all'] : []), this.id, name]);
  }

  #listen(child: ChildProcess): void {
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => (this.output += text));
  }
}

/** The container as the runtime specification of the Open Container Initiative has it. */
function specOf({ id, hostname, command, environment, mounts, memoryBytes, network }: ContainerPlan): object {
  const namespaces = ['pid', 'ipc', 'uts', 'mount'].map((type) => ({ type }));
  return {
    ociVersion: '1.0.2',
    hostname,
    root: { path: IMAGE_ROOT, readonly: true },
    process: {
      user: { uid: USER, gid: USER },
      args: command,
      env: [...environment].map(([name, value]) => `${name}=${value}`),
      ...{ cwd: '/tmp', capabilities: {}, noNewPrivileges: true },
    },
    mounts: [...SYSTEM_MOUNTS, ...mounts],
    linux: {
      namespaces: [...namespaces, { type: 'network', path: `/run/netns/${network}` }],
      resources: { memory: { limit: memoryBytes } },
      cgroupsPath: `/ballast-test-${process.pid}-${id}`,
      seccomp: seccompProfile(),
      maskedPaths: ['/proc/kcore', '/proc/keys', '/proc/timer_list', '/sys/firmware'],
      readonlyPaths: ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'],
    },
  };
}

export interface Mount {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

function mount(type: string, destination: string, ...options: string[]): Mount {
  return { type, destination, source: type, options: ['nosuid', 'noexec', ...options] };
}

export function bind(source: string, destination: string, readOnly: boolean): Mount {
  return { type: 'bind', source, destination, options: ['rbind', readOnly ? 'ro' : 'rw'] };
}

const SYSTEM_MOUNTS: readonly Mount[] = [
  mount('proc', '/proc', 'nodev'),
  mount('tmpfs', '/dev', 'mode=755', 'size=65536k'),
  mount('tmpfs', '/dev/shm', 'nodev', 'mode=1777', 'size=1g'),
  mount('sysfs', '/sys', 'nodev', 'ro'),
  mount('tmpfs', '/tmp', 'nodev', 'mode=1777'),
];
/** Folders that every container has of its own, whatever the pod's volumes there are. */
export const SYSTEM_FOLDERS: readonly string[] = ['/dev/shm', '/tmp'];

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
