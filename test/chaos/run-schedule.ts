/** One run under one schedule of faults: applies them, resumes the run where its command died, and checks what is left. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { FAULTS_KEY } from '../../actors/calls/transport/faults.ts';
import { Cli, type CliEnd } from '../support/cli.ts';
import { hasNats, type NatsServer, startNats } from '../support/nats.ts';
import { actorsOf, type ActorProcess } from '../support/processes.ts';
import type { FinishedRun, TinyRun } from '../support/tiny-run.ts';
import { violations } from './invariants.ts';
import { Machines } from './machines.ts';
import {
  type ActorName,
  type Cut,
  type Fault,
  HEARTBEAT_MS,
  isReached,
  type Moment,
  nameOf,
  type Schedule,
} from './schedule.ts';

/** A run under faults takes some 10 to 40 seconds; on a busy machine ten times as long. */
export const PATIENCE_MS = 600_000;
const POLL_MS = 10;
/** How long a victim that is being started again is waited for. */
const VICTIM_MS = 5000;
const MAX_RESUMES = 8;

export interface Outcome {
  readonly seconds: number;
  /** By name, how often each fault was done to a living process. */
  readonly survived: ReadonlyMap<string, number>;
  readonly resumes: number;
  /** Faults that could not be tried here, and why. */
  readonly skipped: readonly string[];
  /** Empty when every promise was kept. */
  readonly violations: readonly string[];
}

/** Whether a small disk can be mounted here. */
export function canMount(folder: string): boolean {
  const probe = join(folder, 'probe');
  mkdirSync(probe, { recursive: true });
  if (!mount(probe, '64k')) return false;
  execFileSync('umount', [probe]);
  return true;
}

function mount(dir: string, size: string): boolean {
  return spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'ballast-chaos', dir]).status === 0;
}

/** `folder` is empty and for this run alone. */
export async function runSchedule(
  schedule: Schedule,
  tiny: TinyRun,
  reference: FinishedRun,
  folder: string,
): Promise<Outcome> {
  const run = new ChaosRun(schedule, tiny, folder);
  const startMs = performance.now();
  let broken: string[];
  try {
    await run.prepare();
    await run.live();
    broken = [...(await violations(run.dir, reference.dir, run.commandPids)), ...(await run.leftElsewhere())];
  } catch (thrown) {
    broken = [thrown instanceof Error ? thrown.message : String(thrown)];
  } finally {
    await run.cleanUp();
  }
  const { survived, resumes, skipped } = run;
  const seconds = (performance.now() - startMs) / 1000;
  return { seconds, survived, resumes, skipped, violations: broken };
}

class ChaosRun {
  readonly survived = new Map<string, number>();
  readonly skipped: string[] = [];
  readonly commandPids: number[] = [];
  resumes = 0;
  readonly #schedule: Schedule;
  readonly #tiny: TinyRun;
  readonly #folder: string;
  readonly #deadlineMs = performance.now() + PATIENCE_MS;
  /** Pauses and sleeps that end by themselves. */
  readonly #background: Promise<void>[] = [];
  #disk: string | null = null;
  #nats: NatsServer | null = null;
  #machines: Machines | null = null;
  /** Until the cables that were cut are mended. */
  #mending: Promise<void> | null = null;
  #cli!: Cli;
  #end: CliEnd | null = null;

  constructor(schedule: Schedule, tiny: TinyRun, folder: string) {
    this.#schedule = schedule;
    this.#tiny = tiny;
    this.#folder = folder;
  }

  get dir(): string {
    return join(this.#disk ?? this.#folder, 'run');
  }

  async prepare(): Promise<void> {
    const { steps, diskKb, transport } = this.#schedule;
    if (steps.some(({ fault }) => fault.kind === 'cut')) {
      const machines = await Machines.start(this.#folder, this.#environment());
      if (typeof machines === 'string') this.skipped.push(machines);
      else [this.#machines, this.#nats] = [machines, machines.nats];
    }
    if (this.#nats === null && steps.some(({ fault }) => fault.kind === 'empty-nats')) {
      if (hasNats) this.#nats = await startNats(['-js', '-sd', join(this.#folder, 'nats')]);
      else this.skipped.push('no nats-server on the PATH');
    }
    if (diskKb !== null) {
      const disk = join(this.#folder, 'disk');
      mkdirSync(disk);
      if (mount(disk, `${diskKb}k`)) this.#disk = disk;
      else this.skipped.push('no small disk can be mounted, it takes root');
    }
    if (transport !== null) this.#count('lossy transport');
  }

  /** From the first start to an end with 0. */
  async live(): Promise<void> {
    this.#start(await this.#tiny.args(this.dir, '--json', ...this.#serverArgs()));
    for (const { moment, plusMs, fault } of this.#schedule.steps) {
      await this.#reach(moment);
      if (this.#end === null) await delay(plusMs);
      if (await this.#apply(fault)) this.#count(nameOf(fault));
    }
    for (;;) {
      await this.#until(() => false);
      await Promise.all(this.#background);
      const end = this.#end!;
      if (end.code === 0) return;
      await this.#resumeOrThrow(end);
    }
  }

  /** Remains of the run on its second machine, if it has one. */
  async leftElsewhere(): Promise<string[]> {
    return (await this.#machines?.end()) ?? [];
  }

  async cleanUp(): Promise<void> {
    await Promise.allSettled(this.#background); // what failed has failed the run
    for (const { pid } of this.#actors()) signal(pid, 'SIGKILL');
    if (this.#end === null) {
      this.#cli?.signal('SIGKILL');
      await this.#cli?.ended;
    }
    await this.#machines?.cleanUp();
    await this.#nats?.stop('SIGKILL');
    if (this.#disk !== null) execFileSync('umount', ['-l', this.#disk]);
  }

  #serverArgs(): string[] {
    const nats = this.#nats === null ? [] : ['--nats', this.#nats.url];
    return [...nats, ...(this.#machines?.args ?? [])];
  }

  #environment(): Record<string, string> {
    const { transport } = this.#schedule;
    const faults: Record<string, string> =
      transport === null ? {} : { [FAULTS_KEY]: JSON.stringify(transport) };
    return { BALLAST_HEARTBEAT_MS: String(HEARTBEAT_MS), ...faults };
  }

  #start(args: readonly string[]): void {
    const at = this.#machines?.cliOptions;
    const cli = Cli.start(args, { ...at, env: { ...this.#environment(), ...at?.env } });
    this.#cli = cli;
    this.#end = null;
    this.commandPids.push(cli.pid);
    void cli.ended.then((end) => {
      if (this.#cli === cli) this.#end = end;
    });
  }

  /** Only two ends may come before the run's: the command was killed, or its disk was full. */
  async #resumeOrThrow({ code, signal: by, stderr }: CliEnd): Promise<void> {
    const isFull = this.#disk !== null && code === 1 && /disk is full/.test(stderr);
    if (by !== 'SIGKILL' && !isFull) throw new Error(`the run ended with ${code ?? by}: ${stderr.trim()}`);
    if (isFull) {
      execFileSync('mount', ['-o', 'remount,size=64m', this.#disk!]);
      this.#count('full disk');
    }
    await this.#mending; // a command that reaches no node refuses to start
    if (++this.resumes > MAX_RESUMES) throw new Error(`the run did not finish after ${MAX_RESUMES} resumes`);
    this.#start(['run', '--resume', this.dir, '--json', ...this.#serverArgs()]);
  }

  /** Waits for the condition or the command's end. */
  async #until(isTrue: () => boolean): Promise<void> {
    while (this.#end === null && !isTrue()) {
      if (performance.now() > this.#deadlineMs)
        throw new Error(`the run did not end within ${PATIENCE_MS / 1000} s\n${this.#cli.stderr}`);
      await delay(POLL_MS);
    }
  }

  /** Waits for the moment, in a resumed run where need be, or for the run's end. */
  async #reach(moment: Moment): Promise<void> {
    for (;;) {
      await this.#until(() => isReached(moment, this.#cli.stdout));
      if (this.#end === null || this.#end.code === 0) return;
      await this.#resumeOrThrow(this.#end);
    }
  }

  /** Whether it was done: nothing is done to a run that has ended. */
  async #apply(fault: Fault): Promise<boolean> {
    if (this.#end !== null) return false;
    switch (fault.kind) {
      case 'kill':
        return signal((await this.#process(fault.victim))?.pid, 'SIGKILL');
      case 'kill-command':
        return this.#killCommand();
      case 'pause':
        return this.#pause(fault.victim, fault.forMs);
      case 'sleep-through':
        return this.#sleepThrough(fault.victims, fault.wakeAfterMs);
      case 'empty-nats':
        return this.#emptyNats(fault.awayMs);
      case 'cut':
        return this.#cut(fault.off, fault.forMs);
      default:
        return fault satisfies never;
    }
  }

  async #killCommand(): Promise<boolean> {
    this.#cli.signal('SIGKILL');
    const end = await this.#cli.ended;
    if (end.code === 0) return false;
    await this.#resumeOrThrow(end); // at once: its actors may live another second
    return true;
  }

  async #pause(victim: ActorName | 'command', forMs: number): Promise<boolean> {
    const pid = victim === 'command' ? this.#cli.pid : (await this.#process(victim))?.pid;
    if (this.#end !== null || !signal(pid, 'SIGSTOP')) return false;
    const wake = delay(forMs).then(() => void signal(pid, 'SIGCONT'));
    if (victim === 'command') await wake;
    else this.#background.push(wake);
    return true;
  }

  async #sleepThrough(victims: readonly ActorName[], wakeAfterMs: number): Promise<boolean> {
    const sleepers = victims.flatMap((name) => this.#living(name) ?? []);
    for (const { pid } of sleepers) signal(pid, 'SIGSTOP');
    const isKilled = await this.#killCommand();
    const wake = async () => {
      await this.#until(() => isReached({ epoch: 1, stage: 'synthesis' }, this.#cli.stdout));
      await delay(wakeAfterMs);
      for (const { pid } of sleepers) signal(pid, 'SIGCONT');
    };
    this.#background.push(wake());
    return isKilled && sleepers.length > 0;
  }

  async #emptyNats(awayMs: number): Promise<boolean> {
    if (this.#nats === null) return false;
    await this.#nats.stop('SIGKILL');
    await delay(awayMs);
    await this.#nats.restart({ empty: true });
    return true;
  }

  #cut(off: Cut, forMs: number): boolean {
    const machines = this.#machines;
    if (machines === null) return false;
    machines.cut(off);
    this.#mending = delay(forMs).then(() => machines.mend());
    this.#background.push(this.#mending);
    return true;
  }

  #actors(): ActorProcess[] {
    return [...actorsOf(this.dir), ...(this.#machines?.actors() ?? [])];
  }

  /** In a cluster, the run's name begins those of its actors. */
  #living(name: ActorName): ActorProcess | undefined {
    return this.#actors()
      .filter(({ actorId }) => actorId === name || actorId.endsWith(`-${name}`))
      .sort((a, b) => b.incarnation - a.incarnation)[0];
  }

  async #process(name: ActorName): Promise<ActorProcess | undefined> {
    const endMs = performance.now() + VICTIM_MS;
    await this.#until(() => this.#living(name) !== undefined || performance.now() > endMs);
    return this.#end === null ? this.#living(name) : undefined;
  }

  #count(name: string): void {
    this.survived.set(name, (this.survived.get(name) ?? 0) + 1);
  }
}

function signal(pid: number | undefined, name: NodeJS.Signals): boolean {
  if (pid === undefined) return false;
  try {
    return process.kill(pid, name);
  } catch {
    return false; // it has ended
  }
}
