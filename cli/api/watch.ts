/** `ballast watch`: what happens in a run, until it ends, over connections that may break. */
import { setTimeout as delay } from 'node:timers/promises';
import { UserError } from '../../common/errors.ts';
import { plainText } from '../../common/plain-text.ts';
import type { Run__Output } from '../../gen/ballast/v1/Run.ts';
import type { RunEvent__Output } from '../../gen/ballast/v1/RunEvent.ts';
import { type TerminalView, terminalView } from '../../report/terminal/view.ts';
import type { Api } from './client.ts';
import { timeOf, toViewEvent } from './events.ts';
import { toJson } from './json.ts';
import { resuming } from './resume.ts';
import { endLine, hasEnded, runIdOf, stateOf } from './tables.ts';
import type { CommandContext } from '../base/context.ts';
import { Interrupted } from '../base/failure.ts';
import { listenForInterrupts } from '../base/interrupts.ts';
import { plainReason } from '../cluster/client.ts';

export interface WatchOptions {
  /** `runs/{run}` */
  readonly name: string;
  /** First event to show, from 1. */
  readonly fromSequence: number;
  readonly isJson: boolean;
  readonly context: CommandContext;
}

const COLUMNS = 100;
/** Between the end of a stream and the start of the next, for a run that was resumed in between. */
const PAUSE_MS = 500;

/**
 * Shows a run until it ends. @throws UserError when it ends badly; Interrupted at Ctrl-C, which ends only the watching.
 */
export async function watchToEnd(api: Api, options: WatchOptions): Promise<void> {
  const { name, context, isJson } = options;
  const interrupts = listenForInterrupts(() => undefined);
  try {
    const run = await follow(api, options, interrupts.signal);
    if (!isJson && run.state === 'STATE_SUCCEEDED') context.stdout.write(`${endLine(run)}\n`);
    if (run.state === 'STATE_FAILED') throw new UserError(endLine(run));
    if (run.state === 'STATE_CANCELLED')
      throw new UserError(`${endLine(run)}; \`ballast resume ${runIdOf(run)}\` continues it`);
  } catch (thrown) {
    const signalName = interrupts.received();
    if (signalName === null) throw thrown;
    const again = `ballast watch ${name.slice('runs/'.length)}`;
    throw new Interrupted(signalName, `Stopped watching; the run continues. Watch again with: ${again}`);
  } finally {
    interrupts.release();
  }
}

/** Resolves to the run when it has ended. */
async function follow(api: Api, options: WatchOptions, signal: AbortSignal): Promise<Run__Output> {
  const { name, context, isJson } = options;
  const screen = isJson ? jsonScreen(context) : new Screen(context);
  let next = options.fromSequence;
  /** Events from `next` on, and the run once it has ended. */
  async function* open(): AsyncGenerator<
    { readonly event: RunEvent__Output } | { readonly end: Run__Output }
  > {
    for (;;) {
      const request = { name, fromSequence: next, includeProgress: true };
      for await (const event of api.watchRun(request, { deadlineMs: Infinity, signal })) {
        if (event.sequence > 0) next = event.sequence + 1;
        yield { event };
      }
      const run = await api.getRun({ name }, { signal });
      if (hasEnded(run)) {
        yield { end: run };
        return;
      }
      await delay(PAUSE_MS);
    }
  }
  const onLost = (error: Error) =>
    void context.stderr.write(`connection lost (${plainText(plainReason(error))}); trying again\n`);
  try {
    for await (const item of resuming(open, { signal, onLost })) {
      if ('end' in item) return item.end;
      screen.onEvent(item.event);
    }
    throw new Error(`${name}: the stream ended before the run`);
  } finally {
    screen.close();
  }
}

function jsonScreen({ stdout }: CommandContext): Pick<Screen, 'onEvent' | 'close'> {
  return {
    onEvent: (event) => void stdout.write(`${JSON.stringify(toJson(event))}\n`),
    close: () => undefined,
  };
}

/** A line for each state of the run, and a view of what happens while it is in it. */
class Screen {
  readonly #context: CommandContext;
  #view: TerminalView | null = null;

  constructor(context: CommandContext) {
    this.#context = context;
  }

  onEvent(event: RunEvent__Output): void {
    const { stateChanged } = event;
    if (stateChanged) {
      this.close();
      const reason = stateChanged.reason === '' ? '' : `: ${stateChanged.reason}`;
      this.#context.stdout.write(`${plainText(stateOf(stateChanged) + reason)}\n`);
      return;
    }
    const known = toViewEvent(event);
    if (known === null) return;
    this.#view ??= this.#newView();
    this.#view.onEvent(known, timeOf(event, Date.now()));
  }

  close(): void {
    this.#view?.close();
    this.#view = null;
  }

  #newView(): TerminalView {
    const { stdout } = this.#context;
    const columns = stdout.columns ?? COLUMNS;
    return terminalView(stdout, { isTTY: stdout.isTTY === true, columns, clock: () => Date.now() });
  }
}
