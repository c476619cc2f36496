/** The logs of a run's processes, followed while it runs. */
import { button, h, labelled, replace, section } from '../dom.ts';
import type { RunStore } from '../run-store.ts';
import type { Source } from '../source.ts';
import type { View } from './view.ts';

const LOOK_MS = 1000;
const LEVELS = ['all', 'warn and error', 'error'];

export function logsView(store: RunStore, source: Source, id: string): View {
  const choice = h('select');
  const log = new LogBox((name, before) => source.log(id, name, before));
  const element = section(
    'logs',
    'Logs',
    '',
    h('div', { class: 'bar' }, labelled('Process', choice), labelled('Level', log.level), log.earlier),
    log.element,
  );
  choice.addEventListener('change', () => log.open(choice.value));
  lookWhileNear(element, () => store.facts?.state === 'running' && void log.load(false));
  let names = '';
  return {
    element,
    reads: ['facts'],
    update() {
      const logs = store.facts?.logs ?? [];
      element.hidden = !source.isLive || logs.length === 0;
      if (logs.join() === names || element.hidden) return;
      names = logs.join();
      replace(choice, ...processOptions(logs, choice.value));
      if (choice.value !== log.name) log.open(choice.value);
    },
  };
}

function processOptions(logs: readonly string[], selected: string): HTMLElement[] {
  return logs.map((name) =>
    h('option', { value: name, selected: name === selected }, name.replace(/\.log$/, '')),
  );
}

/** Calls `look` every second while `element` is in sight, until it leaves the page. */
function lookWhileNear(element: HTMLElement, look: () => void): void {
  let isNear = false;
  new IntersectionObserver(([entry]) => (isNear = entry?.isIntersecting ?? false)).observe(element);
  const timer = setInterval(() => {
    if (!element.isConnected) return clearInterval(timer);
    if (isNear && !document.hidden) look();
  }, LOOK_MS);
}

/** The end of one log, lines of the chosen level only; `earlier` reads on towards its beginning. */
class LogBox {
  readonly element = h('pre', { class: 'log', tabindex: 0, role: 'region', 'aria-label': 'Log' });
  readonly level = h('select', {}, ...LEVELS.map((name) => h('option', {}, name)));
  readonly earlier = button('Earlier lines', () => void this.load(true));
  readonly #read: (name: string, before: number | null) => ReturnType<Source['log']>;
  #name = '';
  #lines: readonly string[] = [];
  /** Where the first of these lines begins in the file. */
  #from = 0;
  #sizeBytes = -1;

  /** `read` returns the lines of a log that end before a place in it; before its end for null. */
  constructor(read: (name: string, before: number | null) => ReturnType<Source['log']>) {
    this.#read = read;
    this.level.addEventListener('change', () => this.#draw());
  }

  /** Name of the log that is shown; empty before the first. */
  get name(): string {
    return this.#name;
  }

  open(name: string): void {
    [this.#name, this.#lines, this.#from, this.#sizeBytes] = [name, [], 0, -1];
    this.#draw();
    void this.load(false);
  }

  /** Reads the end of the log again, or the lines before those shown. */
  async load(isEarlier: boolean): Promise<void> {
    const name = this.#name;
    if (name === '') return;
    const piece = await this.#read(name, isEarlier ? this.#from : null).catch(() => null);
    if (piece === null || name !== this.#name || (!isEarlier && piece.sizeBytes === this.#sizeBytes)) return;
    this.#lines = isEarlier ? [...piece.lines, ...this.#lines] : piece.lines;
    this.#from = piece.from;
    this.#sizeBytes = piece.sizeBytes;
    this.#draw();
  }

  #draw(): void {
    const { scrollHeight, scrollTop, clientHeight } = this.element;
    const isAtEnd = scrollHeight - scrollTop - clientHeight < 40;
    const shown = this.#lines.map(readLine).filter(({ level }) => isWanted(level, this.level.value));
    replace(this.element, ...shown.map(({ level, text }) => h('span', { class: level }, `${text}\n`)));
    this.earlier.disabled = this.#from === 0;
    if (isAtEnd) this.element.scrollTop = this.element.scrollHeight;
  }
}

/** Whether a line of this level is among those chosen: 'all', 'warn and error' or 'error'. */
function isWanted(level: string, choice: string): boolean {
  return choice === 'all' || level === 'error' || (choice !== 'error' && level === 'warn');
}

function readLine(line: string): { level: string; text: string } {
  try {
    const { time, level, message, ...fields } = JSON.parse(line) as Record<string, unknown>;
    const more = Object.entries(fields).map(
      ([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
    );
    return {
      level: String(level),
      text: `${String(time).slice(11, 23)} ${String(level).padEnd(5)} ${String(message)} ${more.join(' ')}`,
    };
  } catch {
    return { level: 'info', text: line };
  }
}
