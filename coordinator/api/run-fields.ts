/** The fields that filters and orders of runs may name (docs/api.md lists them), each as one plain value. */
import type { Metrics } from '../../report/records.ts';
import type { RunFacts } from '../runs/run-facts.ts';
import { RUN_STATES, type RunRecord } from '../runs/run-record.ts';

/** A run with the facts from its folder. */
export interface RunView {
  readonly record: RunRecord;
  readonly facts: RunFacts;
}

export type FieldValue = string | number | null;

export interface RunField {
  readonly kind: 'state' | 'text' | 'number' | 'time';
  /** Null where the run has none; times are milliseconds since 1970. */
  readonly of: (run: RunView) => FieldValue;
}

const timeOf = (iso: string | null) => (iso === null ? null : Date.parse(iso));

/** Rates of Metrics that can be compared, by their names in the proto. */
const RATES = {
  accuracy: ({ accuracy }) => accuracy,
  balanced_accuracy: ({ balancedAccuracy }) => balancedAccuracy,
  macro_precision: ({ macroPrecision }) => macroPrecision,
  macro_f1: ({ macroF1 }) => macroF1,
  mcc: ({ mcc }) => mcc,
  auc_ovr: ({ aucOvr }) => aucOvr,
  ece: ({ ece }) => ece,
  nll: ({ nll }) => nll,
  tail_recall: ({ tailRecall }) => tailRecall,
  worst_recall: ({ worstRecall }) => worstRecall,
  few_shot_recall: ({ fewShotRecall }) => fewShotRecall,
} as const satisfies Readonly<Record<string, (metrics: Metrics) => number | null>>;

const FIELDS: ReadonlyMap<string, RunField> = new Map<string, RunField>([
  ['state', { kind: 'state', of: ({ record }) => RUN_STATES.indexOf(record.state) }],
  ['name', { kind: 'text', of: ({ record }) => `runs/${record.id}` }],
  ['method', { kind: 'text', of: ({ record }) => record.config.method }],
  ['weight', { kind: 'number', of: ({ record }) => record.weight }],
  ['epoch', { kind: 'number', of: ({ facts }) => facts.lastEpoch?.epoch ?? 0 }],
  ['epochs', { kind: 'number', of: ({ record }) => record.config.training.epochs }],
  ['create_time', { kind: 'time', of: ({ record }) => timeOf(record.createdAt) }],
  ['start_time', { kind: 'time', of: ({ record }) => timeOf(record.startedAt) }],
  ['end_time', { kind: 'time', of: ({ record }) => timeOf(record.endedAt) }],
  ...Object.entries(RATES).flatMap(([name, rate]) => [
    [`validation.${name}`, rateOf(({ lastEpoch }) => lastEpoch?.validation, rate)] as const,
    [`test.${name}`, rateOf(({ result }) => result?.test, rate)] as const,
  ]),
]);

function rateOf(
  metricsOf: (facts: RunFacts) => Metrics | null | undefined,
  rate: (metrics: Metrics) => number | null,
): RunField {
  const of = ({ facts }: RunView) => {
    const metrics = metricsOf(facts);
    return metrics ? (rate(metrics) ?? null) : null; // records of earlier versions lack some
  };
  return { kind: 'number', of };
}

export const RUN_FIELD_NAMES: readonly string[] = [...FIELDS.keys(), 'labels.NAME'];

const LABELS = 'labels.';

/** The field of a name, as `state`, `labels.team`, `test.accuracy`; undefined for none. */
export function runField(name: string): RunField | undefined {
  if (!name.startsWith(LABELS)) return FIELDS.get(name);
  const label = name.slice(LABELS.length);
  if (label === '') return undefined;
  const of = ({ record: { labels } }: RunView) => (Object.hasOwn(labels, label) ? labels[label]! : null);
  return { kind: 'text', of };
}
