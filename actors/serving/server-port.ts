/** The port of a gRPC server: opened, and closed within a time. */
import type { Server, ServerCredentials } from '@grpc/grpc-js';
import { toError } from '../../common/errors.ts';
import { listenFailure } from '../../common/listen-failure.ts';

/** Starts to serve; port 0 takes a free one. Resolves to host:port. @throws Error when the port is in use. */
export function openPort(
  server: Server,
  host: string,
  port: number,
  credentials: ServerCredentials,
): Promise<string> {
  return new Promise((resolve, reject) =>
    server.bindAsync(`${host}:${port}`, credentials, (error, bound) =>
      error === null ? resolve(`${host}:${bound}`) : reject(toError(listenFailure(host, port, error))),
    ),
  );
}

/** Takes no more calls, and closes all connections once calls in progress have ended, or after `graceMs`. */
export async function closePort(server: Server, graceMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
  const timer = setTimeout(() => server.forceShutdown(), graceMs);
  await closed;
  clearTimeout(timer);
}
