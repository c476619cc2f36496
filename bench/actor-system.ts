/** Our side of the actor benchmarks: a node in this process, actors in processes and threads, fresh systems. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ChannelPool } from '../actors/calls/channels.ts';
import { startNode } from '../actors/node/node.ts';
import type { Node } from '../actors/node/node.ts';
import type { Isolation } from '../actors/status/status.ts';
import { ActorSystem } from '../actors/system/system.ts';
import { silentLog } from '../common/log.ts';
import { callType } from './call-service.ts';
import type { CallHandle, Work } from './call-service.ts';

const START_PROCESS = fileURLToPath(new URL('./start-process.js', import.meta.url));
/** Eight threads are ready again after about two seconds. */
const SETTLE_MS = 4000;

export class BenchSystem {
  readonly #folder: string;
  readonly #node: Node;
  readonly #pool = new ChannelPool();
  readonly #system: ActorSystem;
  readonly #actors: CallHandle[] = [];

  private constructor(folder: string, node: Node) {
    this.#folder = folder;
    this.#node = node;
    this.#system = new ActorSystem({ node, transport: this.#pool });
  }

  static async start(): Promise<BenchSystem> {
    const folder = await mkdtemp(join(tmpdir(), 'ballast-bench-'));
    return new BenchSystem(folder, await startNode({ runDir: folder, log: silentLog }));
  }

  /** Actors in separate processes, all of them answering; they stay. */
  async actors(count: number): Promise<CallHandle[]> {
    while (this.#actors.length < count) this.#actors.push(await this.#system.spawn(callType));
    await Promise.all(this.#actors.map((actor) => actor.call({})));
    return this.#actors.slice(0, count);
  }

  /**
   * Spawns actors at once and calls each once. Then ends them and lets the node replenish its spare threads,
   * unmeasured, before the other side's turn.
   */
  async create(count: number, isolation: Isolation): Promise<Work> {
    const startMs = performance.now();
    const made = await Promise.all(
      Array.from({ length: count }, () => this.#system.spawn(callType, { isolation })),
    );
    await Promise.all(made.map((actor) => actor.call({})));
    const seconds = (performance.now() - startMs) / 1000;
    await Promise.all(made.map(({ actorId }) => this.#system.stop(actorId)));
    await delay(SETTLE_MS);
    return { count, seconds };
  }

  async close(): Promise<void> {
    await this.#system.close();
    await this.#node.close();
    this.#pool.close();
    await rm(this.#folder, { recursive: true });
  }
}

export interface StartTimes {
  /** Seconds from the start until actors can be created. */
  readonly ready: number;
  /** Seconds from the start until an actor has answered. */
  readonly answered: number;
}

/** Starts a program that prints `ready` and `answered`, and waits until it has ended. */
export async function timeStart(program: string, args: readonly string[]): Promise<StartTimes> {
  const startMs = performance.now();
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  const seconds: number[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    if (line === 'ready' || line === 'answered') seconds.push((performance.now() - startMs) / 1000);
  }
  await ended;
  if (seconds.length !== 2) throw new Error(`${program} ${args.join(' ')} did not start a system`);
  return { ready: seconds[0]!, answered: seconds[1]! };
}

/** Starts a fresh system of ours, in a separate process. */
export async function timeOwnStart(): Promise<StartTimes> {
  const folder = await mkdtemp(join(tmpdir(), 'ballast-bench-'));
  try {
    return await timeStart(process.execPath, [START_PROCESS, folder]);
  } finally {
    await rm(folder, { recursive: true });
  }
}
