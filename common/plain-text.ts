/**
 * Makes text from outside (names of files, classes, actors; messages of other programs) safe to print: one line without
 * terminal control sequences or forged log lines. All code that prints such text uses this.
 */

/**
 * Whole terminal control sequences, so that no part of them stays readable: CSI (colours, cursor), OSC (titles, links)
 * and similar, then any other escape. A string ends where another begins, so that a text consisting only of beginnings
 * is not scanned to its end from each of them.
 */
const SEQUENCES =
  /(?:\u001b\[|\u009b)[0-?]*[ -/]*[@-~]|(?:\u001b[\]PX^_]|[\u0090\u0098\u009d-\u009f])[^\u0007\u001b\u0090\u0098\u009c-\u009f]*(?:\u0007|\u001b\\|\u009c)|\u001b[ -~]/g;

/** Control and format characters (bidirectional marks too), lone surrogates, line and paragraph separators. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]+/gu;

/** `text` on one line, without control sequences; each run of other unprintable characters becomes one space. */
export function plainText(text: string): string {
  return text.replace(SEQUENCES, '').replace(UNPRINTABLE, ' ');
}

/** The same with at most `most` characters; an ellipsis marks the cut. */
export function clippedText(text: string, most: number): string {
  const plain = plainText(text.slice(0, 4 * most));
  return plain.length > most || text.length > 4 * most ? `${plain.slice(0, most)}…` : plain;
}
