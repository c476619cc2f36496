/** Drives one run for `ballast run`: one call does it and streams its events. */
import { basename, resolve } from 'node:path';
import { AsyncQueue } from '../actors/base/async-queue.ts';
import { CallError } from '../actors/base/call-errors.ts';
import type { Implementation } from '../actors/proto/protos.ts';
import type { ActorRuntime } from '../actors/actor/hosted-actor.ts';
import type { CallContext } from '../actors/calls/call.ts';
import { UserError } from '../common/errors.ts';
import { parseRunConfig, resolvePaths, type RunConfig } from '../config/run-config.ts';
import type { RunDriverServiceHandlers } from '../gen/ballast/v1/RunDriverService.ts';
import type { DriveRequest__Output } from '../gen/ballast/v1/DriveRequest.ts';
import type { DriveResponse } from '../gen/ballast/v1/DriveResponse.ts';
import type { RunEvent } from '../report/records.ts';
import { type CrewPlace, spawnCrew } from './crew/crew-node.ts';
import { describeProcess } from './records/environment.ts';
import { renderReport } from './records/render-report.ts';
import { createRunEvents } from './records/run-events.ts';
import { RunFolder } from './records/run-folder.ts';
import { runLoop } from './epoch/run-loop.ts';
import { CoordinatorMetrics, RunMetrics } from './epoch/run-metrics.ts';

export function coordinatorHandlers(
  runtime: ActorRuntime,
): Implementation<RunDriverServiceHandlers, CallContext> {
  const metrics = new CoordinatorMetrics(runtime.registry);
  let isBusy = false;
  return {
    async *drive(request, { signal }) {
      if (isBusy) throw new CallError('FAILED_PRECONDITION', 'this coordinator has a run in progress');
      isBusy = true;
      try {
        yield* streamRun(request, runtime, metrics, signal);
      } finally {
        isBusy = false;
      }
    },
  };
}

/** Events as they arrive; throws the run's error after all of them. */
async function* streamRun(
  request: DriveRequest__Output,
  runtime: ActorRuntime,
  metrics: CoordinatorMetrics,
  signal: AbortSignal,
): AsyncGenerator<DriveResponse> {
  const queue = new AsyncQueue<RunEvent>();
  const run = doRun(request, runtime, metrics, signal, (event) => queue.push(event)).finally(() =>
    queue.close(),
  );
  run.catch(() => undefined); // heard below, after the events
  for await (const event of queue.iterate()) yield { eventJson: JSON.stringify(event) };
  await run;
}

async function doRun(
  request: DriveRequest__Output,
  runtime: ActorRuntime,
  metrics: CoordinatorMetrics,
  signal: AbortSignal,
  onEvent: (event: RunEvent) => void,
): Promise<void> {
  const folder = new RunFolder(resolve(request.runDir));
  const config = await openFolder(request, folder);
  const finished = await folder.readReport();
  if (finished) return onEvent({ type: 'finished', report: finished });
  const crew = await spawnCrew(config, runtime.args as CrewPlace | null, runtime);
  try {
    await runLoop({
      config,
      folder,
      crew,
      events: createRunEvents(runtime.events, onEvent, runtime.log),
      metrics: new RunMetrics(metrics, basename(folder.dir)),
      clock: () => performance.now(),
      signal,
      environment: await describeProcess(),
      renderReport,
    });
  } finally {
    await crew.stop();
  }
}

/** The run's configuration: the request's for a new run; for a resumed one the folder's own, but for the data's place. */
async function openFolder(
  { configJson, resume }: DriveRequest__Output,
  folder: RunFolder,
): Promise<RunConfig> {
  if (resume) {
    const stored = await folder.readConfig();
    // The data may have moved: the loop compares its content with the data at the run's start.
    const { data } = configJson === '' ? stored : parseRunConfig(parseJson(configJson));
    return { ...stored, data, out: folder.dir };
  }
  if (await folder.holdsRun())
    throw new UserError(`${folder.dir} already holds a run; resume it, or choose another folder`);
  const parsed = resolvePaths(parseRunConfig(parseJson(configJson)), process.cwd());
  return { ...parsed, out: folder.dir };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (thrown) {
    throw new UserError('config_json is not JSON', { cause: thrown });
  }
}
