/** The coordinator's record of a run, in addition to its folder's own files: `run.json`. */
import { createHash } from 'node:crypto';
import { UserError } from '../../common/errors.ts';
import type { RunConfig } from '../../config/run-config.ts';

/** Where a run is in its life; the last three are ends. */
export type RunState = 'queued' | 'running' | 'succeeded' | 'cancelled' | 'failed';

export const RUN_STATES: readonly RunState[] = ['queued', 'running', 'succeeded', 'cancelled', 'failed'];

export interface RunRecord {
  readonly id: string;
  readonly state: RunState;
  /** Why it is in this state, for people. */
  readonly reason: string;
  readonly config: RunConfig;
  /** Share of the workers beside other runs. */
  readonly weight: number;
  readonly labels: Readonly<Record<string, string>>;
  /** The request that made it, so that it makes no second one; null for a request without id. */
  readonly request: { readonly id: string; readonly digest: string } | null;
  /** The last request that resumed it, so that it resumes it no second time; absent where none had an id. */
  readonly resumeRequestId?: string;
  /** Times in ISO 8601. */
  readonly createdAt: string;
  readonly startedAt: string | null;
  readonly endedAt: string | null;
}

const FORMAT = 1;
const RUN_ID = /^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/;

/** 1 to 63 lower-case letters, digits and hyphens; a letter first, no hyphen last. */
export function isRunId(id: string): boolean {
  return RUN_ID.test(id);
}

export function hasEnded({ state }: RunRecord): boolean {
  return state !== 'queued' && state !== 'running';
}

export function encodeRecord(record: RunRecord): string {
  return `${JSON.stringify({ format: FORMAT, ...record }, null, 2)}\n`;
}

/** @throws UserError, naming the file, if the text is not a record of this version. */
export function decodeRecord(text: string, path: string): RunRecord {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (thrown) {
    throw new UserError(`${path} is damaged: it is not JSON`, { cause: thrown });
  }
  if (typeof value !== 'object' || value === null || (value as { format?: unknown }).format !== FORMAT)
    throw new UserError(`${path} was written by another version of ballast`);
  const { format: _, ...record } = value as RunRecord & { format: number };
  return record;
}

/** Of what a request asks for; equal wishes have equal digests. */
export function digestOfWish(wish: object): string {
  return createHash('sha256').update(canonical(wish)).digest('hex');
}

/** JSON with sorted keys. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonical(item)}`).join(',')}}`;
}
