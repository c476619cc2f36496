/** The built `ballast` command as a child process, as a person runs it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { bundleRoot } from '../../common/package-root.ts';
import { descendantsOf } from '../../common/process-tree.ts';
import { actorsOf, type ActorProcess } from './processes.ts';

const MAIN = join(bundleRoot(), 'cli', 'main.js');
const PATIENCE_MS = 840_000; // below a test’s own limit, so that it tells what it waited for
const POLL_MS = 10;

/** Running commands; a test that timed out leaves some behind. They end their own children at SIGTERM. */
const living = new Set<ChildProcess>();
process.on('exit', () => living.forEach((child) => child.kill()));

export interface CliEnd {
  /** Null when a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Words before the command, which run it elsewhere in the same process (network.ts). */
  readonly enter?: readonly string[];
}

export class Cli {
  stdout = '';
  stderr = '';
  /** Resolves when the process has ended and its output is read. */
  readonly ended: Promise<CliEnd>;
  readonly #child: ChildProcess;
  #isOver = false;

  private constructor(child: ChildProcess) {
    this.#child = child;
    living.add(child);
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.stdout += text));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
    this.ended = once(child, 'close').then(([code, signal]) => {
      this.#isOver = true;
      living.delete(child);
      const { stdout, stderr } = this;
      return { code: code as CliEnd['code'], signal: signal as CliEnd['signal'], stdout, stderr };
    });
  }

  /** Starts `ballast …`, in a process group of its own as a shell does. */
  static start(args: readonly string[], { cwd, env, enter = [] }: CliOptions = {}): Cli {
    if (!existsSync(MAIN)) throw new Error(`${MAIN} is not built: npm run build`);
    const [command, ...words] = [...enter, process.execPath, MAIN, ...args];
    const whole = { ...process.env, BALLAST_DEBUG: '', ...env };
    return new Cli(
      spawn(command!, words, { cwd, env: whole, stdio: ['ignore', 'pipe', 'pipe'], detached: true }),
    );
  }

  get pid(): number {
    return this.#child.pid!;
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** Ctrl-C: the terminal sends SIGINT to every process of the group. */
  interrupt(): void {
    process.kill(-this.pid, 'SIGINT');
  }

  descendants(): number[] {
    return descendantsOf(this.pid);
  }

  /** The first match of `pattern` in standard output; waits for it. */
  async waitFor(pattern: RegExp): Promise<RegExpExecArray> {
    return this.poll(`${pattern.source} in the output`, () => pattern.exec(this.stdout));
  }

  /** The living process of an actor of the run; waits for it. */
  async actor(runDir: string, actorId: string): Promise<ActorProcess> {
    return this.poll(`a process of ${actorId}`, () =>
      actorsOf(runDir).find((found) => found.actorId === actorId),
    );
  }

  /** Asks until there is an answer. Throws when the process ends before, or nothing comes for nearly as long as a test may take. */
  async poll<Value>(what: string, ask: () => Value | null | undefined): Promise<Value> {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      const answer = ask();
      if (answer != null) return answer;
      if (this.#isOver || performance.now() > deadline)
        throw new Error(
          `${this.#isOver ? 'the process ended before' : 'timed out waiting for'} ${what}\n${this.stdout}\n${this.stderr}`,
        );
      await delay(POLL_MS);
    }
  }
}

/** Runs `ballast …` to its end. */
export function ballast(args: readonly string[], options: CliOptions = {}): Promise<CliEnd> {
  return Cli.start(args, options).ended;
}
