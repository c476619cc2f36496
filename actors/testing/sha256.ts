import { createHash } from 'node:crypto';

/** SHA-256 in hex, in one turn of the event loop. */
export function sha256Hex(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
