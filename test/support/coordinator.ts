/** A `ballast coordinator` of a test, and its API as a client sees it. */
import { dirname, join } from 'node:path';
import { ChannelPool, plainCalls } from '../../actors/calls/channels.ts';
import type { Calls } from '../../actors/proto/protos.ts';
import { toStruct } from '../../coordinator/api/struct.ts';
import { coordinatorService } from '../../coordinator/api/service.ts';
import type { CoordinatorServiceClient } from '../../gen/ballast/v1/CoordinatorService.ts';
import type { Run__Output } from '../../gen/ballast/v1/Run.ts';
import type { RunEvent__Output } from '../../gen/ballast/v1/RunEvent.ts';
import { Cli } from './cli.ts';
import { BUDGET, EPOCHS, SHARD_SIZE, shapesData, shapesPrior } from './suite.ts';

/** Below a test’s own limit. */
const PATIENCE_MS = 840_000;

export type Api = Calls<CoordinatorServiceClient>;

export interface TestCoordinator {
  readonly cli: Cli;
  /** host:port of its node. */
  readonly nodeAddress: string;
  /** host:port of the API. */
  readonly apiAddress: string;
  readonly runsDir: string;
  /** Folder of the node's logs. */
  readonly dir: string;
  readonly api: Api;
  close(): void;
}

/** Starts a coordinator that may read the suite's data; resolves when its API serves. */
export async function startCoordinator(
  folder: string,
  flags: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<TestCoordinator> {
  const data = [await shapesData(), dirname(await shapesPrior())];
  const [runsDir, dir] = [join(folder, 'runs'), join(folder, 'node')];
  const own = [
    '--runs',
    runsDir,
    '--dir',
    dir,
    '--api-port',
    '0',
    ...data.flatMap((path) => ['--data', path]),
  ];
  const cli = Cli.start(['coordinator', ...own, ...flags], { env });
  const [, nodeAddress = ''] = await cli.waitFor(/serves at (\S+:\d+)/);
  const [, apiAddress = ''] = await cli.waitFor(/^api: +(\S+:\d+)$/m);
  const pool = new ChannelPool();
  const api = plainCalls(coordinatorService, pool, apiAddress);
  return { ...{ cli, nodeAddress, apiAddress, runsDir, dir, api }, close: () => pool.close() };
}

/** The suite's tiny run as CreateRun takes it; equal to that of `TinyRun.args`. */
export async function tinyConfig(more: object = {}): Promise<ReturnType<typeof toStruct>> {
  return toStruct(await tinyValues(more));
}

/** The same as a file would have it. */
export async function tinyValues(more: object = {}): Promise<object> {
  return {
    method: 'iois',
    data: { source: await shapesData() },
    prior: await shapesPrior(),
    training: { epochs: EPOCHS, batchSize: 4 },
    synthesis: { budget: BUDGET, shardSize: SHARD_SIZE },
    classifier: { widths: [8, 16], groups: 4 },
    ...more,
  };
}

/** Watches a run to its end; resolves to its stored events. */
export async function eventsOf(api: Api, name: string, fromSequence = 1): Promise<RunEvent__Output[]> {
  const events: RunEvent__Output[] = [];
  for await (const event of api.watchRun({ name, fromSequence }, { deadlineMs: PATIENCE_MS }))
    events.push(event);
  return events;
}

/** The run once it has ended. */
export async function ended(api: Api, name: string): Promise<Run__Output> {
  await eventsOf(api, name);
  return api.getRun({ name });
}

/** Resolves after the first event that `accept` likes. */
export async function whenEvent(
  api: Api,
  name: string,
  accept: (event: RunEvent__Output) => boolean,
): Promise<RunEvent__Output> {
  const request = { name, fromSequence: 1, includeProgress: true };
  for await (const event of api.watchRun(request, { deadlineMs: PATIENCE_MS }))
    if (accept(event)) return event;
  throw new Error(`${name} ended without that event`);
}

/** Progress of synthesis in an epoch: some shards are taken over, others are being made. */
export function inEpoch(epoch: number): (event: RunEvent__Output) => boolean {
  return ({ synthesisProgress }) => synthesisProgress?.epoch === epoch && synthesisProgress.done >= 12;
}
