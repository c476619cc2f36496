/** The known states of actors that another process starts and ends, for the callers of those actors. */
import { EXIT_USER_ERROR } from '../../actors/status/restart-policy.ts';
import type { ActorStatus } from '../../actors/status/status.ts';
import type { ActorLink, LinkStatus } from './crew.ts';

const UNKNOWN: LinkStatus = { state: 'pending', incarnation: 0, reason: 'not started yet' };

/** The last known status of each actor, and who wants to hear of the next. */
export class StatusBoard {
  readonly #statuses = new Map<string, LinkStatus>();
  readonly #listeners = new Map<string, Set<(status: LinkStatus) => void>>();

  async follow(statuses: AsyncIterable<ActorStatus>): Promise<void> {
    for await (const status of statuses) this.set(status.actorId, toLinkStatus(status));
  }

  set(name: string, status: LinkStatus): void {
    this.#statuses.set(name, status);
    for (const listener of [...(this.#listeners.get(name) ?? [])]) listener(status);
  }

  statusOf(name: string): LinkStatus {
    return this.#statuses.get(name) ?? UNKNOWN;
  }

  link<Handle>(name: string, handle: Handle): ActorLink<Handle> {
    const listeners = new Set<(status: LinkStatus) => void>();
    this.#listeners.set(name, listeners);
    return {
      name,
      handle,
      status: () => this.statusOf(name),
      onStatus(listener) {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    };
  }
}

function toLinkStatus(status: ActorStatus): LinkStatus {
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
