/** Lists in pages (google.aip.dev/158), bounded in items and in bytes. */
import { createHash } from 'node:crypto';
import { invalidField } from './errors.ts';
import type { Key, Order } from './order.ts';
import { checkLength, MAX_CHARACTERS } from './text-limits.ts';

export interface PageRequest {
  readonly pageSize: number;
  readonly pageToken: string;
}

export interface PageLimits {
  /** Where the request says 0. */
  readonly usual: number;
  readonly most: number;
}

export interface Listing<Item, Message> {
  readonly items: readonly Item[];
  readonly order: Order<Item>;
  readonly limits: PageLimits;
  /** The rest of the request: a token serves only requests with the same rest. */
  readonly scope: readonly string[];
  readonly toMessage: (item: Item) => Promise<Message> | Message;
  /** Bytes of a message on the wire. */
  readonly sizeOf: (message: Message) => number;
}

/** Clients take 4 MiB by default. A page ends before the message that would pass this, but holds at least one. */
export const MAX_PAGE_BYTES = 2 * 1024 * 1024;

/**
 * One page. The token is the last key of the page before, so that items that come or go meanwhile neither repeat nor hide
 * others; and a digest of the request, so that it cannot be used with another.
 */
export async function pageOf<Item, Message>(
  { pageSize, pageToken }: PageRequest,
  { items, order, limits, scope, toMessage, sizeOf }: Listing<Item, Message>,
): Promise<{ page: Message[]; nextPageToken: string }> {
  if (pageSize < 0) throw invalidField('page_size', pageSize, 'must be 0 or more');
  const size = Math.min(limits.most, pageSize === 0 ? limits.usual : pageSize);
  const digest = digestOf(scope);
  const after = pageToken === '' ? null : decodeToken(pageToken, digest);
  const rest = items
    .map((item) => ({ item, key: order.keyOf(item) }))
    .filter(({ key }) => after === null || order.compare(key, after) > 0)
    .sort((a, b) => order.compare(a.key, b.key));
  const page: Message[] = [];
  let bytes = 0;
  for (const { item } of rest.slice(0, size)) {
    const message = await toMessage(item);
    bytes += sizeOf(message);
    if (page.length > 0 && bytes > MAX_PAGE_BYTES) break;
    page.push(message);
  }
  const last = rest[page.length - 1];
  const hasMore = rest.length > page.length && last !== undefined;
  return { page, nextPageToken: hasMore ? encodeToken(last.key, digest) : '' };
}

const DIGEST_LENGTH = 16;

function digestOf(scope: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(scope)).digest('base64url').slice(0, DIGEST_LENGTH);
}

function encodeToken(key: Key, digest: string): string {
  return Buffer.from(digest + JSON.stringify(key)).toString('base64url');
}

function decodeToken(token: string, digest: string): Key {
  checkLength(token, 'page_token', MAX_CHARACTERS.pageToken);
  const text = Buffer.from(token, 'base64url').toString('utf8');
  const key = keyIn(text.slice(DIGEST_LENGTH));
  if (key === null) throw invalidField('page_token', token, 'not a token that this server gave');
  if (text.startsWith(digest)) return key;
  const problem =
    'belongs to another request; repeat all of that request but page_size, or begin without a token';
  throw invalidField('page_token', token, problem);
}

function keyIn(text: string): Key | null {
  try {
    const key: unknown = JSON.parse(text);
    const isKey =
      Array.isArray(key) && key.every((part) => part === null || ['string', 'number'].includes(typeof part));
    return isKey ? (key as Key) : null;
  } catch {
    return null;
  }
}
