/** How an actor's process knows that its node lives, and the node that the actor does. */

import { CallError } from '../base/call-errors.ts';

/** Calls back when the node's process is gone: the pipe on standard input closes, even after SIGKILL. */
export function whenNodeIsGone(callback: () => void): void {
  let isTold = false;
  const tell = () => {
    if (!isTold) callback();
    isTold = true;
  };
  process.stdin.once('end', tell);
  process.stdin.once('close', tell);
  process.stdin.once('error', tell);
  process.stdin.resume();
}

/** Sends heartbeats until the returned function is called; calls back when the node disowns this process. */
export function startHeartbeat(
  beat: () => Promise<unknown>,
  everyMs: number,
  onDisowned: () => void,
): () => void {
  const timer = setInterval(() => {
    beat().catch((thrown: unknown) => {
      const isDisowned =
        thrown instanceof CallError && (thrown.code === 'FAILED_PRECONDITION' || thrown.code === 'NOT_FOUND');
      if (isDisowned) onDisowned(); // other failures: the node is busy, or gone, which the pipe tells
    });
  }, everyMs);
  return () => clearInterval(timer);
}
