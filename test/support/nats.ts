/**
 * A real nats-server, where one is installed (BALLAST_NATS_SERVER names another program than the one on the PATH): started,
 * stopped, paused, killed, and started again with or without its past.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';

export const natsProgram = process.env['BALLAST_NATS_SERVER'] ?? 'nats-server';
const [, version = null] =
  /v(\d+\.\d+\.\d+)/.exec(String(spawnSync(natsProgram, ['--version']).stdout)) ?? [];

/** As `2.9.10`; null where none is installed. */
export const natsVersion = version;
export const hasNats = natsVersion !== null;
/** Added to a test's name where it cannot run; empty where it can. */
export const noNats = hasNats ? '' : ' (skipped: no nats-server on the PATH; `make test` installs it)';

export interface NatsServer {
  readonly process: ChildProcess;
  readonly url: string;
  /** Its log so far. */
  log(): string;
  /** Stops its clock, so to speak: it answers nothing, and its connections stay. */
  pause(): void;
  resume(): void;
  /** SIGTERM by default. Resolves when it has ended. */
  stop(signal?: NodeJS.Signals): Promise<void>;
  /** Starts it again at the same address; `empty` removes what it stored. */
  restart(options?: { readonly empty?: boolean }): Promise<void>;
}

function isStopped(pid: number): boolean {
  return readFileSync(`/proc/${pid}/status`, 'utf8').includes('State:\tT');
}

export async function startNats(
  options: readonly string[],
  env: Readonly<Record<string, string>> = {},
  host = '127.0.0.1',
): Promise<NatsServer> {
  const folder = options[options.indexOf('-sd') + 1];
  const log: string[] = [];
  let process = await launch(['-a', host, '-p', '-1', ...options], env, log); // -1: any free port
  const [, port = ''] = /Listening for client connections on \S+:(\d+)/.exec(log.join('')) ?? [];
  return {
    log: () => log.join(''),
    get process() {
      return process;
    },
    url: `nats://${host}:${port}`,
    pause() {
      process.kill('SIGSTOP');
      while (!isStopped(process.pid!)); // the signal takes a moment, in which it would still answer
    },
    resume: () => void process.kill('SIGCONT'),
    async stop(signal = 'SIGTERM') {
      if (process.exitCode !== null || process.signalCode !== null) return;
      const exited = once(process, 'exit');
      process.kill('SIGCONT');
      process.kill(signal);
      await exited;
    },
    async restart({ empty = false } = {}) {
      if (empty && options.includes('-sd')) rmSync(folder!, { recursive: true, force: true });
      process = await launch(['-a', host, '-p', port, ...options], env, log);
    },
  };
}

async function launch(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  log: string[],
): Promise<ChildProcess> {
  const child = spawn(natsProgram, args, { env: { ...process.env, ...env } });
  await new Promise<void>((resolve, reject) => {
    child.stderr.on('data', (text: Buffer) => {
      log.push(text.toString());
      if (text.includes('Server is ready')) resolve();
    });
    child.once('exit', (code) => reject(new Error(`nats-server exited with ${code}`)));
  });
  return child;
}

export async function stopNats(server: NatsServer): Promise<void> {
  await server.stop();
}
