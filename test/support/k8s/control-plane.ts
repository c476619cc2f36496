/**
 * A control plane as processes of this machine, which test/cluster-k8s/build.sh builds: etcd and kube-apiserver, and for nodes
 * (test/cluster-k8s/nodes) the controllers and the scheduler.
 */
import { type ChildProcess, execFile, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { packageRoot } from '../../../common/package-root.ts';
import { keepPort } from '../ports.ts';
import { issueCertificate } from './certificates.ts';
import { HELM_PATH } from './objects.ts';

/** The folder of build.sh. */
export const SERVERS =
  process.env['BALLAST_CONTROL_PLANE'] ??
  join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'ballast', 'control-plane');

const CONTROLLERS = ['kube-controller-manager', 'kube-scheduler'] as const;

/** Why there is no API server here; null if there is one. */
export function whyNoApiServer(): string | null {
  return whyNot(['etcd', 'kube-apiserver']);
}

/** Why there is no whole control plane here; null if there is one. */
export function whyNoControlPlane(): string | null {
  return whyNot(['etcd', 'kube-apiserver', ...CONTROLLERS]);
}

/** Why one of these programs of build.sh, or kubectl, is not here; null if they are. */
export function whyNot(servers: readonly string[]): string | null {
  for (const server of servers)
    if (!existsSync(join(SERVERS, server))) return `${server} is not built: test/cluster-k8s/build.sh`;
  if (spawnSync('kubectl', ['version', '--client']).status !== 0) return 'kubectl is not there';
  return null;
}

const MAX_OUTPUT = 64 * 2 ** 20;

interface Done {
  readonly status: number;
  readonly output: string;
  readonly errors: string;
}

/** A cluster, by a file that says how to reach it, or several, as KUBECONFIG names them. */
export class Cluster {
  readonly kubeconfig: string;

  constructor(kubeconfig: string) {
    this.kubeconfig = kubeconfig;
  }

  kubectl(args: readonly string[], input = ''): Done {
    return execute('kubectl', args, { env: this.#environment, input });
  }

  /** Does not block, so watches of the same process go on. @throws Error with what kubectl says. */
  async run(...args: readonly string[]): Promise<string> {
    const options = { env: this.#environment, maxBuffer: MAX_OUTPUT };
    return (await promisify(execFile)('kubectl', args, options)).stdout;
  }

  /** The same of helm. */
  async runHelm(...args: readonly string[]): Promise<string> {
    const options = { env: this.#environment, cwd: packageRoot() };
    return (await promisify(execFile)('helm', args, options)).stdout;
  }

  /** Does not block: connections of the test stay alive meanwhile. @throws Error with what kubectl says. */
  async wait(what: string, condition: string, ...flags: readonly string[]): Promise<void> {
    const args = ['wait', what, `--for=${condition}`, '--timeout=280s', ...flags];
    await promisify(execFile)('kubectl', args, { env: this.#environment });
  }

  helm(...args: readonly string[]): Done {
    return execute('helm', args, { env: this.#environment });
  }

  get #environment(): NodeJS.ProcessEnv {
    return { ...process.env, PATH: HELM_PATH, KUBECONFIG: this.kubeconfig };
  }

  /** Applies objects strictly. @throws Error with what kubectl says. */
  apply(objects: string | object, ...flags: readonly string[]): void {
    const text = typeof objects === 'string' ? objects : JSON.stringify(objects);
    const { status, errors } = this.kubectl(['apply', '--validate=strict', ...flags, '-f', '-'], text);
    if (status !== 0) throw new Error(errors);
  }

  /** @throws Error with what kubectl says. */
  get<Value>(...args: readonly string[]): Value {
    const { status, output, errors } = this.kubectl(['get', '-o', 'json', ...args]);
    if (status !== 0) throw new Error(errors);
    return JSON.parse(output) as Value;
  }
}

function execute(
  command: string,
  args: readonly string[],
  { env, input = '' }: { readonly env: NodeJS.ProcessEnv; readonly input?: string },
): Done {
  const { status, stdout, stderr } = spawnSync(command, args, {
    ...{ encoding: 'utf8', input, maxBuffer: MAX_OUTPUT, cwd: packageRoot(), env },
  });
  return { status: status ?? -1, output: stdout, errors: stderr };
}

export interface ApiServer {
  /** As an administrator. */
  readonly cluster: Cluster;
  /** A file by which a service account reaches it, with just its rights. */
  readonly configOf: (namespace: string, account: string) => string;
  /** The same for a user of the control plane itself: `system:kube-proxy`, or a node's (`userOfNode`). */
  readonly configAs: (user: string) => string;
  /** A file with the certificate that signed the API server's, by which it is known to kubelets. */
  readonly kubeletAuthority: string;
  readonly address: { readonly host: string; readonly port: number };
  readonly stop: () => Promise<void>;
}

export interface ControlPlaneOptions {
  /** An address of this machine; loopback by default, which pods cannot reach. */
  readonly host?: string;
  /** Names of the nodes that will join; with some, controllers and a scheduler run too. */
  readonly nodes?: readonly string[];
}

/** The name by which a kubelet is known. */
export function userOfNode(node: string): string {
  return `system:node:${node}`;
}

/** Resolves when it serves. */
export async function startApiServer(
  folder: string,
  { host = '127.0.0.1', nodes = [] }: ControlPlaneOptions = {},
): Promise<ApiServer> {
  const path = (name: string) => join(folder, name);
  mkdirSync(folder, { recursive: true });
  const [clients, peers, secure] = [await keepPort(), await keepPort(), await keepPort()];
  const etcdUrl = `http://127.0.0.1:${clients}`;
  const etcd = launch('etcd', [
    ...['--data-dir', path('etcd'), '--listen-client-urls', etcdUrl, '--advertise-client-urls', etcdUrl],
    ...['--listen-peer-urls', `http://127.0.0.1:${peers}`, '--unsafe-no-fsync', '--log-level', 'error'],
  ]);
  const tokens = writeTokens(path('tokens.csv'), {
    ...{ admin: 'system:masters', 'system:kube-proxy': '' },
    ...Object.fromEntries(nodes.map((node) => [userOfNode(node), 'system:nodes'])),
  });
  const kubelet = issueCertificate(path('kubelet'), 'kube-apiserver');
  execFileSync('openssl', ['genrsa', '-out', path('accounts.key'), '2048'], { stdio: 'ignore' });
  const keys = ['--service-account-key-file', '--service-account-signing-key-file'];
  const server = launch('kube-apiserver', [
    ...['--etcd-servers', etcdUrl, '--secure-port', String(secure), '--bind-address', host],
    ...['--cert-dir', path('certificates'), '--token-auth-file', path('tokens.csv')],
    ...['--authorization-mode', 'Node,RBAC', '--enable-admission-plugins', 'NodeRestriction'],
    ...['--service-cluster-ip-range', '10.96.0.0/16', '--kubelet-preferred-address-types', 'InternalIP'],
    ...['--kubelet-client-certificate', kubelet.certificate, '--kubelet-client-key', kubelet.key],
    ...['--service-account-issuer', 'https://kubernetes.default.svc'],
    ...keys.flatMap((flag) => [flag, path('accounts.key')]),
    ...(nodes.length > 0 ? aggregationFlags(path) : []),
  ]);
  // The certificate that it made for itself is its own authority.
  const authority = path('certificates/apiserver.crt');
  const where = { server: `https://${host}:${secure}`, 'certificate-authority': authority };
  const configAs = (user: string) =>
    writeConfig(path(`${user.replaceAll(':', '-')}.kubeconfig`), where, tokens.get(user)!);
  const cluster = new Cluster(configAs('admin'));
  while (cluster.kubectl(['get', '--raw', '/readyz']).status !== 0) {
    for (const { child, log } of [etcd, server])
      if (child.exitCode !== null) throw new Error(`it ended:\n${log.join('')}`);
    await delay(500);
  }
  const controllers = nodes.length > 0 ? startControllers(cluster.kubeconfig, path) : [];
  return {
    cluster,
    address: { host, port: secure },
    configOf: (namespace, account) =>
      writeConfig(path(`${account}.kubeconfig`), where, tokenOf(cluster, namespace, account)),
    ...{ configAs, kubeletAuthority: kubelet.authority },
    stop: () => stopAll([...controllers, server.child, etcd.child]),
  };
}

/** Makes a token for each user, which has one group or none. */
function writeTokens(file: string, users: Readonly<Record<string, string>>): Map<string, string> {
  const tokens = new Map(Object.keys(users).map((user) => [user, crypto.randomUUID()]));
  const lines = Object.entries(users).map(
    ([user, group]) => `${tokens.get(user)!},${user},${user}${group === '' ? '' : `,${group}`}\n`,
  );
  writeFileSync(file, lines.join(''), { mode: 0o600 });
  return tokens;
}

/** By them it passes requests on to servers of more APIs, such as one of metrics, and shows those servers who asks. */
function aggregationFlags(path: (name: string) => string): string[] {
  const proxy = 'front-proxy';
  const { authority, certificate, key } = issueCertificate(path(proxy), proxy);
  return [
    ...['--requestheader-client-ca-file', authority, '--requestheader-allowed-names', proxy],
    ...['--requestheader-username-headers', 'X-Remote-User'],
    ...['--requestheader-group-headers', 'X-Remote-Group'],
    ...['--requestheader-extra-headers-prefix', 'X-Remote-Extra-'],
    ...['--proxy-client-cert-file', certificate, '--proxy-client-key-file', key],
    '--enable-aggregator-routing', // to addresses of pods: nothing here routes those of Services
  ];
}

/** A short-lived token of a service account. @throws Error with what kubectl says. */
function tokenOf(cluster: Cluster, namespace: string, account: string): string {
  const { status, output, errors } = cluster.kubectl(['-n', namespace, 'create', 'token', account]);
  if (status !== 0) throw new Error(errors);
  return output.trim();
}

/** A file by which the bearer of a token reaches a cluster. */
function writeConfig(file: string, cluster: object, token: string): string {
  const config = {
    ...{ apiVersion: 'v1', kind: 'Config', 'current-context': 'test' },
    clusters: [{ name: 'test', cluster }],
    users: [{ name: 'user', user: { token } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'user' } }],
  };
  writeFileSync(file, JSON.stringify(config), { mode: 0o600 });
  return file;
}

/** One of each, so none is elected; they serve nothing. */
function startControllers(kubeconfig: string, path: (name: string) => string): ChildProcess[] {
  const [manager, scheduler] = CONTROLLERS;
  const common = ['--kubeconfig', kubeconfig, '--leader-elect=false', '--secure-port', '0'];
  const keys = [
    ...['--service-account-private-key-file', path('accounts.key')],
    ...['--root-ca-file', path('certificates/apiserver.crt')],
    // A node that is late on a busy machine is not lost.
    ...['--node-monitor-grace-period', '10m'],
  ];
  return [launch(manager, [...common, ...keys]), launch(scheduler, common)].map(({ child }) => child);
}

export interface Launched {
  readonly child: ChildProcess;
  /** The last of what it says. */
  readonly log: readonly string[];
}

/** Flags of `setpriv`: the program ends with the process that starts it, too, even if nobody stops it. */
export const WITH_PARENT = ['--pdeathsig', 'KILL'] as const;

/** Starts a program of build.sh, by a command that begins with the words `enter`. */
export function launch(name: string, args: readonly string[], enter: readonly string[] = []): Launched {
  const child = spawn('setpriv', [...WITH_PARENT, ...enter, join(SERVERS, name), ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const log: string[] = [];
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    log.push(text);
    if (log.length > 200) log.shift();
  });
  return { child, log };
}

/** Ends them, one after the other. */
export async function stopAll(children: readonly ChildProcess[]): Promise<void> {
  for (const child of children) {
    if (child.exitCode !== null) continue;
    const exited = once(child, 'exit');
    child.kill('SIGTERM');
    await exited;
  }
}
