/** CreateRun's request, checked: every mistake names its field and value. */
import type { CreateRunRequest__Output } from '../../gen/ballast/v1/CreateRunRequest.ts';
import { toError, UserError } from '../../common/errors.ts';
import { parseRunConfig, type RunConfig } from '../../config/run-config.ts';
import { type FieldPath, formatPath } from '../../config/validation.ts';
import { digestOfWish, isRunId, type RunRecord } from '../runs/run-record.ts';
import { invalidField } from './errors.ts';
import { fromStruct } from './struct.ts';
import { checkLength, MAX_CHARACTERS } from './text-limits.ts';

const MAX_LABELS = 32;
const LABEL = /^[A-Za-z0-9]([\w./-]{0,61}[A-Za-z0-9])?$/;
const WEIGHTS = { least: 0.01, most: 100 };

/**
 * Resolves a path of a configuration to one on this machine; `field` begins messages. @throws UserError for a path
 * outside the allowed folders.
 */
export type Confine = (path: string, field: string) => Promise<string>;

/** The run that a request asks for, not accepted yet. @throws ApiError */
export async function recordOf(request: CreateRunRequest__Output, confine: Confine): Promise<RunRecord> {
  const { runId, requestId, labels } = request;
  if (runId !== '' && !isRunId(runId)) {
    const rule = 'use 1 to 63 lower-case letters, digits and hyphens, a letter first, no hyphen last';
    throw invalidField('run_id', runId, rule);
  }
  checkLength(requestId, 'request_id', MAX_CHARACTERS.requestId);
  checkLabels(labels);
  const weight = weightOf(request.weight);
  if (request.config === null)
    throw invalidField('config', '', 'is missing; give at least a method and data.source');
  const config = await configOf(fromStruct(request.config, 'config'), confine);
  const now = new Date().toISOString();
  const request_ =
    requestId === '' ? null : { id: requestId, digest: digestOfWish({ runId, weight, labels, config }) };
  return {
    id: runId === '' ? newRunId(config.method, now) : runId,
    state: 'queued',
    reason: 'waits for its turn',
    request: request_,
    createdAt: now,
    startedAt: null,
    endedAt: null,
    ...{ config, weight, labels },
  };
}

/** `iois-20261125-174512-3fa9`. */
function newRunId(method: string, now: string): string {
  const stem = method.toLowerCase().replace(/[^a-z0-9]+/g, '-').slice(0, 36); // prettier-ignore
  const time = now.slice(0, 19).replace(/[-:]/g, '').replace('T', '-');
  return `${stem}-${time}-${crypto.randomUUID().slice(0, 4)}`;
}

function weightOf(weight: number): number {
  if (weight === 0) return 1;
  const { least, most } = WEIGHTS;
  if (weight >= least && weight <= most) return weight;
  throw invalidField('weight', weight, `must be from ${least} to ${most}`);
}

function checkLabels(labels: Readonly<Record<string, string>>): void {
  const entries = Object.entries(labels);
  if (entries.length > MAX_LABELS) throw invalidField('labels', entries.length, `at most ${MAX_LABELS}`);
  const rule = "1 to 63 letters, digits, '-', '_', '.', '/', with a letter or digit at both ends";
  for (const [name, value] of entries) {
    if (!LABEL.test(name)) throw invalidField('labels', name, `name '${name}': ${rule}`);
    if (!LABEL.test(value)) throw invalidField(`labels.${name}`, value, rule);
  }
}

/** Fields that belong to the server. */
const SERVER_FIELDS: readonly FieldPath[] = [['out'], ['eventsUrl'], ['data', 'roots']];

async function configOf(written: Record<string, unknown>, confine: Confine): Promise<RunConfig> {
  for (const path of SERVER_FIELDS) {
    const value = valueAt(written, path);
    if (value !== undefined)
      throw invalidField(`config.${formatPath(path)}`, value, 'is the server’s own; leave it out');
  }
  let last: FieldPath = [];
  const locate = (path: FieldPath) => {
    last = path;
    return 'config';
  };
  let config: RunConfig;
  try {
    config = parseRunConfig(written, locate);
  } catch (thrown) {
    if (!(thrown instanceof UserError)) throw thrown;
    const field = last.length === 0 ? 'config' : `config.${formatPath(last)}`;
    throw invalidField(field, valueAt(written, last), thrown.message.replace(/^config: /, ''), thrown);
  }
  return confined(config, confine);
}

/** With every path inside the server's data folders. */
async function confined(config: RunConfig, confine: Confine): Promise<RunConfig> {
  const { data } = config;
  const inside = async <Path extends string | null>(field: string, path: Path): Promise<Path> => {
    if (path === null) return path;
    try {
      return (await confine(path, `config.${field}`)) as Path;
    } catch (thrown) {
      if (!(thrown instanceof UserError)) throw thrown;
      throw invalidField(`config.${field}`, path, toError(thrown).message, thrown);
    }
  };
  return {
    ...config,
    data: {
      ...data,
      source: data.source === 'fashion-mnist' ? data.source : await inside('data.source', data.source),
      test: await inside('data.test', data.test),
      csv: { ...data.csv, images: await inside('data.csv.images', data.csv.images) },
    },
    prior: await inside('prior', config.prior),
    judge: await inside('judge', config.judge),
  };
}

function valueAt(value: unknown, path: FieldPath): unknown {
  return path.reduce<unknown>(
    (inner, part) =>
      typeof inner === 'object' && inner !== null
        ? (inner as Record<string | number, unknown>)[part]
        : undefined,
    value,
  );
}
