/**
 * Ports for programs that have to be told theirs. One that was free a moment ago may be anybody's now, so these lie below
 * those that the system gives away, and a folder that only one process can make keeps each for its holder.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { errorCode } from '../../common/errors.ts';

/** Ports below the first that the system gives away. */
const SPAN = 8000;
const held: string[] = [];
process.on('exit', () => held.forEach((turn) => rmSync(turn, { recursive: true, force: true })));

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
  for (let port = from; port > 1024; port--) if (take(port) && (await isFree(port))) return port;
  throw new Error('every port is kept or in use');
}

/** Whether it is this process's now; what an ended process kept is free again. */
function take(port: number): boolean {
  const turn = join(tmpdir(), `ballast-port-${port}`);
  const holder = join(turn, 'pid');
  try {
    mkdirSync(turn);
  } catch (thrown) {
    if (errorCode(thrown) !== 'EEXIST') throw thrown;
    if (isAlive(holder)) return false;
  }
  writeFileSync(holder, String(process.pid));
  held.push(turn);
  return true;
}

function isAlive(holder: string): boolean {
  try {
    process.kill(Number(readFileSync(holder, 'utf8')), 0);
    return true;
  } catch (thrown) {
    return errorCode(thrown) === 'ENOENT' || errorCode(thrown) === 'EPERM'; // just being made, or somebody else's
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
