/** The output of a command during its runs: a live view, plain lines outside a terminal, JSON for programs. */
import { terminalView } from '../../report/terminal/view.ts';
import type { RunEvent } from '../../report/records.ts';

export interface Sink {
  onEvent(event: RunEvent): void;
  close(): void;
}

export interface TextStream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
}

export interface SinkOptions {
  /** One RunEvent a line. */
  readonly json: boolean;
  /** Name of the run, prefixed to each line (or added to each JSON object) when several run at once. */
  readonly label?: string;
}

const DEFAULT_COLUMNS = 100;

/** Where the events of one run go. */
export function createSink(out: TextStream, { json, label }: SinkOptions): Sink {
  if (json) {
    const head = label === undefined ? {} : { run: label };
    return {
      onEvent: (event) => void out.write(`${JSON.stringify({ ...head, ...event })}\n`),
      close: () => undefined,
    };
  }
  const isTTY = out.isTTY === true && label === undefined;
  const target = label === undefined ? out : { write: (text: string) => out.write(`${label}: ${text}`) };
  const columns = out.columns ?? DEFAULT_COLUMNS;
  return terminalView(target, { isTTY, columns, clock: () => performance.now() });
}
