/** Actor processes as /proc shows them (Linux). */
import { allPids, readOrNull } from '../../common/process-tree.ts';
import { ENVIRONMENT_KEY, type ActorIdentity } from '../../actors/status/actor-environment.ts';

export interface ActorProcess {
  readonly pid: number;
  readonly actorId: string;
  readonly incarnation: number;
  readonly runDir: string;
}

/** Living actor processes of a run, orphans included. */
export function actorsOf(runDir: string): ActorProcess[] {
  return allPids().flatMap((pid) => {
    const actor = actorEnvironment(pid);
    return actor?.runDir === runDir ? [{ pid, ...actor }] : [];
  });
}

function actorEnvironment(pid: number): ActorIdentity | null {
  const head = `${ENVIRONMENT_KEY}=`;
  const entries = readOrNull(`/proc/${pid}/environ`)?.split('\0') ?? [];
  const entry = entries.find((text) => text.startsWith(head));
  return entry === undefined ? null : (JSON.parse(entry.slice(head.length)) as ActorIdentity);
}
