/** A real nats-server, where one is installed. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createServer, type AddressInfo } from 'node:net';

export const hasNats = spawnSync('nats-server', ['--version']).status === 0;

export interface NatsServer {
  readonly process: ChildProcess;
  readonly url: string;
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export async function startNats(options: readonly string[]): Promise<NatsServer> {
  const port = await freePort();
  const process = spawn('nats-server', ['-a', '127.0.0.1', '-p', String(port), ...options]);
  await new Promise<void>((resolve, reject) => {
    process.stderr.on('data', (text: Buffer) => {
      if (text.includes('Server is ready')) resolve();
    });
    process.once('exit', (code) => reject(new Error(`nats-server exited with ${code}`)));
  });
  return { process, url: `nats://127.0.0.1:${port}` };
}

export async function stopNats({ process }: NatsServer): Promise<void> {
  const exited = new Promise((resolve) => process.once('exit', resolve));
  process.kill('SIGTERM');
  await exited;
}
