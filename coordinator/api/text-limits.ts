/** How long the texts of requests may be. They are checked before anything looks into them. */
import { invalidField } from './errors.ts';

export const MAX_CHARACTERS = {
  /** Names of resources; the longest has 63 of the run and two numbers. */
  name: 256,
  requestId: 128,
  className: 1024,
  filter: 2048,
  orderBy: 512,
  pageToken: 2048,
  /** Of one path of a read mask. */
  maskPath: 256,
  /** A text within a configuration. */
  configText: 4096,
  configKey: 256,
} as const;

/** @throws ApiError for a text that is longer than its limit. */
export function checkLength(text: string, field: string, most: number): void {
  if (text.length > most)
    throw invalidField(field, text, `has ${text.length} characters; at most ${most} are read`);
}
