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
  node: '10.0.0.254',
});
const ofApi = { podSelector: { matchLabels: { app: 'api' } } };
const clients = { podSelector: { matchLabels: { app: 'client' } } };

/** The lines of a chain that admit more than every chain does. */
const admitted = (of: PodAddress, hook: 'input' | 'output', ...policies: Policy['spec'][]) => {
  const [, body] = new RegExp(`chain ${hook} \\{\\n([^}]*)\\}`).exec(rulesetOf(of, state(...policies))) ?? [];
  return body
    ?.split('\n')
    .map((line) => line.trim())
    .filter((line) => /^(ip|tcp|udp|meta|accept)/.test(line));
};
const PROBES = 'ip saddr 10.0.0.254 accept';

describe('rules of network policies', () => {
  it('are none for a pod that no policy selects, or one of another namespace', () => {
    expect(rulesetOf(CLIENT, state(ofApi))).not.toContain('chain');
    expect(rulesetOf(OTHER_API, state(ofApi))).not.toContain('chain');
  });

  it('close a direction that a policy has without rules', () => {
    expect(admitted(API, 'input', ofApi)).toEqual([PROBES]); // without types, one of ingress
    expect(admitted(API, 'output', ofApi)).toBeUndefined();
    const both = { ...ofApi, policyTypes: ['Ingress' as const, 'Egress' as const] };
    expect(admitted(API, 'output', both)).toEqual([]);
    expect(rulesetOf(API, state(both))).toContain(`  chain output {
    type filter hook output priority filter; policy drop;
    ct state established,related accept
    oif lo accept
  }`);
  });

  it('admit peers of the policy’s own namespace by a name of a port', () => {
    const rule = { from: [clients], ports: [{ port: 'grpc' }] };
    expect(admitted(API, 'input', { ...ofApi, ingress: [rule] })).toEqual([
      PROBES,
      'ip saddr 10.0.0.2 tcp dport 4800 accept',
    ]);
  });

  it('admit the sum of what policies admit', () => {
    const there = { namespaceSelector: { matchLabels: { team: 'theirs' } }, ...clients };
    const one = { ...ofApi, ingress: [{ from: [there], ports: [{ port: 53, protocol: 'UDP' as const }] }] };
    const other = { ...ofApi, ingress: [{ from: [clients] }] };
    expect(admitted(API, 'input', one, other)).toEqual([
      PROBES,
      'ip saddr 10.0.0.3 udp dport 53 accept',
      'ip saddr 10.0.0.2 accept',
    ]);
  });

  it('send to a named port of each peer, to a range, and to every pod of all namespaces', () => {
    const to = [{ namespaceSelector: {}, podSelector: { matchLabels: { app: 'api' } } }];
    const egress = [{ to, ports: [{ port: 'grpc' }, { port: 100, endPort: 200 }] }];
    expect(admitted(CLIENT, 'output', { ...clients, egress })).toEqual([
      'ip daddr 10.0.0.1 tcp dport 4800 accept',
      'ip daddr 10.0.0.4 tcp dport 5000 accept',
      'ip daddr 10.0.0.1 tcp dport 100-200 accept',
      'ip daddr 10.0.0.4 tcp dport 100-200 accept',
    ]);
  });

  it('send anywhere where no peer is named, and to a block but for its exceptions', () => {
    const block = { ipBlock: { cidr: '10.0.0.0/8', except: ['10.1.0.0/16'] } };
    const egress = [{ ports: [{ port: 6443 }] }, { to: [block] }];
    expect(admitted(CLIENT, 'output', { ...clients, egress })).toEqual([
      'tcp dport 6443 accept',
      'ip daddr 10.0.0.0/8 ip daddr != 10.1.0.0/16 accept',
    ]);
  });

  it('admit nobody where a rule names peers that are not there', () => {
    const nobody = { podSelector: { matchLabels: { app: 'nobody' } } };
    expect(admitted(API, 'input', { ...ofApi, ingress: [{ from: [nobody] }] })).toEqual([PROBES]);
  });
});
