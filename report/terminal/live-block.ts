/** Lines at the end of a terminal that are redrawn in place. The cursor is hidden while it lives and comes back in any case. */

/** The part of a stream that a live view needs. */
export interface TextOutput {
  write(text: string): unknown;
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
}

const HIDE_CURSOR = '\u001b[?25l';
const SHOW_CURSOR = '\u001b[?25h';
const ERASE_LINE_END = '\u001b[K';
const ERASE_BELOW = '\u001b[J';

export interface LiveBlock {
  /** Replaces what is drawn. Lines must fit the terminal's width, or the next redraw misses. */
  draw(lines: readonly string[]): void;
  /** Prints lines that stay, above the block. */
  print(lines: readonly string[]): void;
  /** Leaves the last drawing standing and gives the cursor back. */
  close(): void;
}

export function liveBlock(out: TextOutput): LiveBlock {
  let drawn: readonly string[] = [];
  let hidden = false;
  const restore = (): void => {
    if (!hidden) return;
    hidden = false;
    out.write(SHOW_CURSOR);
  };
  const home = (): string => (drawn.length === 0 ? '' : `\u001b[${drawn.length}A`) + '\r';
  const body = (lines: readonly string[]): string =>
    lines.map((text) => text + ERASE_LINE_END + '\n').join('');
  const begin = (): string => {
    if (hidden) return '';
    hidden = true;
    process.once('exit', restore);
    return HIDE_CURSOR;
  };
  return {
    draw(lines) {
      out.write(begin() + home() + body(lines) + ERASE_BELOW);
      drawn = lines;
    },
    print(lines) {
      if (drawn.length === 0) out.write(lines.map((text) => `${text}\n`).join(''));
      else out.write(home() + body(lines) + body(drawn) + ERASE_BELOW);
    },
    close() {
      restore();
      process.removeListener('exit', restore);
      drawn = [];
    },
  };
}
