/** Answers of a forked process of a benchmark. */
import { once } from 'node:events';
import type { ChildProcess } from 'node:child_process';

/** The next message. Throws Error when the process ends before it, or the signal's reason. */
export async function answerOf<T>(child: ChildProcess, signal?: AbortSignal): Promise<T> {
  const ended = new AbortController();
  const message = once(child, 'message', {
    signal: signal === undefined ? ended.signal : AbortSignal.any([ended.signal, signal]),
  });
  const onExit = (code: number | null, by: NodeJS.Signals | null) =>
    ended.abort(new Error(`its process ended with ${by ?? code}; its messages are above`));
  child.once('exit', onExit);
  try {
    return ((await message) as [T])[0];
  } catch (thrown) {
    throw signal?.aborted === true ? signal.reason : ended.signal.aborted ? ended.signal.reason : thrown;
  } finally {
    child.off('exit', onExit);
  }
}
