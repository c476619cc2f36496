/** Lets an actor's process detect that its node has died. */

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

/**
 * Kills this process at once, with every process that it started: they form one group, unless somebody started it by
 * hand.
 */
export function killFamily(): void {
  try {
    process.kill(-process.pid, 'SIGKILL');
  } catch {
    process.kill(process.pid, 'SIGKILL');
  }
}
