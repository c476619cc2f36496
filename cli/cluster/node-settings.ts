/** The settings of `ballast node`, checked once: each mistake is one line that names the flag. */
import { tmpdir, type NetworkInterfaceInfo } from 'node:os';
import { join, resolve } from 'node:path';
import type { Labels, Resources } from '../../actors/status/status.ts';
import { UserError } from '../../common/errors.ts';
import { isAddress } from './node-address.ts';
import { parsePort } from '../base/with-run-services.ts';

/** The flags as commander gives them. */
export interface NodeFlags {
  readonly join?: string;
  readonly nodeId?: string;
  readonly cluster: string;
  readonly labels?: string;
  readonly resources?: string;
  readonly host: string;
  readonly port?: string;
  readonly advertise?: string;
  readonly metricsPort?: string;
  readonly healthPort?: string;
  readonly dir?: string;
  readonly entryRoot: readonly string[];
  readonly grace: string;
  readonly lease: string;
}

/** Where the cluster's registry is. */
export type JoinTarget =
  | { readonly kind: 'none' }
  | { readonly kind: 'nats'; readonly url: string }
  | { readonly kind: 'grpc'; readonly address: string };

export interface NodeSettings {
  readonly join: JoinTarget;
  readonly nodeId: string;
  /** Name of the cluster on NATS. */
  readonly cluster: string;
  readonly labels: Labels;
  readonly resources: Resources;
  readonly host: string;
  /** 0 for a free one. */
  readonly port: number;
  readonly advertisedHost: string;
  /** Null for none. */
  readonly metricsPort: number | null;
  /** Null for none. */
  readonly healthPort: number | null;
  readonly dir: string;
  readonly entryRoots: readonly string[];
  readonly graceMs: number;
  readonly leaseMs: number;
}

export type Interfaces = Readonly<Record<string, readonly NetworkInterfaceInfo[] | undefined>>;

const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/;
const LABEL = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/;
const WILDCARDS = new Set(['0.0.0.0', '::', '[::]']);
const MIN_LEASE_SECONDS = 0.5;
const MAX_LEASE_SECONDS = 3600;
const MAX_GRACE_SECONDS = 86_400;

/** @throws UserError naming the flag that cannot work. */
export function parseNodeSettings(flags: NodeFlags, cwd: string, interfaces: Interfaces): NodeSettings {
  const nodeId = parseName('--node-id', flags.nodeId ?? `node-${crypto.randomUUID().slice(0, 8)}`);
  return {
    nodeId,
    join: parseJoin(flags.join),
    cluster: parseName('--cluster', flags.cluster),
    labels: parseLabels(flags.labels),
    resources: parseResources(flags.resources),
    host: flags.host,
    port: parsePort(flags.port, '--port') ?? 0,
    advertisedHost: advertisedHost(flags.host, flags.advertise, interfaces),
    metricsPort: parsePort(flags.metricsPort),
    healthPort: parsePort(flags.healthPort, '--health-port'),
    dir: flags.dir === undefined ? join(tmpdir(), 'ballast-nodes', nodeId) : resolve(cwd, flags.dir),
    entryRoots: flags.entryRoot.map((root) => resolve(cwd, root)),
    graceMs: parseSeconds('--grace', flags.grace, 0, MAX_GRACE_SECONDS),
    leaseMs: parseSeconds('--lease', flags.lease, MIN_LEASE_SECONDS, MAX_LEASE_SECONDS),
  };
}

export function parseJoin(text: string | undefined): JoinTarget {
  if (text === undefined) return { kind: 'none' };
  if (/^(nats|tls):\/\//.test(text)) return { kind: 'nats', url: text };
  const address = text.replace(/^grpc:\/\//, '');
  if (text.startsWith('grpc://') && isAddress(address)) return { kind: 'grpc', address };
  throw new UserError(`--join ${text}: it must be nats://HOST:PORT, or grpc://HOST:PORT of another node`);
}

/** `zone=a,disk=ssd`. */
export function parseLabels(text = '', flag = '--labels'): Labels {
  const labels: Record<string, string> = {};
  for (const [key, value] of pairs(flag, text)) {
    if (!LABEL.test(key) || !LABEL.test(value)) {
      throw new UserError(
        `${flag} ${key}=${value}: name and value must be 1 to 63 letters, digits, '-', '_' or '.'`,
      );
    }
    labels[key] = value;
  }
  return labels;
}

/** `cpu=4,gpu=1,custom=2`: what the node has beside, or instead of, what it sees. */
export function parseResources(text = '', flag = '--resources'): Resources {
  const resources: Record<string, number> = {};
  for (const [name, value] of pairs(flag, text)) {
    const amount = value === '' ? NaN : Number(value);
    if (!Number.isFinite(amount) || amount < 0) {
      throw new UserError(`${flag} ${name}=${value}: the amount must be a number, 0 or more`);
    }
    if (name === 'gpu' && !Number.isInteger(amount)) {
      throw new UserError(`${flag} gpu=${value}: a node has whole cards`);
    }
    resources[name] = amount;
  }
  return resources;
}

/** Where others reach a node: a node that listens everywhere tells the first address of the machine. */
export function advertisedHost(host: string, advertise: string | undefined, interfaces: Interfaces): string {
  if (advertise !== undefined) return advertise;
  if (!WILDCARDS.has(host)) return host;
  const addresses = Object.values(interfaces).flatMap((list) => list ?? []);
  const outer = addresses.find(({ internal, family }) => !internal && family === 'IPv4');
  if (outer !== undefined) return outer.address;
  throw new UserError(`--host ${host}: add --advertise HOST, the address where other nodes reach this one`);
}

/** Seconds as milliseconds. */
export function parseSeconds(flag: string, text: string, least: number, most: number): number {
  const seconds = text === '' ? NaN : Number(text);
  if (!(seconds >= least && seconds <= most)) {
    throw new UserError(`${flag} ${text}: it must be a number of seconds from ${least} to ${most}`);
  }
  return Math.round(seconds * 1000);
}

function parseName(flag: string, text: string): string {
  if (NAME.test(text)) return text;
  throw new UserError(`${flag} ${text}: use 1 to 63 letters, digits, '-' and '_'`);
}

function pairs(flag: string, text: string): [string, string][] {
  const parts = text === '' ? [] : text.split(',').map((part) => part.trim());
  const seen = new Set<string>();
  return parts.map((part) => {
    const [, key, value] = /^([^=]+)=(.*)$/.exec(part) ?? [];
    if (key === undefined || value === undefined) {
      throw new UserError(`${flag} '${part}': write NAME=VALUE, several with commas`);
    }
    if (seen.has(key)) throw new UserError(`${flag}: ${key} is given twice`);
    seen.add(key);
    return [key, value];
  });
}
