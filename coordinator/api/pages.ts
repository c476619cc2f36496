/** Lists in pages (google.aip.dev/158) and their filters (google.aip.dev/160, as far as the proto says). */
import { RUN_STATES, type RunRecord, type RunState } from '../runs/run-record.ts';
import { invalidField } from './errors.ts';

export interface PageRequest {
  readonly pageSize: number;
  readonly pageToken: string;
}

export interface PageLimits {
  /** Where the request says 0. */
  readonly usual: number;
  readonly most: number;
}

/**
 * One page of `items`, which are in order of their keys, ascending as `compare` has it. The token is the last key of the
 * page before, so that items that come or go meanwhile neither repeat nor hide others.
 */
export function pageOf<Item>(
  items: readonly Item[],
  keyOf: (item: Item) => string,
  { pageSize, pageToken }: PageRequest,
  { usual, most }: PageLimits,
  compare: (a: string, b: string) => number = (a, b) => (a < b ? -1 : a > b ? 1 : 0),
): { page: Item[]; nextPageToken: string } {
  if (pageSize < 0) throw invalidField('page_size', pageSize, 'must be 0 or more');
  const size = Math.min(most, pageSize === 0 ? usual : pageSize);
  const after = pageToken === '' ? null : decodeToken(pageToken);
  const rest = after === null ? items : items.filter((item) => compare(keyOf(item), after) > 0);
  const page = rest.slice(0, size);
  const last = page.at(-1);
  const hasMore = rest.length > size && last !== undefined;
  return { page, nextPageToken: hasMore ? encodeToken(keyOf(last)) : '' };
}

const TOKEN_PREFIX = 'after:';

function encodeToken(key: string): string {
  return Buffer.from(TOKEN_PREFIX + key).toString('base64url');
}

function decodeToken(token: string): string {
  const text = Buffer.from(token, 'base64url').toString('utf8');
  if (!text.startsWith(TOKEN_PREFIX))
    throw invalidField('page_token', token, 'not a token that this server gave');
  return text.slice(TOKEN_PREFIX.length);
}

/** `state = RUNNING AND labels.team = vision` as a condition. @throws ApiError naming the part that cannot be read. */
export function parseRunFilter(filter: string): (record: RunRecord) => boolean {
  if (filter.trim() === '') return () => true;
  const conditions = filter.split(/\s+AND\s+/).map(parseCondition);
  return (record) => conditions.every((holds) => holds(record));
}

function parseCondition(text: string): (record: RunRecord) => boolean {
  const [, field, quoted, bare] =
    /^\s*(state|labels\.[\w./-]+)\s*=\s*(?:"([^"]*)"|([\w./-]+))\s*$/.exec(text) ?? [];
  const value = quoted ?? bare;
  if (field === undefined || value === undefined) {
    throw invalidField('filter', text, "write 'state = RUNNING' or 'labels.NAME = VALUE', joined by AND");
  }
  if (field !== 'state') {
    const label = field.slice('labels.'.length);
    return ({ labels }) => labels[label] === value;
  }
  const state = value.toLowerCase().replace(/^state_/, '');
  if (!RUN_STATES.includes(state as RunState)) {
    const known = RUN_STATES.map((name) => name.toUpperCase()).join(', ');
    throw invalidField('filter', value, `no such state; use one of ${known}`);
  }
  return (record) => record.state === state;
}
