/** The output of a command: text for people, or JSON for programs. */
import type { CommandContext } from './context.ts';

export class CommandOutput {
  readonly isJson: boolean;
  readonly #context: CommandContext;

  constructor(context: CommandContext, isJson: boolean) {
    this.#context = context;
    this.isJson = isJson;
  }

  text(text: string): void {
    this.#context.stdout.write(text);
  }

  json(value: object): void {
    this.#context.stdout.write(`${JSON.stringify(value)}\n`);
  }

  /** A line for people, or the same as an object for programs. */
  say(line: string, value: object): void {
    if (this.isJson) this.json(value);
    else this.text(`${line}\n`);
  }

  /** A JSON line for each item, or all of them as a table. */
  list<Item extends object>(items: readonly Item[], table: (items: readonly Item[]) => string): void {
    if (this.isJson) for (const item of items) this.json(item);
    else this.text(table(items));
  }

  warn(line: string): void {
    this.#context.stderr.write(`warning: ${line}\n`);
  }
}
