import type { NetworkInterfaceInfo } from 'node:os';
import { describe, expect, it } from 'vitest';
import {
  advertisedHost,
  parseJoin,
  parseLabels,
  parseNodeSettings,
  parseResources,
  parseSeconds,
} from './node-settings.ts';
import type { NodeFlags } from './node-settings.ts';

const DEFAULTS: NodeFlags = {
  cluster: 'default',
  host: '127.0.0.1',
  entryRoot: [],
  grace: '30',
  lease: '10',
};

function address(text: string, internal: boolean): NetworkInterfaceInfo {
  return { address: text, netmask: '', mac: '', cidr: null, family: 'IPv4', internal };
}

const INTERFACES = { lo: [address('127.0.0.1', true)], eth0: [address('10.0.0.7', false)] };

describe('parseNodeSettings', () => {
  it('fills in what is not given', () => {
    expect(parseNodeSettings({ ...DEFAULTS, nodeId: 'a', dir: 'nodes/a' }, '/srv', {})).toEqual({
      nodeId: 'a',
      join: { kind: 'none' },
      cluster: 'default',
      labels: {},
      resources: {},
      host: '127.0.0.1',
      port: 0,
      advertisedHost: '127.0.0.1',
      metricsPort: null,
      healthPort: null,
      dir: '/srv/nodes/a',
      entryRoots: [],
      graceMs: 30_000,
      leaseMs: 10_000,
    });
  });

  it('makes an id where none is given', () => {
    expect(parseNodeSettings(DEFAULTS, '/', {}).nodeId).toMatch(/^node-[0-9a-f]{8}$/);
  });

  it.each([
    [{ nodeId: 'a/b' }, "--node-id a/b: use 1 to 63 letters, digits, '-' and '_'"],
    [{ port: '70000' }, '--port 70000: it must be a whole number from 0 (any free port) to 65535'],
    [{ port: '' }, '--port : it must be'],
    [{ healthPort: 'x' }, '--health-port x: it must be a whole number'],
    [{ grace: '-1' }, '--grace -1: it must be a number of seconds from 0 to 86400'],
    [{ lease: '0.1' }, '--lease 0.1: it must be a number of seconds from 0.5 to 3600'],
  ])('refuses %j', (flags, message) => {
    expect(() => parseNodeSettings({ ...DEFAULTS, ...flags }, '/', {})).toThrow(message);
  });
});

describe('parseJoin', () => {
  it('knows both kinds', () => {
    expect(parseJoin('grpc://10.0.0.1:4700')).toEqual({ kind: 'grpc', address: '10.0.0.1:4700' });
    expect(parseJoin('grpc://[::1]:4700')).toEqual({ kind: 'grpc', address: '[::1]:4700' });
    expect(parseJoin('nats://nats:4222')).toEqual({ kind: 'nats', url: 'nats://nats:4222' });
  });

  it.each(['10.0.0.1:4700', 'grpc://10.0.0.1', 'grpc://a:0', 'grpc://a:99999', 'http://a:1', ''])(
    "refuses '%s'",
    (text) => expect(() => parseJoin(text)).toThrow(`--join ${text}: it must be nats://HOST:PORT`),
  );
});

describe('parseLabels', () => {
  it('reads pairs', () => {
    expect(parseLabels('zone=a-1, gpu=a100')).toEqual({ zone: 'a-1', gpu: 'a100' });
  });

  it.each([
    ['zone', "--labels 'zone': write NAME=VALUE, several with commas"],
    ['zone=', '--labels zone=: name and value must be'],
    ['zo ne=a', '--labels zo ne=a: name and value must be'],
    ['a=1,a=2', '--labels: a is given twice'],
    ['a=1,', "--labels '': write NAME=VALUE"],
  ])("refuses '%s'", (text, message) => expect(() => parseLabels(text)).toThrow(message));
});

describe('parseResources', () => {
  it('reads amounts', () => {
    expect(parseResources('cpu=4,gpu=1,licence=0.5')).toEqual({ cpu: 4, gpu: 1, licence: 0.5 });
  });

  it.each([
    ['cpu=many', '--resources cpu=many: the amount must be a number, 0 or more'],
    ['cpu=', '--resources cpu=: the amount'],
    ['cpu=-1', '--resources cpu=-1: the amount'],
    ['gpu=0.5', '--resources gpu=0.5: a node has whole cards'],
  ])("refuses '%s'", (text, message) => expect(() => parseResources(text)).toThrow(message));
});

describe('advertisedHost', () => {
  it('is the host itself unless that is everywhere', () => {
    expect(advertisedHost('10.1.1.1', undefined, INTERFACES)).toBe('10.1.1.1');
    expect(advertisedHost('0.0.0.0', 'pod-3', INTERFACES)).toBe('pod-3');
    expect(advertisedHost('0.0.0.0', undefined, INTERFACES)).toBe('10.0.0.7');
    expect(() => advertisedHost('::', undefined, { lo: INTERFACES.lo })).toThrow('--advertise HOST');
  });
});

it('reads seconds as milliseconds', () => {
  expect(parseSeconds('--grace', '1.5', 0, 10)).toBe(1500);
  expect(() => parseSeconds('--grace', '', 0, 10)).toThrow('--grace : it must be');
});
