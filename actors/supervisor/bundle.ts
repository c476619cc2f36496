/** What a bundle of a placement group has instead of a process: it holds its room until it is told to end. */

import type { ActorProcess, ProcessEnd } from './actor-process.ts';

export function holdRoom(): ActorProcess {
  let end: (end: ProcessEnd) => void = () => undefined;
  const ended = new Promise<ProcessEnd>((resolve) => (end = resolve));
  return {
    pid: null,
    ended,
    signal(name) {
      const [exitCode, exitSignal] = name === 'SIGTERM' ? [0, null] : [null, name];
      end({ exitCode, exitSignal, lastLogLines: [], startError: null });
    },
  };
}
