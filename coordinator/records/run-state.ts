/** The coordinator's state between two epochs: plain JSON, the other half of every checkpoint. */
import { UserError } from '../../common/errors.ts';
import type { EpochRecord } from '../../report/records.ts';

const FORMAT = 1;

/** The state of adaptive sampling from epoch to epoch; `null` before the first measurement. */
export interface SamplingState {
  readonly smoothedAccuracy: readonly number[] | null;
}

export const INITIAL_SAMPLING_STATE: SamplingState = { smoothedAccuracy: null };

export interface RunState {
  /** Complete epochs. */
  readonly epoch: number;
  readonly sampling: SamplingState;
  /** One for each complete epoch. */
  readonly records: readonly EpochRecord[];
  /** Working time so far, over all starts of the run. */
  readonly seconds: number;
  /** Of the data that the run began with; null before the trainer said it. */
  readonly datasetDigest: string | null;
}

export const INITIAL_RUN_STATE: RunState = {
  epoch: 0,
  sampling: INITIAL_SAMPLING_STATE,
  records: [],
  seconds: 0,
  datasetDigest: null,
};

export function encodeRunState(state: RunState): string {
  return `${JSON.stringify({ format: FORMAT, ...state })}\n`;
}

/** Throws UserError, naming `path`, when the text is not a state of this version. */
export function decodeRunState(text: string, path: string): RunState {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (thrown) {
    throw new UserError(
      `${path} is damaged; delete its epoch's commit (epoch-….json) to continue from the one before`,
      {
        cause: thrown,
      },
    );
  }
  if (typeof value !== 'object' || value === null || (value as { format?: unknown }).format !== FORMAT)
    throw new UserError(`${path} was written by another version of ballast; start a new run`);
  const { epoch, sampling, records, seconds, datasetDigest } = value as RunState;
  return { epoch, sampling, records, seconds, datasetDigest };
}
