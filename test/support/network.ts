/**
 * Machines for tests: network namespaces on one bridge (Linux, root, iproute2), with links that can be cut and mended.
 * The test itself, and servers that it starts, are at the bridge's own address. A machine that is cut off gets no
 * packets and no errors, as with a pulled cable.
 */
import { execFileSync, spawnSync } from 'node:child_process';

/** Nobody has this hardware address. */
const NOWHERE = '02:00:00:00:00:ff';

export interface Host {
  /** Its IP address. */
  readonly address: string;
  /** Words before a command that make it run there. */
  readonly enter: readonly string[];
  readonly namespace: string;
  /** The end of its cable at the bridge. */
  readonly port: string;
}

export class TestNetwork {
  /** Where the test is, seen from the hosts. */
  readonly address: string;
  readonly hosts: readonly Host[];
  readonly #bridge: string;

  private constructor(count: number) {
    // The process id makes names and addresses that no other test has at the same time.
    const subnet = `10.${192 + ((process.pid >> 8) & 63)}.${process.pid & 255}`;
    this.#bridge = `bal${process.pid}`;
    this.address = `${subnet}.254`;
    this.hosts = Array.from({ length: count }, (_, i) => ({
      address: `${subnet}.${i + 1}`,
      namespace: `${this.#bridge}h${i}`,
      port: `${this.#bridge}p${i}`,
      enter: ['nsenter', `--net=/run/netns/${this.#bridge}h${i}`, '--'],
    }));
  }

  /** Whether networks can be made here. */
  static isPossible(): boolean {
    const probe = TestNetwork.create(1);
    probe?.close();
    return probe !== null;
  }

  /** Null where it cannot be made. */
  static create(count: number): TestNetwork | null {
    const network = new TestNetwork(count);
    try {
      network.#build();
      return network;
    } catch {
      network.close();
      return null;
    }
  }

  /** Nothing passes between two hosts; both still reach all others. */
  cut(a: Host, b: Host): void {
    for (const [host, other] of [
      [a, b],
      [b, a],
    ] as const)
      ip(
        ...inside(
          host,
          'neigh',
          'replace',
          other.address,
          'lladdr',
          NOWHERE,
          'dev',
          'eth0',
          'nud',
          'permanent',
        ),
      );
  }

  /** Nothing passes between a host and anybody. */
  unplug(host: Host): void {
    ip('link', 'set', host.port, 'down');
  }

  /** Everything passes again. */
  mend(): void {
    for (const host of this.hosts) {
      ip(...inside(host, 'neigh', 'flush', 'all', 'nud', 'permanent'));
      ip('link', 'set', host.port, 'up');
    }
  }

  /** Packets for a range of addresses go through a host, from here and from the other hosts; it has to forward them. */
  route(range: string, via: Host): void {
    ip('route', 'add', range, 'via', via.address);
    for (const host of this.hosts)
      if (host !== via) ip(...inside(host, 'route', 'add', range, 'via', via.address));
  }

  close(): void {
    for (const { namespace, port } of this.hosts) {
      spawnSync('ip', ['link', 'del', port]);
      spawnSync('ip', ['netns', 'del', namespace]);
    }
    spawnSync('ip', ['link', 'del', this.#bridge]);
  }

  #build(): void {
    ip('link', 'add', this.#bridge, 'type', 'bridge');
    ip('addr', 'add', `${this.address}/24`, 'dev', this.#bridge);
    ip('link', 'set', this.#bridge, 'up');
    for (const host of this.hosts) {
      ip('netns', 'add', host.namespace);
      ip('link', 'add', host.port, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', host.namespace);
      ip('link', 'set', host.port, 'master', this.#bridge, 'up');
      ip(...inside(host, 'addr', 'add', `${host.address}/24`, 'dev', 'eth0'));
      ip(...inside(host, 'link', 'set', 'eth0', 'up'));
      ip(...inside(host, 'link', 'set', 'lo', 'up'));
    }
  }
}

function inside({ namespace }: Host, ...args: string[]): string[] {
  return ['-n', namespace, ...args];
}

function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}
