/** A container's process: started, probed as the kubelet probes it, and ended as the kubelet ends it. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import * as grpc from '@grpc/grpc-js';
import type { IProbe } from 'kubernetes-models/v1/Probe';
import { healthService } from '../../../actors/serving/health.ts';
import { bundleRoot } from '../../../common/package-root.ts';
import type { LocalContainer } from './local-pod.ts';

const hasTini = spawnSync('tini', ['--version']).status === 0;
const PROBE_EVERY_MS = 200;
const PROBE_TIMEOUT_MS = 2000;

/** A folder of commands that an image has: `ballast`, as built here. */
export function imageCommands(folder: string): string {
  mkdirSync(folder, { recursive: true });
  const main = join(bundleRoot(), 'cli', 'main.js');
  writeFileSync(join(folder, 'ballast'), `#!/bin/sh\nexec "${process.execPath}" "${main}" "$@"\n`);
  chmodSync(join(folder, 'ballast'), 0o755);
  return folder;
}

export class LocalProcess {
  output = '';
  readonly container: LocalContainer;
  readonly #child: ChildProcess;
  readonly #environment: Readonly<Record<string, string>>;

  /** With the container's environment and nothing else, but a PATH that begins with `commands`. */
  constructor(container: LocalContainer, commands: string) {
    this.container = container;
    this.#environment = {
      PATH: `${commands}:${process.env.PATH}:/usr/sbin`,
      ...container.environment,
    };
    const [first = '', ...rest] = container.command;
    const [command = '', ...args] = first === 'tini' && !hasTini ? rest.slice(1) : [first, ...rest];
    this.#child = spawn(command, args, {
      env: this.#environment,
      cwd: '/tmp',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child.once('error', (error) => (this.output += String(error)));
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => (this.output += text));
  }

  get isOver(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** Probes as often as the probe allows failures. @throws Error when it never passes. */
  async untilPasses(probe: IProbe): Promise<void> {
    const { failureThreshold = 3, periodSeconds = 10 } = probe;
    const deadline = performance.now() + failureThreshold * periodSeconds * 1000;
    for (;;) {
      const problem = await this.#problem(probe);
      if (problem === null) return;
      if (this.isOver || performance.now() > deadline)
        throw new Error(`the probe fails: ${problem}\n${this.output}`);
      await delay(PROBE_EVERY_MS);
    }
  }

  /** Null when a probe passes, else why it does not. */
  async #problem({ grpc, httpGet }: IProbe): Promise<string | null> {
    const asked = grpc?.port ?? httpGet?.port ?? '';
    const { ports, portNames } = this.container;
    const port = ports.get(typeof asked === 'number' ? asked : (portNames[asked] ?? 0));
    if (port === undefined) return `port ${asked} is none of the container's`;
    if (grpc !== undefined) return grpcHealth(`127.0.0.1:${port}`, grpc.service ?? '');
    try {
      const { status } = await fetch(`http://127.0.0.1:${port}${httpGet?.path ?? '/'}`);
      return status < 400 ? null : `it answers ${status}`;
    } catch (thrown) {
      return String(thrown);
    }
  }

  /** Runs a command in the container's environment. */
  async execute([command = '', ...args]: readonly string[]): Promise<{
    code: number | null;
    output: string;
  }> {
    const child = spawn(command, args, {
      env: this.#environment,
      cwd: '/tmp',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => (output += text));
    const [code] = (await once(child, 'close')) as [number | null];
    return { code, output };
  }

  /** SIGTERM. Gives the exit code; null when it took too long, and was killed. */
  async terminate(withinSeconds: number): Promise<number | null> {
    if (!this.isOver) this.#child.kill('SIGTERM');
    return this.ended(withinSeconds);
  }

  /** Waits for its end. Gives the exit code; null when it took too long, and was killed. */
  async ended(withinSeconds: number): Promise<number | null> {
    const deadline = performance.now() + withinSeconds * 1000;
    while (!this.isOver && performance.now() < deadline) await delay(20);
    if (!this.isOver) this.#child.kill('SIGKILL');
    return this.#child.exitCode;
  }
}

/** One plain unary call, without TLS and token: that is all the kubelet does. */
export async function grpcHealth(
  address: string,
  service: string,
  timeoutMs = PROBE_TIMEOUT_MS,
): Promise<string | null> {
  const check = healthService().methods.get('check')!;
  const client = new grpc.Client(address, grpc.credentials.createInsecure());
  try {
    return await new Promise<string | null>((resolve) =>
      client.makeUnaryRequest(
        check.path,
        check.requestSerialize,
        check.responseDeserialize,
        { service },
        { deadline: Date.now() + timeoutMs },
        (error, answer) => {
          const { status } = { ...answer } as { readonly status?: string };
          resolve(error !== null ? error.message : status === 'SERVING' ? null : `it answers ${status}`);
        },
      ),
    );
  } finally {
    client.close();
  }
}
