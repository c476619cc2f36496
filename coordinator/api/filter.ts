/**
 * Filters of runs (google.aip.dev/160, as far as docs/api.md says):
 *
 *   filter     = [ all ]
 *   all        = any { "AND" any }
 *   any        = term { "OR" term }                   OR binds tighter than AND, as the AIP has it
 *   term       = [ "NOT" | "-" ] ( "(" all ")" | FIELD OPERATOR VALUE )
 *   OPERATOR   = "=" | "!=" | "<" | "<=" | ">" | ">="
 *
 * Read once from left to right: tokens by a sticky expression that looks at each character once, then one call for each
 * token. A comparison with a field that a run does not have is false, whatever its operator but `!=`.
 */
import { RUN_STATES, type RunState } from '../runs/run-record.ts';
import { invalidField } from './errors.ts';
import { type FieldValue, RUN_FIELD_NAMES, type RunField, runField, type RunView } from './run-fields.ts';
import { checkLength, MAX_CHARACTERS } from './text-limits.ts';

export type Condition = (run: RunView) => boolean;

type Operator = '=' | '!=' | '<' | '<=' | '>' | '>=';
type Token =
  | { readonly kind: 'word' | 'quoted'; readonly text: string }
  | { readonly kind: 'operator'; readonly text: Operator }
  | { readonly kind: '(' | ')' | '-'; readonly text: string };

/** Deeper ones are refused: each level is a call. */
const MAX_DEPTH = 32;
const TOKEN = /[ \t\r\n]*(?:([<>!]=|[=<>])|([()-])|"([^"]*)"|([\w.:+/][\w.:+/-]*))/y;
const RULE = "write FIELD = VALUE (or !=, <, <=, >, >=), joined by AND and OR, as 'state = RUNNING'";

/** Whether a run is meant. @throws ApiError that shows the part which cannot be read. */
export function parseRunFilter(filter: string): Condition {
  checkLength(filter, 'filter', MAX_CHARACTERS.filter);
  const tokens = tokensOf(filter);
  return tokens.length === 0 ? () => true : new Parser(tokens).whole();
}

function tokensOf(filter: string): Token[] {
  const end = filter.trimEnd().length;
  const tokens: Token[] = [];
  TOKEN.lastIndex = 0;
  for (let at = 0; at < end; at = TOKEN.lastIndex) {
    const match = TOKEN.exec(filter);
    if (match === null) throw refused(filter.slice(at, end), RULE);
    const [, operator, sign, quoted, word] = match;
    if (operator !== undefined) tokens.push({ kind: 'operator', text: operator as Operator });
    else if (sign !== undefined) tokens.push({ kind: sign as '(' | ')' | '-', text: sign });
    else if (quoted !== undefined) tokens.push({ kind: 'quoted', text: quoted });
    else tokens.push({ kind: 'word', text: word! });
  }
  return tokens;
}

class Parser {
  readonly #tokens: readonly Token[];
  #at = 0;
  #depth = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  whole(): Condition {
    const condition = this.#all();
    const rest = this.#tokens[this.#at];
    if (rest !== undefined) throw refused(rest.text, `comes where AND, OR or the end should: ${RULE}`);
    return condition;
  }

  #all(): Condition {
    const parts = this.#joined('AND', () => this.#any());
    return (run) => parts.every((holds) => holds(run));
  }

  #any(): Condition {
    const parts = this.#joined('OR', () => this.#term());
    return (run) => parts.some((holds) => holds(run));
  }

  #joined(word: string, part: () => Condition): Condition[] {
    const parts = [part()];
    while (this.#takes('word', word)) parts.push(part());
    return parts;
  }

  #term(): Condition {
    const isNegated = this.#takes('word', 'NOT') || this.#takes('-');
    const holds = this.#takes('(') ? this.#inner() : this.#comparison();
    return isNegated ? (run) => !holds(run) : holds;
  }

  #inner(): Condition {
    if (++this.#depth > MAX_DEPTH) throw refused('(', `parentheses more than ${MAX_DEPTH} deep`);
    const condition = this.#all();
    if (!this.#takes(')')) throw refused(this.#tokens[this.#at]?.text ?? '', "a ')' is missing");
    this.#depth--;
    return condition;
  }

  #comparison(): Condition {
    const [name, operator, ...rest] = this.#tokens.slice(this.#at, this.#at + 4);
    // A negative number is a sign and a word.
    const value = rest[0]?.kind === '-' && rest[1]?.kind === 'word' ? minus(rest[1]) : rest[0];
    if (name?.kind !== 'word') throw refused(name?.text ?? '', RULE);
    const field = runField(name.text);
    if (field === undefined)
      throw refused(name.text, `no such field; there are ${RUN_FIELD_NAMES.join(', ')}`);
    if (operator?.kind !== 'operator' || (value?.kind !== 'word' && value?.kind !== 'quoted'))
      throw refused(`${name.text} ${operator?.text ?? ''} ${value?.text ?? ''}`.trimEnd(), RULE);
    this.#at += value === rest[0] ? 3 : 4;
    return comparison(name.text, field, operator.text, value.text);
  }

  #takes(kind: Token['kind'], text?: string): boolean {
    const token = this.#tokens[this.#at];
    if (token?.kind !== kind || (text !== undefined && token.text !== text)) return false;
    this.#at++;
    return true;
  }
}

function minus({ text }: Token): Token {
  return { kind: 'word', text: `-${text}` };
}

function comparison(name: string, field: RunField, operator: Operator, text: string): Condition {
  const wanted = valueOf(name, field, text);
  if (field.kind === 'state' && operator !== '=' && operator !== '!=')
    throw refused(`${name} ${operator}`, 'states have no order; use = or !=');
  return (run) => holds(field.of(run), operator, wanted);
}

function holds(value: FieldValue, operator: Operator, wanted: string | number): boolean {
  if (operator === '=') return value === wanted;
  if (operator === '!=') return value !== wanted;
  if (value === null) return false;
  if (operator === '<') return value < wanted;
  if (operator === '<=') return value <= wanted;
  return operator === '>' ? value > wanted : value >= wanted;
}

const ISO_TIME = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2}))?$/;

function valueOf(name: string, { kind }: RunField, text: string): string | number {
  if (kind === 'text') return text;
  if (kind === 'state') return stateIndex(text);
  const number = kind === 'number' ? Number(text) : ISO_TIME.test(text) ? Date.parse(text) : NaN;
  if (text !== '' && !Number.isNaN(number)) return number;
  const rule = kind === 'number' ? 'a number' : 'a time as 2026-01-31 or 2026-01-31T12:00:00Z';
  throw refused(text, `${name} is compared with ${rule}`);
}

function stateIndex(text: string): number {
  const state = text.toLowerCase().replace(/^state_/, '');
  const index = RUN_STATES.indexOf(state as RunState);
  if (index >= 0) return index;
  const known = RUN_STATES.map((name) => name.toUpperCase()).join(', ');
  throw refused(text, `no such state; use one of ${known}`);
}

function refused(part: string, problem: string) {
  return invalidField(
    'filter',
    part,
    `${part === '' ? 'it ends too early' : `'${part.slice(0, 60)}'`}: ${problem}`,
  );
}
