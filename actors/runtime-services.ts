/** The runtime's own services, and how their messages map to plain values. */

import type { ActorSpec as SpecMessage, ActorSpec__Output } from '../gen/ballast/runtime/v1/ActorSpec.ts';
import type { ActorState__Output } from '../gen/ballast/runtime/v1/ActorState.ts';
import type {
  ActorStatus as StatusMessage,
  ActorStatus__Output,
} from '../gen/ballast/runtime/v1/ActorStatus.ts';
import type { EventServiceClient, EventServiceHandlers } from '../gen/ballast/runtime/v1/EventService.ts';
import type { NodeServiceClient, NodeServiceHandlers } from '../gen/ballast/runtime/v1/NodeService.ts';
import type { ObjectServiceClient, ObjectServiceHandlers } from '../gen/ballast/runtime/v1/ObjectService.ts';
import { givingBackChunks } from './chunk-buffers.ts';
import { loadService } from './protos.ts';
import { DEFAULT_RESTART_POLICY } from './status.ts';
import type { ActorSpec, ActorState, ActorStatus } from './status.ts';

export const nodeService = loadService<NodeServiceClient, NodeServiceHandlers>(
  'ballast/runtime/v1/node.proto',
  'ballast.runtime.v1.NodeService',
);

export const objectService = givingBackChunks(
  loadService<ObjectServiceClient, ObjectServiceHandlers>(
    'ballast/runtime/v1/object.proto',
    'ballast.runtime.v1.ObjectService',
  ),
  'pull',
);

export const eventService = loadService<EventServiceClient, EventServiceHandlers>(
  'ballast/runtime/v1/event.proto',
  'ballast.runtime.v1.EventService',
);

const NO_EXIT_CODE = -1;

const STATE_MESSAGES = {
  pending: 'ACTOR_STATE_PENDING',
  alive: 'ACTOR_STATE_ALIVE',
  restarting: 'ACTOR_STATE_RESTARTING',
  dead: 'ACTOR_STATE_DEAD',
} as const satisfies Record<ActorState, ActorState__Output>;

function stateFromMessage(message: ActorState__Output): ActorState {
  switch (message) {
    case 'ACTOR_STATE_PENDING':
      return 'pending';
    case 'ACTOR_STATE_ALIVE':
      return 'alive';
    case 'ACTOR_STATE_RESTARTING':
      return 'restarting';
    case 'ACTOR_STATE_DEAD':
    case 'ACTOR_STATE_UNSPECIFIED':
      return 'dead';
    default:
      return message satisfies never;
  }
}

export function statusToMessage(status: ActorStatus): StatusMessage {
  return {
    ...status,
    pid: status.pid ?? 0,
    address: status.address ?? '',
    metricsAddress: status.metricsAddress ?? '',
    state: STATE_MESSAGES[status.state],
    exitCode: status.exitCode ?? NO_EXIT_CODE,
    exitSignal: status.exitSignal ?? '',
    lastLogLines: [...status.lastLogLines],
  };
}

export function statusFromMessage(message: ActorStatus__Output | null): ActorStatus {
  if (message === null) throw new Error('The node sent no actor status');
  return {
    ...message,
    pid: message.pid === 0 ? null : message.pid,
    address: message.address === '' ? null : message.address,
    metricsAddress: message.metricsAddress === '' ? null : message.metricsAddress,
    state: stateFromMessage(message.state),
    exitCode: message.exitCode === NO_EXIT_CODE ? null : message.exitCode,
    exitSignal: message.exitSignal === '' ? null : message.exitSignal,
  };
}

export function specToMessage(spec: ActorSpec): SpecMessage {
  const { args, ...rest } = spec;
  return { ...rest, argsJson: JSON.stringify(args ?? null) };
}

export function specFromMessage(message: ActorSpec__Output | null): ActorSpec {
  if (message === null) throw new Error('The caller sent no actor spec');
  const { argsJson, restart, ...rest } = message;
  return {
    ...rest,
    args: argsJson === '' ? null : (JSON.parse(argsJson) as unknown),
    restart: restart ?? DEFAULT_RESTART_POLICY,
  };
}
