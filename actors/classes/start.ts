/** `start`: a node in this process, and everything that a program does with it, in one call. */

import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Registry as MetricsRegistry } from 'prom-client';
import { silentLog } from '../../common/log.ts';
import { logFolder } from '../base/log-files.ts';
import { ChannelPool } from '../calls/channels.ts';
import { type Node, type NodeOptions, startNode } from '../node/node.ts';
import { ObjectStore } from '../objects/objects.ts';
import { EXIT_USER_ERROR } from '../status/restart-policy.ts';
import { ActorSystem } from '../system/system.ts';
import { hostedType } from './class-registry.ts';
import { ClassRuntime } from './class-runtime.ts';
import { isClassFound } from './hosting.ts';
import { ShownOutput } from './shown-output.ts';

export interface StartOptions extends Partial<NodeOptions> {
  /** Deadline of calls that set none, milliseconds; a minute by default. */
  readonly deadlineMs?: number;
  /** Whether lines that actors on this program's node print appear on its stderr, each after its actor's id; true by default. */
  readonly showOutput?: boolean;
}

/** A program's own node. */
export class LocalRuntime extends ClassRuntime {
  readonly node: Node;
  readonly #close: () => Promise<void>;

  constructor(node: Node, system: ActorSystem, objects: ObjectStore, close: () => Promise<void>) {
    super(system, objects);
    this.node = node;
    this.#close = close;
  }

  /** Ends every actor and the node. */
  override async close(): Promise<void> {
    try {
      await super.close();
    } finally {
      await this.#close();
    }
  }
}

/**
 * Starts a node in this process. It runs modules inside this program's folder (`entryRoots` adds others), and writes
 * logs to a temporary folder (`runDir` names one to keep). In an actor's process it never resolves: the code after it
 * belongs to the program alone. @throws as startNode
 */
export async function start(options: StartOptions = {}): Promise<LocalRuntime> {
  if (hostedType() !== null) return stayAnActor();
  const { deadlineMs, showOutput = true, ...given } = options;
  const { runDir = await mkdtemp(join(tmpdir(), 'ballast-')), ...nodeOptions } = given;
  const program = process.argv[1];
  const entryRoots = program === undefined ? [] : [dirname(await realpath(program))];
  const node = await startNode({ log: silentLog, entryRoots, ...nodeOptions, runDir });
  const output = showOutput ? new ShownOutput(logFolder(runDir)) : null;
  const transport = new ChannelPool();
  const system = new ActorSystem({ node, transport, ...(deadlineMs === undefined ? {} : { deadlineMs }) });
  const nodeAddress = node.address;
  const objects = new ObjectStore({
    owner: 'program',
    nodeAddress,
    transport,
    registry: new MetricsRegistry(),
  });
  return new LocalRuntime(node, system, objects, async () => {
    try {
      await system.close();
      await node.close();
    } finally {
      transport.close();
      output?.close();
      if (options.runDir === undefined) await rm(runDir, { recursive: true, force: true });
    }
  });
}

function stayAnActor(): Promise<never> {
  if (!isClassFound()) {
    const { name, entry } = hostedType()!;
    console.error(
      `${entry} has no actor class or task ${name} above its start(): move it there, or to a separate file.`,
    );
    process.exit(EXIT_USER_ERROR);
  }
  return new Promise(() => undefined);
}
