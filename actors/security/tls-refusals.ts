/**
 * Logs why TLS refused a caller (an expired certificate, one of another authority, none), which the caller itself only
 * sees as a closed connection. gRPC hides its HTTP/2 servers, so this accesses its internals; if they are not found,
 * nothing is logged and nothing else changes.
 */

import type * as grpc from '@grpc/grpc-js';
import type { Http2SecureServer } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import { errorCode } from '../../common/errors.ts';
import type { Log } from '../../common/log.ts';

/** At most one line in this time, so that nobody can fill a disk with connection attempts. */
const QUIET_MS = 1000;

/** Starts to log; the server must be bound. */
export function logRefusedCallers(server: grpc.Server, log: Log): void {
  const { http2Servers } = server as unknown as { http2Servers?: Map<Http2SecureServer, unknown> };
  let toldMs = -Infinity;
  let untold = 0;
  for (const http2 of http2Servers?.keys() ?? []) {
    http2.on('tlsClientError', (error: Error, socket: TLSSocket) => {
      if (performance.now() - toldMs < QUIET_MS) return void untold++;
      toldMs = performance.now();
      // The problem of its certificate, as CERT_HAS_EXPIRED; otherwise the error of the handshake.
      const reason = socket.authorizationError ?? errorCode(error) ?? error.message;
      log.warn('TLS refused a caller', { from: socket.remoteAddress, reason: String(reason), untold });
      untold = 0;
    });
  }
}
