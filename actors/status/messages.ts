/** Plain values of status.ts as messages of `ballast.runtime.v1`, and back. */

import type { ActorSpec as SpecMessage, ActorSpec__Output } from '../../gen/ballast/runtime/v1/ActorSpec.ts';
import type { ActorState__Output } from '../../gen/ballast/runtime/v1/ActorState.ts';
import type {
  ActorStatus as StatusMessage,
  ActorStatus__Output,
} from '../../gen/ballast/runtime/v1/ActorStatus.ts';
import type { Isolation__Output } from '../../gen/ballast/runtime/v1/Isolation.ts';
import type { Lifetime__Output } from '../../gen/ballast/runtime/v1/Lifetime.ts';
import type { NodeState__Output } from '../../gen/ballast/runtime/v1/NodeState.ts';
import type {
  NodeStatus as NodeStatusMessage,
  NodeStatus__Output,
} from '../../gen/ballast/runtime/v1/NodeStatus.ts';
import type { PlacementStrategy__Output } from '../../gen/ballast/runtime/v1/PlacementStrategy.ts';
import { CallError } from '../base/call-errors.ts';
import { DEFAULT_MAILBOX } from '../base/mailbox.ts';
import { DEFAULT_RESTART_POLICY } from './status.ts';
import type {
  ActorSpec,
  ActorState,
  ActorStatus,
  GroupStrategy,
  Isolation,
  Lifetime,
  NodeState,
  NodeStatus,
} from './status.ts';

const NO_EXIT_CODE = -1;
/** Stands for no limit in an int32. */
const UNLIMITED = 2 ** 31 - 1;

const STATES = {
  pending: 'ACTOR_STATE_PENDING',
  alive: 'ACTOR_STATE_ALIVE',
  restarting: 'ACTOR_STATE_RESTARTING',
  dead: 'ACTOR_STATE_DEAD',
} as const satisfies Record<ActorState, ActorState__Output>;

const NODE_STATES = {
  alive: 'NODE_STATE_ALIVE',
  draining: 'NODE_STATE_DRAINING',
  lost: 'NODE_STATE_LOST',
} as const satisfies Record<NodeState, NodeState__Output>;

const ISOLATIONS = {
  process: 'ISOLATION_PROCESS',
  thread: 'ISOLATION_THREAD',
  none: 'ISOLATION_NONE',
} as const satisfies Record<Isolation, Isolation__Output>;

const LIFETIMES = {
  owner: 'LIFETIME_OWNER',
  detached: 'LIFETIME_DETACHED',
} as const satisfies Record<Lifetime, Lifetime__Output>;

const STRATEGIES = {
  pack: 'PLACEMENT_STRATEGY_PACK',
  spread: 'PLACEMENT_STRATEGY_SPREAD',
  'strict-pack': 'PLACEMENT_STRATEGY_STRICT_PACK',
  'strict-spread': 'PLACEMENT_STRATEGY_STRICT_SPREAD',
} as const satisfies Record<GroupStrategy, PlacementStrategy__Output>;

/** The key whose value is `message`; `otherwise` for an unset one. */
function keyOf<Key extends string>(names: Record<Key, string>, message: string, otherwise: Key): Key {
  for (const key in names) if (names[key] === message) return key;
  return otherwise;
}

/** The value of a field that holds JSON. @throws CallError INVALID_ARGUMENT naming the field. */
export function parseJson(json: string, field: string): unknown {
  try {
    return JSON.parse(json);
  } catch (cause) {
    throw new CallError('INVALID_ARGUMENT', `${field} is not JSON: ${json.slice(0, 100)}`, { cause });
  }
}

function orNull(text: string): string | null {
  return text === '' ? null : text;
}

export function statusToMessage(status: ActorStatus): StatusMessage {
  return {
    ...status,
    pid: status.pid ?? 0,
    address: status.address ?? '',
    metricsAddress: status.metricsAddress ?? '',
    state: STATES[status.state],
    exitCode: status.exitCode ?? NO_EXIT_CODE,
    exitSignal: status.exitSignal ?? '',
    lastLogLines: [...status.lastLogLines],
    nodeId: status.nodeId ?? '',
    name: status.name ?? '',
    isolation: ISOLATIONS[status.isolation],
    gpuIds: [...status.gpuIds],
    owner: status.owner ?? '',
    lifetime: LIFETIMES[status.lifetime],
    group: status.group ?? '',
    bundle: status.bundle ?? '',
  };
}

export function statusFromMessage(message: ActorStatus__Output | null): ActorStatus {
  if (message === null) throw new Error('The node sent no actor status');
  return {
    ...message,
    pid: message.pid === 0 ? null : message.pid,
    address: orNull(message.address),
    metricsAddress: orNull(message.metricsAddress),
    state: keyOf(STATES, message.state, 'dead'),
    exitCode: message.exitCode === NO_EXIT_CODE ? null : message.exitCode,
    exitSignal: orNull(message.exitSignal),
    nodeId: orNull(message.nodeId),
    name: orNull(message.name),
    isolation: keyOf(ISOLATIONS, message.isolation, 'process'),
    owner: orNull(message.owner),
    lifetime: keyOf(LIFETIMES, message.lifetime, 'owner'),
    group: orNull(message.group),
    bundle: orNull(message.bundle),
  };
}

export function nodeStatusToMessage(status: NodeStatus): NodeStatusMessage {
  return { ...status, metricsAddress: status.metricsAddress ?? '', state: NODE_STATES[status.state] };
}

export function nodeStatusFromMessage(message: NodeStatus__Output): NodeStatus {
  return {
    ...message,
    metricsAddress: orNull(message.metricsAddress),
    state: keyOf(NODE_STATES, message.state, 'lost'),
  };
}

export function specToMessage(spec: ActorSpec): SpecMessage {
  const { args, mailbox, ...rest } = spec;
  return {
    ...rest,
    argsJson: JSON.stringify(args ?? null),
    name: spec.name ?? '',
    near: spec.near ?? '',
    owner: spec.owner ?? '',
    group: spec.group ?? '',
    bundle: spec.bundle ?? '',
    placement: STRATEGIES[spec.placement],
    lifetime: LIFETIMES[spec.lifetime],
    isolation: ISOLATIONS[spec.isolation],
    maxConcurrency: Math.min(UNLIMITED, mailbox.maxConcurrency),
    maxPendingCalls: Math.min(UNLIMITED, mailbox.maxPendingCalls),
  };
}

/** Absent fields get the defaults of `ActorSystem.spawn`. */
export function specFromMessage(message: ActorSpec__Output | null): ActorSpec {
  if (message === null) throw new CallError('INVALID_ARGUMENT', 'The caller sent no actor spec');
  const { argsJson, restart, maxConcurrency, maxPendingCalls, ...rest } = message;
  return {
    ...rest,
    args: argsJson === '' ? null : parseJson(argsJson, 'args_json'),
    restart: restart ?? DEFAULT_RESTART_POLICY,
    name: orNull(message.name),
    namespace: message.namespace === '' ? 'default' : message.namespace,
    near: orNull(message.near),
    owner: orNull(message.owner),
    group: orNull(message.group),
    bundle: orNull(message.bundle),
    placement: keyOf(STRATEGIES, message.placement, 'pack'),
    lifetime: keyOf(LIFETIMES, message.lifetime, 'owner'),
    isolation: keyOf(ISOLATIONS, message.isolation, 'process'),
    mailbox: {
      maxConcurrency: maxConcurrency === 0 ? DEFAULT_MAILBOX.maxConcurrency : maxConcurrency,
      maxPendingCalls: maxPendingCalls === 0 ? DEFAULT_MAILBOX.maxPendingCalls : maxPendingCalls,
    },
  };
}
