/**
 * Ports for programs that have to be told theirs. One that was free a moment ago may be anybody's now, so these lie below
 * those that the system gives away, and each is kept for its holder by a UDP socket on the same number: the system gives
 * that to one process at a time, and takes it back when the process ends, however it ends.
 */
import { createSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';

/** Ports below the first that the system gives away. */
const SPAN = 8000;

/** The first port that the system assigns to callers that ask for any (Linux); 32768 by default. */
function firstGivenAway(): number {
  try {
    return Number(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split(/\s/)[0]);
  } catch {
    return 32_768;
  }
}

/**
 * A port on which nothing listens, kept from other tests for as long as this process lives: the first such one from
 * `from` down, by default one that depends on the process.
 */
export async function keepPort(from = firstGivenAway() - 1 - (process.pid % SPAN)): Promise<number> {
  for (let port = from; port > 1024; port--) if ((await take(port)) && (await isFree(port))) return port;
  throw new Error('every port is kept or in use');
}

/** Whether it is this process's now. */
function take(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const turn = createSocket('udp4');
    turn.once('error', () => turn.close(() => resolve(false)));
    turn.bind({ port, address: '127.0.0.1', exclusive: true }, () => resolve(true));
    turn.unref();
  });
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
