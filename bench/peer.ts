/**
 * A Python peer against which benchmarks are measured in the same run; BALLAST_PEER_PYTHON names it, otherwise it is
 * left out.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { packageRoot } from '../common/package-root.ts';

export interface Peer {
  /** Sends one request and resolves with its answer. Throws Error when the peer dies, or answers with an error. */
  ask(request: object): Promise<Record<string, unknown>>;
  close(): Promise<void>;
}

/** The interpreter; if none is named, null, and a line on stderr that lists its required packages. */
export function peerPython(needs: string): string | null {
  const python = process.env['BALLAST_PEER_PYTHON'];
  if (python !== undefined && python !== '') return python;
  process.stderr.write(`no peer: set BALLAST_PEER_PYTHON to a Python that has ${needs}\n`);
  return null;
}

/** Path of bench/peer/SCRIPT. */
export function peerScript(script: string): string {
  return join(packageRoot(), 'bench', 'peer', script);
}

/** Starts a script of bench/peer; null, with a line on stderr, if no interpreter is named. */
export function startPeer(script: string, needs = 'PyTorch and safetensors'): Peer | null {
  const python = peerPython(needs);
  if (python === null) return null;
  const child = spawn(python, [peerScript(script)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    ask: async (request) => {
      child.stdin.write(`${JSON.stringify(request)}\n`);
      const line: IteratorResult<string, unknown> = await lines.next();
      if (line.done === true) throw new Error(`the peer ${script} ended; its messages are above`);
      const answer = JSON.parse(line.value) as Record<string, unknown>;
      if (typeof answer['error'] === 'string') throw new Error(`the peer ${script}: ${answer['error']}`);
      return answer;
    },
    close: async () => {
      const ended = once(child, 'exit');
      child.stdin.end();
      await ended;
    },
  };
}
