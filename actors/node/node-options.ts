/** The options of a node. */

import type { Registry as MetricsRegistry } from 'prom-client';
import { UserError } from '../../common/errors.ts';
import type { Log } from '../../common/log.ts';
import { checkPort, checkWhole, shown } from '../base/checks.ts';
import type { EventBus } from '../control/event-bus.ts';
import type { EmbeddedStore } from '../control/registry-embedded.ts';
import type { Registry } from '../control/registry.ts';
import { checkLabels, checkResources } from '../status/actor-spec.ts';
import type { Labels, Resources } from '../status/status.ts';
import { checkCards } from './node-resources.ts';

export interface NodeOptions {
  /** Run folder: gets `logs/` and, unless `events` is given, `events.jsonl`. */
  readonly runDir: string;
  readonly log: Log;
  /** Unique in the cluster; `node-` and eight characters by default. */
  readonly nodeId?: string;
  readonly labels?: Labels;
  /** Added to the detected resources of the machine, or replacing them. */
  readonly resources?: Resources;
  /** The run's events; the embedded bus by default. The node does not close a bus that was passed in. */
  readonly events?: EventBus;
  /** Folders that may hold entry modules; the package's dist folder is always one. */
  readonly entryRoots?: readonly string[];
  /** Interval of an actor's heartbeat; an actor that is silent for 15 times as long is killed. 2 s by default. */
  readonly heartbeatMs?: number;
  /** How long an actor may hold its thread before its status says so, milliseconds; 10 s by default. */
  readonly busyMs?: number;
  /** Where it serves; a free loopback port by default. */
  readonly host?: string;
  readonly port?: number;
  /** Address at which others reach it and its actors, if not at `host`. */
  readonly advertisedHost?: string;
  /** The registry of the cluster that it joins; none by default. The node does not close it. */
  readonly cluster?: Registry;
  /** Serves a registry to other nodes, which join at this node's address. */
  readonly registryStore?: EmbeddedStore;
  /** How long the cluster counts a silent node as alive, milliseconds. */
  readonly nodeTtlMs?: number;
  /** Destination of metrics; its own registry by default. */
  readonly metrics?: MetricsRegistry;
  /** Maximum bytes of objects in memory; chosen for the machine by default. */
  readonly objectBytes?: number;
  /** Further folders whose disks the metrics report, by use, in addition to `runDir` and the folder of objects. */
  readonly watchedFolders?: Readonly<Record<string, string>>;
}

const NODE_ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/;

/** @throws UserError naming the invalid option. */
export function checkNodeOptions(options: NodeOptions): void {
  const { nodeId, resources = {}, labels = {}, heartbeatMs = 1, nodeTtlMs, objectBytes, port = 0 } = options;
  if (typeof options.runDir !== 'string' || options.runDir === '')
    throw new UserError(`Node, runDir = ${shown(options.runDir)}: name a folder.`);
  if (nodeId !== undefined && (typeof nodeId !== 'string' || !NODE_ID.test(nodeId)))
    throw new UserError(`Node id '${shown(nodeId)}': use 1 to 63 letters, digits, '-' and '_'.`);
  checkResources('Node', resources);
  checkCards('Node', resources);
  checkLabels('Node', labels);
  checkWhole('Node, heartbeatMs', heartbeatMs, 1);
  if (options.busyMs !== undefined) checkWhole('Node, busyMs', options.busyMs, 1);
  if (nodeTtlMs !== undefined) checkWhole('Node, nodeTtlMs', nodeTtlMs, 1);
  if (objectBytes !== undefined) checkWhole('Node, objectBytes', objectBytes, 0);
  checkPort('Node, port', port);
}
