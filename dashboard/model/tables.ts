/** Comparisons and studies of a folder, without what the page does not show of their epochs. */
import { UserError } from '../../common/errors.ts';
import type { ComparisonReport, EpochRecord, Metrics } from '../../report/records.ts';
import { short } from './epochs.ts';
import { readJson } from './folder-facts.ts';

export type TableView =
  | { readonly kind: 'comparison'; readonly report: ComparisonReport }
  | { readonly kind: 'study'; readonly results: Readonly<Record<string, unknown>> };

/** @throws UserError when the folder holds neither */
export async function readTable(dir: string): Promise<TableView> {
  const results = await readJson(dir, 'results.json');
  if (results !== null) return { kind: 'study', results };
  const report = (await readJson(dir, 'report.json')) as ComparisonReport | null;
  if (!Array.isArray(report?.methods)) throw new UserError(`${dir} holds no comparison`);
  return { kind: 'comparison', report: slimComparison(report) };
}

/** A comparison is about curves of methods: matrices and vectors of single epochs stay in the runs. */
export function slimComparison(report: ComparisonReport): ComparisonReport {
  return { ...report, methods: report.methods.map((run) => ({ ...run, epochs: run.epochs.map(slimEpoch) })) };
}

function slimEpoch(record: EpochRecord): EpochRecord {
  const { validation, fidelity } = record;
  return {
    ...record,
    trainLoss: short(record.trainLoss) ?? NaN,
    samplingAccuracy: null,
    quota: null,
    validation: validation ? ({ ...validation, perClassRecall: [], confusion: [] } satisfies Metrics) : null,
    fidelity: fidelity ? { ...fidelity, perClass: [] } : null,
  };
}
