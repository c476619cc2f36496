/** One line of the compute benchmark. */

export interface ComputeRow {
  readonly metric: string;
  /** Units per second. */
  readonly ours: number;
  readonly theirs: number | null;
  readonly unit: string;
  readonly peer: string | null;
  readonly ratio: number | null;
  readonly spread: readonly [number, number] | null;
  readonly peakShare: number;
  readonly compileSeconds: number;
}
