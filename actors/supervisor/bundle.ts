/** A bundle of a placement group on a node. It has no process, and holds its room until it is removed. */

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
