/**
 * Two machines for a run under faults, one for its command and one for a node that makes images too, with NATS on a
 * third as their registry, and cables between them that can be cut. Afterwards nothing of the run may be left there.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { openNatsRegistry } from '../../actors/control/registry-nats.ts';
import type { Registry } from '../../actors/control/registry.ts';
import { jsonOf, sharedFolders, startTestNode, type TestNode } from '../support/cluster.ts';
import { hasNats, type NatsServer, startNats } from '../support/nats.ts';
import { TestNetwork } from '../support/network.ts';
import { actorsOf, type ActorProcess } from '../support/processes.ts';
import type { Cut } from './schedule.ts';

/** A namespace's own addresses are not loopback, and the runtime serves only there without TLS. */
const INSECURE = { BALLAST_INSECURE: '1' };

/** More than the lease of the run's own node. */
const LEASES_MS = 20_000;

export class Machines {
  readonly nats: NatsServer;
  readonly #network: TestNetwork;
  readonly #node: TestNode;
  readonly #prefix: string;

  private constructor(network: TestNetwork, nats: NatsServer, node: TestNode, prefix: string) {
    this.nats = nats;
    this.#network = network;
    this.#node = node;
    this.#prefix = prefix;
  }

  /** The reason, in words, if they cannot be set up. */
  static async start(folder: string, env: Readonly<Record<string, string>>): Promise<Machines | string> {
    if (!hasNats) return 'no two machines without a nats-server on the PATH';
    const network = TestNetwork.create(2);
    if (network === null) return 'no network to cut can be made, it takes root and iproute2';
    const nats = await startNats(['-js', '-sd', join(folder, 'nats')], {}, network.address);
    const prefix = `chaos${process.pid}`;
    const { address, enter } = network.hosts[1]!;
    const flags = ['--join', nats.url, '--host', address, '--resources', 'cpu=2'];
    const node = await startTestNode(folder, prefix, flags, { env: { ...env, ...INSECURE }, enter });
    return new Machines(network, nats, node, prefix);
  }

  /** Flags of the run. */
  get args(): string[] {
    return ['--join', this.nats.url, '--host', this.#network.hosts[0]!.address];
  }

  /** How the run's command is started on its machine. */
  get cliOptions(): { env: Record<string, string>; enter: readonly string[] } {
    return { env: INSECURE, enter: this.#network.hosts[0]!.enter };
  }

  cut(what: Cut): void {
    const [run, node] = this.#network.hosts;
    switch (what) {
      case 'each other':
        return this.#network.cut(run!, node!);
      case 'the node':
        return this.#network.unplug(node!);
      case 'the run':
        return this.#network.unplug(run!);
      default:
        what satisfies never;
    }
  }

  mend(): void {
    this.#network.mend();
  }

  /** Processes of the run's actors on the second machine. */
  actors(): ActorProcess[] {
    return actorsOf(this.#node.dir);
  }

  /** Remains of the run here, one line each, after the leases of killed commands have expired; ends the node. */
  async end(): Promise<string[]> {
    const registry = await openNatsRegistry({ url: this.nats.url, cluster: 'default' });
    let left = await this.#left(registry);
    for (const deadline = performance.now() + LEASES_MS; left.length > 0 && performance.now() < deadline;) {
      await delay(500);
      left = await this.#left(registry);
    }
    this.#node.cli.signal('SIGTERM');
    const { code, signal, stderr } = await this.#node.cli.ended;
    const entries = await registry.list('');
    await registry.close();
    return [
      ...left,
      ...(code === 0 ? [] : [`the second node ended with ${code ?? signal}: ${stderr.trim()}`]),
      ...entries.map(({ key }) => `${key} was left in the registry by the second node`),
      ...sharedFolders(this.#prefix).map((name) => `/dev/shm/${name} was left behind`),
      ...(existsSync(join(this.#node.dir, 'objects')) ? ['the second node left objects on its disk'] : []),
    ];
  }

  async #left(registry: Registry): Promise<string[]> {
    const objects = await jsonOf<{ id: string }>(['objects'], this.#node);
    const entries = await registry.list('');
    return [
      ...this.actors().map(({ actorId, pid }) => `${actorId} (process ${pid}) was left at the node`),
      ...objects.map(({ id }) => `object ${id} was left at the node`),
      ...entries.flatMap(({ key }) =>
        key === `nodes/${this.#node.nodeId}` ? [] : [`${key} was left in the registry`],
      ),
    ];
  }

  /** Kills what is left, and takes everything down. */
  async cleanUp(): Promise<void> {
    this.#node.cli.signal('SIGKILL');
    await this.#node.cli.ended;
    await this.nats.stop('SIGKILL');
    this.#network.close();
  }
}
