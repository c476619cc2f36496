/** The coordinator's records as the public API's resources. */
import type { ActorStatus, NodeStatus } from '../../actors/status/status.ts';
import type { Actor } from '../../gen/ballast/v1/Actor.ts';
import type { Epoch } from '../../gen/ballast/v1/Epoch.ts';
import type { Metrics as MetricsMessage } from '../../gen/ballast/v1/Metrics.ts';
import type { Node } from '../../gen/ballast/v1/Node.ts';
import type { Run } from '../../gen/ballast/v1/Run.ts';
import { classRecalls } from '../../report/class-recall.ts';
import type { EpochRecord, Metrics } from '../../report/records.ts';
import type { RunFacts } from '../runs/run-facts.ts';
import type { RunRecord, RunState } from '../runs/run-record.ts';
import { toDuration, toStruct, toTimestamp } from './struct.ts';

export const STATE_NAMES = {
  queued: 'STATE_QUEUED',
  running: 'STATE_RUNNING',
  succeeded: 'STATE_SUCCEEDED',
  cancelled: 'STATE_CANCELLED',
  failed: 'STATE_FAILED',
} as const satisfies Record<RunState, string>;

export function runName(id: string): string {
  return `runs/${id}`;
}

export function epochName(id: string, epoch: number): string {
  return `${runName(id)}/epochs/${epoch}`;
}

/** How a path on this machine is shown to callers. */
export type ShowPath = (path: string) => string;

export function toRun(record: RunRecord, { lastEpoch, result, classes }: RunFacts, showPath: ShowPath): Run {
  const { id, state, reason, config, weight, labels, createdAt, startedAt, endedAt } = record;
  const end = state === 'succeeded' ? result : null;
  return {
    name: runName(id),
    state: STATE_NAMES[state],
    config: toStruct(publicConfig(config, showPath)),
    createTime: toTimestamp(createdAt),
    startTime: toTimestamp(startedAt),
    endTime: toTimestamp(endedAt),
    epoch: lastEpoch?.epoch ?? 0,
    epochs: config.training.epochs,
    classes: [...classes],
    validation: lastEpoch?.validation ? toMetrics(lastEpoch.validation) : null,
    test: end?.test ? toMetrics(end.test) : null,
    weightsDigest: end?.weightsDigest ?? '',
    ...{ reason, weight, labels },
  };
}

/** Without what concerns the server alone, and with paths as CreateRun takes them. */
function publicConfig({ out: _, eventsUrl: __, ...config }: RunRecord['config'], showPath: ShowPath): object {
  const { data, prior, judge } = config;
  const shown = (path: string | null) => (path === null ? null : showPath(path));
  const csv = { ...data.csv, images: shown(data.csv.images) };
  const { roots: ___, ...rest } = data;
  return {
    ...config,
    data: { ...rest, source: showPath(data.source), test: shown(data.test), csv },
    prior: shown(prior),
    judge: shown(judge),
  };
}

export function toMetrics(metrics: Metrics): MetricsMessage {
  const { count, accuracy, balancedAccuracy, macroPrecision, macroF1, mcc, aucOvr, ece } = metrics;
  const { manyShotRecall, mediumShotRecall, fewShotRecall, tailRecall, worstRecall, nll } = metrics;
  return {
    ...{ count, accuracy, balancedAccuracy, macroPrecision, macroF1, mcc, aucOvr, ece },
    ...given({ manyShotRecall, mediumShotRecall, fewShotRecall, tailRecall, worstRecall, nll }),
    perClassRecall: classRecalls(metrics).map((recall) => recall ?? NaN),
    confusion: metrics.confusion.map((row) => ({ predicted: [...row] })),
  };
}

/** Without what was not measured: records of earlier versions lack some, and some runs have no such classes. */
function given<Values extends object>(values: Values): { [K in keyof Values]?: NonNullable<Values[K]> } {
  const entries = Object.entries(values).filter(([, value]) => value !== null && value !== undefined);
  return Object.fromEntries(entries) as { [K in keyof Values]?: NonNullable<Values[K]> };
}

export function toEpoch(id: string, record: EpochRecord): Epoch {
  const { optimizerSteps, trainLoss, syntheticImages, weightsVersion, shardsRedone, fidelity } = record;
  return {
    name: epochName(id, record.epoch),
    ...{ optimizerSteps, trainLoss, syntheticImages, weightsVersion, shardsRedone },
    samplingAccuracy: [...(record.samplingAccuracy ?? [])],
    quota: [...(record.quota ?? [])],
    ...(fidelity ? { fidelity: fidelity.all } : {}),
    classFidelity: (fidelity?.perClass ?? []).map((value, classIndex) => ({
      classIndex,
      ...(value === null ? {} : { fidelity: value }),
    })),
    validation: record.validation ? toMetrics(record.validation) : null,
    synthesisDuration: toDuration(record.synthesisSeconds),
    trainDuration: toDuration(record.trainSeconds),
    evaluateDuration: toDuration(record.evaluateSeconds),
  };
}

export function toActor(status: ActorStatus): Actor {
  const { actorId, type, state, reason, nodeId, incarnation, resources, createdAt } = status;
  return {
    name: `actors/${actorId}`,
    node: nodeId === null ? '' : `nodes/${nodeId}`,
    createTime: toTimestamp(createdAt),
    ...{ type, state, reason, incarnation, resources },
  };
}

export function toNode(status: NodeStatus): Node {
  const { nodeId, state, reason, labels, total, free, actors, startedAt } = status;
  return {
    name: `nodes/${nodeId}`,
    startTime: toTimestamp(startedAt),
    ...{ state, reason, labels, total, free, actors },
  };
}
