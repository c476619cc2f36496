/** Ctrl-C and SIGTERM: the first asks to stop cleanly; a second Ctrl-C, or what the command says, ends the process at once. */
import { EXIT } from './failure.ts';

export interface Interrupts {
  /** Aborted by the first signal. */
  readonly signal: AbortSignal;
  /** Which signal came, or null. */
  received(): 'SIGINT' | 'SIGTERM' | null;
  /** From the next turn of the event loop on, signals do what they do by default. */
  release(): void;
}

export interface InterruptOptions {
  /** Called at the first Ctrl-C. */
  readonly notice?: string;
  /** Ends the process at any second signal. By default only a second Ctrl-C does. */
  readonly onSecond?: (name: 'SIGINT' | 'SIGTERM') => void;
}

const RUN_NOTICE = 'Stopping; the last complete epoch is kept. Ctrl-C again ends it at once.';

interface SignalSource {
  on(name: 'SIGINT' | 'SIGTERM' | 'exit', listener: () => void): unknown;
  prependListener(name: 'SIGINT' | 'SIGTERM', listener: () => void): unknown;
  off(name: 'SIGINT' | 'SIGTERM', listener: () => void): unknown;
  exit(code: number): void;
}

/**
 * For a process whose command is over: a signal that comes while its last connections close ends it at once, with the
 * command's exit code instead of the signal's. Node gives up its signal handlers before it frees its heap, so a process
 * that ended by itself could still be killed then: this one leaves by `exit`, which keeps the handlers.
 */
export function keepExitCode(code: number, source: SignalSource = process): void {
  for (const name of ['SIGINT', 'SIGTERM'] as const) source.prependListener(name, () => source.exit(code));
  source.on('exit', () => source.exit(code));
}

/** Listens until `release`. `say` prints a line for a person. */
export function listenForInterrupts(
  say: (line: string) => void,
  source: SignalSource = process,
  { notice = RUN_NOTICE, onSecond }: InterruptOptions = {},
): Interrupts {
  const controller = new AbortController();
  let received: 'SIGINT' | 'SIGTERM' | null = null;
  let isReleased = false;
  const stop = (name: 'SIGINT' | 'SIGTERM') => {
    if (isReleased) return source.exit(name === 'SIGINT' ? EXIT.interrupted : EXIT.terminated);
    if (received !== null) {
      if (onSecond !== undefined) onSecond(name);
      else if (name === 'SIGINT') source.exit(EXIT.interrupted); // children end by themselves when this process is gone
      return;
    }
    received = name;
    if (name === 'SIGINT') say(notice);
    controller.abort(new Error(`stopped by ${name}`));
  };
  const onInterrupt = () => stop('SIGINT');
  const onTerminate = () => stop('SIGTERM');
  source.on('SIGINT', onInterrupt);
  source.on('SIGTERM', onTerminate);
  return {
    signal: controller.signal,
    received: () => received,
    release() {
      isReleased = true;
      // A command that is over reaches `keepExitCode` within this turn: without listeners until then, a signal would kill it.
      setImmediate(() => {
        source.off('SIGINT', onInterrupt);
        source.off('SIGTERM', onTerminate);
      });
    },
  };
}
