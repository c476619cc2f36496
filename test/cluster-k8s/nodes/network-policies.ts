/**
 * Network policies as rules of nftables on a node, which forwards all that its pods send and receive: it drops what no policy that
 * selects a pod admits. Packets of the node itself, such as a kubelet's probes, always pass. Source: the reference of
 * NetworkPolicy, networking.k8s.io/v1. Addresses are of version 4.
 */
import type { V1Pod } from '@kubernetes/client-node';
import type { INetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1/NetworkPolicy';
import type { INetworkPolicyPeer } from 'kubernetes-models/networking.k8s.io/v1/NetworkPolicyPeer';
import type { INetworkPolicyPort } from 'kubernetes-models/networking.k8s.io/v1/NetworkPolicyPort';
import { selects } from '../../support/k8s/objects.ts';

type Labels = Readonly<Record<string, string>>;

export interface PodAddress {
  readonly namespace: string;
  readonly labels: Labels;
  readonly address: string;
  readonly ports: readonly PodPort[];
}

interface PodPort {
  readonly name?: string;
  readonly containerPort: number;
  readonly protocol?: string;
}

/** As the API server's JSON has it; the types of Kubernetes's own client rename `from`. */
export interface Policy {
  readonly metadata?: { readonly namespace?: string };
  readonly spec?: INetworkPolicy['spec'];
}

export interface PolicyState {
  readonly policies: readonly Policy[];
  /** Of the cluster, each with an address. */
  readonly pods: readonly PodAddress[];
  /** Labels by the name of a namespace. */
  readonly namespaces: ReadonlyMap<string, Labels>;
}

/** Of a pod that has an address; null for another. */
export function podAddress({ metadata, spec }: V1Pod, address: string | undefined): PodAddress | null {
  if (address === undefined) return null;
  const ports = (spec?.containers ?? []).flatMap((container) => container.ports ?? []);
  return { namespace: metadata!.namespace!, labels: metadata!.labels ?? {}, address, ports };
}

const TABLE = 'ballast-policies';

/**
 * Commands for `nft -f` that put rules for the pods of a node in the place of former ones. `range` has all addresses that the node
 * may give: one that no known pod has gets and sends nothing, so no pod is open before its policies are known.
 */
export function rulesetOf(pods: readonly PodAddress[], range: string, state: PolicyState): string {
  const chains = pods.flatMap((pod) => chainsOf(pod, state));
  const unknown = (word: string) =>
    [`${word} ${range}`, ...pods.map(({ address }) => `${word} != ${address}`), 'drop'].join(' ');
  const forward = [
    'type filter hook forward priority filter; policy accept;',
    'ct state established,related accept',
    ...[unknown('ip saddr'), unknown('ip daddr')],
    ...chains.map(({ name, match }) => `${match} jump ${name}`),
  ];
  const all = [...chains, { name: 'forward', lines: forward }];
  const texts = all.map(
    ({ name, lines }) => `  chain ${name} {\n${lines.map((line) => `    ${line}\n`).join('')}  }\n`,
  );
  return `table inet ${TABLE} {}\ndelete table inet ${TABLE}\ntable inet ${TABLE} {\n${texts.join('')}}\n`;
}

interface Chain {
  readonly name: string;
  /** Of the packets that it judges: it returns those that are admitted. */
  readonly match: string;
  readonly lines: readonly string[];
}

/** Of the directions in which policies isolate the pod. */
function chainsOf(pod: PodAddress, state: PolicyState): Chain[] {
  const own = state.policies.filter(
    ({ metadata, spec }) => metadata?.namespace === pod.namespace && selects(spec?.podSelector, pod.labels),
  );
  return (['Ingress', 'Egress'] as const).flatMap((direction) => {
    const isolating = own.filter((policy) => typesOf(policy).includes(direction));
    if (isolating.length === 0) return [];
    const word = direction === 'Ingress' ? 'ip daddr' : 'ip saddr';
    return [
      {
        name: `${direction.toLowerCase()}-${pod.address.replaceAll('.', '-')}`,
        match: `${word} ${pod.address}`,
        lines: [...new Set(admittedBy(direction, isolating, pod, state)), 'drop'],
      },
    ];
  });
}

/** Without types, a policy is one of ingress, and of egress where it has such rules. */
function typesOf({ spec }: Policy): readonly string[] {
  return spec?.policyTypes ?? ['Ingress', ...(spec?.egress ? ['Egress'] : [])];
}

type Direction = 'Ingress' | 'Egress';

interface Rule {
  readonly peers: readonly INetworkPolicyPeer[];
  readonly ports: readonly INetworkPolicyPort[];
}

function admittedBy(
  direction: Direction,
  policies: readonly Policy[],
  pod: PodAddress,
  state: PolicyState,
): string[] {
  return policies.flatMap(({ metadata, spec }) => {
    const rules: readonly Rule[] =
      direction === 'Ingress'
        ? (spec?.ingress ?? []).map(({ from = [], ports = [] }) => ({ peers: from, ports }))
        : (spec?.egress ?? []).map(({ to = [], ports = [] }) => ({ peers: to, ports }));
    return rules.flatMap((rule) => linesOf(direction, rule, metadata!.namespace!, pod, state));
  });
}

function linesOf(
  direction: Direction,
  { peers, ports }: Rule,
  namespace: string,
  pod: PodAddress,
  state: PolicyState,
): string[] {
  const word = direction === 'Ingress' ? 'ip saddr' : 'ip daddr';
  const pods = state.pods.filter((other) =>
    peers.some((peer) => peer.ipBlock === undefined && isPeer(other, peer, namespace, state)),
  );
  const blocks = peers.flatMap(({ ipBlock }) => {
    if (ipBlock === undefined) return [];
    const { cidr, except = [] } = ipBlock;
    return [`${word} ${cidr} ${except.map((one) => `${word} != ${one} `).join('')}`];
  });
  const places = [
    ...(peers.length === 0 ? [''] : blocks),
    ...pods.map(({ address }) => `${word} ${address} `),
  ];
  if (ports.length === 0) return places.map((place) => `${place}return`);
  return ports.flatMap((port) =>
    typeof port.port === 'string'
      ? namedLines(direction, port, { word, places, pods }, pod)
      : places.map((place) => `${place}${numberOf(port)} return`),
  );
}

/** A name is one of the receiving pod's ports. It leads nowhere where the receiver is no pod. */
function namedLines(
  direction: Direction,
  port: INetworkPolicyPort,
  { word, places, pods }: { word: string; places: readonly string[]; pods: readonly PodAddress[] },
  pod: PodAddress,
): string[] {
  const numbersOf = ({ ports }: PodAddress) =>
    ports
      .filter(({ name, protocol = 'TCP' }) => name === port.port && protocol === (port.protocol ?? 'TCP'))
      .map(({ containerPort }) => numberOf({ ...port, port: containerPort }));
  if (direction === 'Ingress')
    return numbersOf(pod).flatMap((number) => places.map((place) => `${place}${number} return`));
  return pods.flatMap((other) =>
    numbersOf(other).map((number) => `${word} ${other.address} ${number} return`),
  );
}

function numberOf({ port, endPort, protocol = 'TCP' }: INetworkPolicyPort): string {
  const transport = protocol.toLowerCase();
  if (port === undefined) return `meta l4proto ${transport}`;
  return `${transport} dport ${port}${endPort === undefined ? '' : `-${endPort}`}`;
}

function isPeer(
  { namespace, labels }: PodAddress,
  { namespaceSelector, podSelector }: INetworkPolicyPeer,
  own: string,
  { namespaces }: PolicyState,
): boolean {
  const isThere =
    namespaceSelector === undefined
      ? namespace === own
      : selects(namespaceSelector, namespaces.get(namespace) ?? {});
  return isThere && (podSelector === undefined || selects(podSelector, labels));
}
