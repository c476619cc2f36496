/** One line about one long job (training a prior, a judge): how far, how fast, how well, how long still. */

import { plainText } from '../../common/plain-text.ts';
import { count, decimal, duration, NO_VALUE, perSecond } from '../format.ts';
import { liveBlock, type TextOutput } from './live-block.ts';
import type { TerminalOptions } from './view.ts';
import { bar, fitColumns, painter, type Paint, wantsColour } from './text.ts';
import { redrawer } from './throttle.ts';

export interface ProgressFacts {
  readonly label: string;
  readonly done: number;
  readonly total: number;
  /** The unit: 'steps'. */
  readonly unit: string;
  /** Units a second; null until it is known. */
  readonly rate: number | null;
  readonly loss: number | null;
}

function factsText({ done, total, unit, rate, loss }: ProgressFacts): string {
  const parts = [`${count(done)}/${count(total)} ${unit}`];
  if (rate !== null) parts.push(`${perSecond(rate)} ${unit}/s`);
  if (loss !== null) parts.push(`loss ${decimal(loss, 4)}`);
  const left = rate !== null && rate > 0 ? duration((total - done) / rate) : NO_VALUE;
  if (done < total) parts.push(`${left} left`);
  return parts.join(', ');
}

/** The line as text of at most `columns`; it contains a bar if there is room. */
export function formatProgress(facts: ProgressFacts, columns: number, paint: Paint): string {
  const text = factsText(facts);
  const label = plainText(facts.label);
  const room = Math.min(30, columns - label.length - text.length - 3);
  if (room < 6) return fitColumns(`${label}: ${text}`, columns);
  const share = facts.total > 0 ? facts.done / facts.total : 0;
  return `${label} ${paint('cyan', bar(share, room, '░'))} ${text}`;
}

export interface ProgressLineOptions extends TerminalOptions {
  readonly label: string;
  readonly total: number;
  readonly unit?: string;
}

export interface ProgressLine {
  /** `done` of the total, with the current loss. */
  update(done: number, loss?: number | null): void;
  /** Prints a line that stays, above the progress. */
  print(text: string): void;
  close(): void;
}

/** Window over which the rate is measured. */
const WINDOW_MS = 20_000;
const PLAIN_INTERVAL_MS = 10_000;

/** Redrawn in place on a TTY; elsewhere a line every ten seconds and one at the end. */
export function progressLine(out: TextOutput, options: ProgressLineOptions): ProgressLine {
  const { clock, label, total, unit = 'steps' } = options;
  const block = options.isTTY ? liveBlock(out) : null;
  const paint = painter(options.isTTY && (options.colour ?? wantsColour(options.isTTY, process.env)));
  let samples: { readonly ms: number; readonly done: number }[] = []; // the rate begins with the first update
  let loss: number | null = null;
  const draw = (): void => {
    const oldest = samples[0];
    const latest = samples.at(-1);
    if (oldest === undefined || latest === undefined) return;
    const rate =
      latest.ms > oldest.ms ? ((latest.done - oldest.done) * 1000) / (latest.ms - oldest.ms) : null;
    const columns = Math.max(20, (out.columns ?? options.columns) - 1);
    const text = formatProgress({ label, done: latest.done, total, unit, rate, loss }, columns, paint);
    if (block !== null) block.draw([text]);
    else out.write(`${text}\n`);
  };
  const redraw = redrawer(draw, clock, options.isTTY ? undefined : PLAIN_INTERVAL_MS);
  return {
    update(done, newLoss) {
      loss = newLoss ?? null;
      samples.push({ ms: clock(), done });
      const recent = samples.findIndex(({ ms }) => ms >= clock() - WINDOW_MS);
      samples = samples.slice(Math.max(0, Math.min(recent, samples.length - 2)));
      if (done >= total) redraw.now();
      else redraw.request();
    },
    print(text) {
      if (block !== null) block.print([plainText(text)]);
      else out.write(`${plainText(text)}\n`);
    },
    close() {
      redraw.close();
      block?.close();
    },
  };
}
