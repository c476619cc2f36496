/** The faults of one run, and their times: a pure function of a seed. */
import type { FaultOptions } from '../../actors/calls/transport/faults.ts';

export const ACTORS = [
  'diffusion-worker-0',
  'diffusion-worker-1',
  'classifier-trainer',
  'coordinator',
] as const;
export type ActorName = (typeof ACTORS)[number];

/** Stages of an epoch that a run's output shows, in order; `epoch` is its commit. */
const STAGES = ['synthesis', 'training', 'epoch'] as const;

export interface Moment {
  readonly epoch: number;
  readonly stage: (typeof STAGES)[number];
}

export type Fault =
  | { readonly kind: 'kill'; readonly victim: ActorName }
  | { readonly kind: 'kill-command' }
  /** SIGSTOP, and SIGCONT after a while: longer than the node's patience for silent actors. */
  | { readonly kind: 'pause'; readonly victim: ActorName | 'command'; readonly forMs: number }
  /** Actors are stopped, the command is killed, and they wake while a resumed run is at work in their folder. */
  | { readonly kind: 'sleep-through'; readonly victims: readonly ActorName[]; readonly wakeAfterMs: number }
  | { readonly kind: 'empty-nats'; readonly awayMs: number }
  /** The run is on two machines, and packets between them vanish, or between one of them and everybody (NATS, too). */
  | { readonly kind: 'cut'; readonly off: Cut; readonly forMs: number };

/** Both still reach NATS when they are cut off from each other. */
export const CUTS = ['each other', 'the node', 'the run'] as const;
export type Cut = (typeof CUTS)[number];

export interface Step {
  readonly moment: Moment;
  /** After the moment. */
  readonly plusMs: number;
  readonly fault: Fault;
}

export interface Schedule {
  readonly seed: number;
  /** In order of their moments. */
  readonly steps: readonly Step[];
  /** Connections between processes break, and are slow. */
  readonly transport: FaultOptions | null;
  /** Size of the run folder's disk, too small for a whole run; null for enough. */
  readonly diskKb: number | null;
}

/** Every part of a node's patience with silent actors follows from this. */
export const HEARTBEAT_MS = 300;
/** More than 15 heartbeats. */
const PAUSE_MS = 16 * HEARTBEAT_MS + 1500;
/** Less than any lease; and more than that of the run's own node, 10 s. */
const CUT_MS = { short: 2000, long: 14_000 };
/** The node takes a dead coordinator's run up three times. */
const MAX_COORDINATOR_FAULTS = 2;

/** Numbers in [0, 1); mulberry32. */
function randomOf(seed: number): () => number {
  let state = Math.imul(seed + 1, 0x9e3779b1);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function scheduleOf(seed: number, epochs: number): Schedule {
  const random = randomOf(seed);
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)]!;
  const count = 1 + Math.floor(random() * 4);
  const steps: Step[] = [];
  for (let coordinatorFaults = 0; steps.length < count;) {
    const fault = faultOf(random, pick);
    if ('victim' in fault && fault.victim === 'coordinator' && ++coordinatorFaults > MAX_COORDINATOR_FAULTS)
      continue;
    const moment = { epoch: 1 + Math.floor(random() * epochs), stage: pick(STAGES) };
    steps.push({ moment, plusMs: Math.floor(random() ** 2 * 1000), fault });
  }
  const transport = random() < 0.3 ? { seed, break: 0.01, delay: 0.1, delayMs: 200 } : null;
  const diskKb = random() < 0.15 ? 90 + Math.floor(random() * 120) : null;
  // Last, so that what else a seed means does not depend on it.
  if (random() < 0.25) {
    const fault: Fault = { kind: 'cut', off: pick(CUTS), forMs: pick([CUT_MS.short, CUT_MS.long]) };
    const moment = { epoch: 1 + Math.floor(random() * epochs), stage: pick(STAGES) };
    steps.push({ moment, plusMs: Math.floor(random() ** 2 * 1000), fault });
  }
  return { seed, steps: steps.sort((a, b) => rankOf(a.moment) - rankOf(b.moment)), transport, diskKb };
}

function faultOf(random: () => number, pick: <T>(values: readonly T[]) => T): Fault {
  const dice = random();
  if (dice < 0.45) return { kind: 'kill', victim: pick(ACTORS) };
  if (dice < 0.6) return { kind: 'kill-command' };
  if (dice < 0.78) return { kind: 'pause', victim: pick([...ACTORS, 'command']), forMs: PAUSE_MS };
  if (dice < 0.9) {
    const victims = ACTORS.filter((name) => name === 'coordinator' || random() < 0.5);
    return { kind: 'sleep-through', victims, wakeAfterMs: Math.floor(random() * 5000) };
  }
  return { kind: 'empty-nats', awayMs: Math.floor(random() * 3000) };
}

/** Orders moments in time. */
export function rankOf({ epoch, stage }: Moment): number {
  return epoch * STAGES.length + STAGES.indexOf(stage);
}

/** Whether a run's output (`--json`) shows that moment, or a later one. */
export function isReached(moment: Moment, stdout: string): boolean {
  const seen = stdout.matchAll(/"type":"(synthesis|training|epoch)",(?:"record":\{)?"epoch":(\d+)/g);
  for (const [, stage, epoch] of seen)
    if (rankOf({ stage: stage as Moment['stage'], epoch: Number(epoch) }) >= rankOf(moment)) return true;
  return false;
}

/** `kill coordinator`, as counted in a summary. */
export function nameOf(fault: Fault): string {
  switch (fault.kind) {
    case 'kill':
      return `kill ${fault.victim.replace(/-\d$/, '')}`;
    case 'pause':
      return `pause ${fault.victim.replace(/-\d$/, '')}`;
    case 'kill-command':
      return 'kill command';
    case 'sleep-through':
      return 'sleep through a resume';
    case 'empty-nats':
      return 'nats-server killed and emptied';
    case 'cut':
      return `${fault.off} cut off for ${fault.forMs / 1000} s`;
    default:
      return fault satisfies never;
  }
}

/** `kill coordinator 2/training+120`, … */
export function describe({ steps, transport, diskKb }: Schedule): string {
  const parts = steps.map(
    ({ moment, plusMs, fault }) => `${nameOf(fault)} ${moment.epoch}/${moment.stage}+${plusMs}`,
  );
  if (transport) parts.push('lossy transport');
  if (diskKb !== null) parts.push(`disk of ${diskKb} KB`);
  return parts.join(', ');
}
