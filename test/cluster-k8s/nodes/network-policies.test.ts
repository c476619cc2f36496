// Rules for policies, worked out by hand from the reference of NetworkPolicy.
import { describe, expect, it } from 'vitest';
import { type PodAddress, type Policy, type PolicyState, rulesetOf } from './network-policies.ts';

const pod = (namespace: string, app: string, address: string, ports: PodAddress['ports'] = []) => ({
  ...{ namespace, labels: { app }, address, ports },
});
const API = pod('here', 'api', '10.0.0.1', [{ name: 'grpc', containerPort: 4800 }]);
const CLIENT = pod('here', 'client', '10.0.0.2');
const ELSEWHERE = pod('there', 'client', '10.0.0.3');
const OTHER_API = pod('there', 'api', '10.0.0.4', [{ name: 'grpc', containerPort: 5000 }]);

const state = (...policies: Policy['spec'][]): PolicyState => ({
  policies: policies.map((spec) => ({ metadata: { namespace: 'here' }, spec: spec! })),
  pods: [API, CLIENT, ELSEWHERE, OTHER_API],
  namespaces: new Map([
    ['here', { team: 'ours' }],
    ['there', { team: 'theirs' }],
  ]),
});
const ofApi = { podSelector: { matchLabels: { app: 'api' } } };
const clients = { podSelector: { matchLabels: { app: 'client' } } };

const chain = (name: string, rules: string) =>
  new RegExp(`chain ${name} \\{\\n([^}]*)\\}`)
    .exec(rules)?.[1]!
    .trim()
    .split('\n')
    .map((line) => line.trim());

/** The result of the chain of a pod's direction; undefined where none isolates it. */
const admitted = (of: PodAddress, direction: 'ingress' | 'egress', ...policies: Policy['spec'][]) => {
  const rules = rulesetOf([of], '10.0.0.0/24', state(...policies));
  const lines = chain(`${direction}-${of.address.replaceAll('.', '-')}`, rules);
  if (lines !== undefined) expect(lines.at(-1)).toBe('drop');
  return lines?.slice(0, -1);
};

describe('rules of network policies', () => {
  it('are none for a pod that no policy selects, or one of another namespace', () => {
    for (const direction of ['ingress', 'egress'] as const)
      for (const pod of [CLIENT, OTHER_API]) expect(admitted(pod, direction, ofApi)).toBeUndefined();
  });

  it('close a direction that a policy has without rules', () => {
    expect(admitted(API, 'ingress', ofApi)).toEqual([]); // without types, one of ingress
    expect(admitted(API, 'egress', ofApi)).toBeUndefined();
    const both = { ...ofApi, policyTypes: ['Ingress' as const, 'Egress' as const] };
    expect(admitted(API, 'egress', both)).toEqual([]);
  });

  it('leave open connections alone, drop what no known pod has, and judge the rest by its pods', () => {
    const both = { ...ofApi, policyTypes: ['Ingress' as const, 'Egress' as const] };
    expect(chain('forward', rulesetOf([API, CLIENT], '10.0.0.0/24', state(both)))).toEqual([
      'type filter hook forward priority filter; policy accept;',
      'ct state established,related accept',
      'ip saddr 10.0.0.0/24 ip saddr != 10.0.0.1 ip saddr != 10.0.0.2 drop',
      'ip daddr 10.0.0.0/24 ip daddr != 10.0.0.1 ip daddr != 10.0.0.2 drop',
      'ip daddr 10.0.0.1 jump ingress-10-0-0-1',
      'ip saddr 10.0.0.1 jump egress-10-0-0-1',
    ]);
  });

  it('admit peers of the policy’s own namespace by a name of a port', () => {
    const rule = { from: [clients], ports: [{ port: 'grpc' }] };
    expect(admitted(API, 'ingress', { ...ofApi, ingress: [rule] })).toEqual([
      'ip saddr 10.0.0.2 tcp dport 4800 return',
    ]);
  });

  it('admit the sum of what policies admit', () => {
    const there = { namespaceSelector: { matchLabels: { team: 'theirs' } }, ...clients };
    const one = { ...ofApi, ingress: [{ from: [there], ports: [{ port: 53, protocol: 'UDP' as const }] }] };
    const other = { ...ofApi, ingress: [{ from: [clients] }] };
    expect(admitted(API, 'ingress', one, other)).toEqual([
      'ip saddr 10.0.0.3 udp dport 53 return',
      'ip saddr 10.0.0.2 return',
    ]);
  });

  it('send to a named port of each peer, to a range, and to every pod of all namespaces', () => {
    const to = [{ namespaceSelector: {}, podSelector: { matchLabels: { app: 'api' } } }];
    const egress = [{ to, ports: [{ port: 'grpc' }, { port: 100, endPort: 200 }] }];
    expect(admitted(CLIENT, 'egress', { ...clients, egress })).toEqual([
      'ip daddr 10.0.0.1 tcp dport 4800 return',
      'ip daddr 10.0.0.4 tcp dport 5000 return',
      'ip daddr 10.0.0.1 tcp dport 100-200 return',
      'ip daddr 10.0.0.4 tcp dport 100-200 return',
    ]);
  });

  it('send anywhere where no peer is named, and to a block but for its exceptions', () => {
    const block = { ipBlock: { cidr: '10.0.0.0/8', except: ['10.1.0.0/16'] } };
    const egress = [{ ports: [{ port: 6443 }] }, { to: [block] }];
    expect(admitted(CLIENT, 'egress', { ...clients, egress })).toEqual([
      'tcp dport 6443 return',
      'ip daddr 10.0.0.0/8 ip daddr != 10.1.0.0/16 return',
    ]);
  });

  it('admit nobody where a rule names peers that are not there', () => {
    const nobody = { podSelector: { matchLabels: { app: 'nobody' } } };
    expect(admitted(API, 'ingress', { ...ofApi, ingress: [{ from: [nobody] }] })).toEqual([]);
  });
});
