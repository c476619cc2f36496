/** Actors that a node keeps alive, for the loop that calls them. */
import { EXIT_USER_ERROR } from '../../actors/status/restart-policy.ts';
import type { ActorStatus } from '../../actors/status/status.ts';
import type { ActorSystem } from '../../actors/system/system.ts';
import type { ActorLink, LinkStatus } from './crew.ts';

const UNKNOWN: LinkStatus = { state: 'pending', incarnation: 0, reason: 'not started yet' };

/** An actor that was spawned through `system`, as the loop sees it. */
export function actorLink<Handle extends { readonly actorId: string }>(
  system: ActorSystem,
  handle: Handle,
): ActorLink<Handle> {
  const { actorId } = handle;
  return {
    name: actorId,
    handle,
    status: () => linkStatus(system.status(actorId)),
    onStatus: (listener) => system.onStatus((status) => listener(linkStatus(status)), actorId),
  };
}

function linkStatus(status: ActorStatus | undefined): LinkStatus {
  if (status === undefined) return UNKNOWN;
  const { state, incarnation, reason, exitCode, lastLogLines } = status;
  const mistake = exitCode === EXIT_USER_ERROR ? lastMessage(lastLogLines) : null;
  return { state, incarnation, reason, mistake };
}

/** The message of the last error that a process logged; null when there is none to read. */
export function lastMessage(lines: readonly string[]): string | null {
  for (const line of [...lines].reverse()) {
    try {
      const entry = JSON.parse(line) as { level?: unknown; message?: unknown };
      if (entry.level === 'error' && typeof entry.message === 'string') return entry.message;
    } catch {
      // Not a log line of ours.
    }
  }
  return null;
}
