/** The terminal view of a run in progress: redrawn in place on a TTY, plain lines elsewhere. */

import { liveBlock, type TextOutput } from './live-block.ts';
import type { RunEvent } from '../records.ts';
import { advance, noProgress, secondsLeft } from './run-progress.ts';
import { runFrame } from './frame.ts';
import { eventLine, preparationText } from './lines.ts';
import { painter, wantsColour } from './text.ts';
import { redrawer } from './throttle.ts';

export interface TerminalOptions {
  readonly isTTY: boolean;
  /** Used where the stream does not know its width. */
  readonly columns: number;
  /** Milliseconds; monotonic. */
  readonly clock: () => number;
  /** By default on a TTY, unless NO_COLOR is set. */
  readonly colour?: boolean;
}

export interface TerminalView {
  /** `atMs` is when it happened, by the view's clock; now, where it is left out. */
  onEvent(event: RunEvent, atMs?: number): void;
  /** Gives the cursor back; call it on every path. */
  close(): void;
}

const DEFAULT_ROWS = 24;
const TICK_MS = 1000;
/** Between two plain lines about preparation: short ones are not worth a line. */
const PREPARATION_EVERY_S = 10;

function plainView(out: TextOutput, clock: () => number): TerminalView {
  let progress = noProgress(clock());
  let toldAtSeconds = 0;
  return {
    onEvent(event, atMs = clock()) {
      progress = advance(progress, event, atMs);
      if (event.type === 'preparation') {
        if (event.seconds < toldAtSeconds) toldAtSeconds = 0; // another activity, or another part of the data
        if (event.seconds - toldAtSeconds < PREPARATION_EVERY_S) return;
        toldAtSeconds = event.seconds;
        out.write(`${preparationText(event)}\n`);
        return;
      }
      const text = eventLine(event, progress.started?.epochs ?? null, secondsLeft(progress, atMs));
      if (text !== null) out.write(`${text}\n`);
    },
    close: () => undefined,
  };
}

function liveView(out: TextOutput, options: TerminalOptions): TerminalView {
  const { clock } = options;
  const paint = painter(options.colour ?? wantsColour(options.isTTY, process.env));
  const block = liveBlock(out);
  let progress = noProgress(clock());
  const draw = (): void => {
    const columns = Math.max(20, (out.columns ?? options.columns) - 1);
    const rows = Math.max(8, (out.rows ?? DEFAULT_ROWS) - 1);
    block.draw(runFrame(progress, { columns, rows }, paint, clock()));
  };
  const redraw = redrawer(draw, clock);
  // Time passes even without events.
  const ticking = setInterval(() => {
    if (progress.started !== null && progress.end === null) redraw.request();
  }, TICK_MS).unref();
  return {
    onEvent(event, atMs = clock()) {
      progress = advance(progress, event, atMs);
      if (event.type === 'data') {
        block.print([eventLine(event, null, null) ?? '']);
      } else if (event.type === 'finished' || event.type === 'cancelled') {
        redraw.now();
        block.close();
        out.write(`${eventLine(event, null, null) ?? ''}\n`);
      } else if (progress.end === null) {
        redraw.request();
      }
    },
    close() {
      clearInterval(ticking);
      redraw.close();
      block.close();
    },
  };
}

/**
 * A view of one run after another (a new 'started' event begins afresh). On a TTY it redraws at most ten times a
 * second; elsewhere it prints a line per epoch and per notable event.
 */
export function terminalView(out: TextOutput, options: TerminalOptions): TerminalView {
  return options.isTTY ? liveView(out, options) : plainView(out, options.clock);
}
