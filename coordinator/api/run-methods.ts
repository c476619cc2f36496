/** The public API's methods that make, show, stop and resume runs. */
import type { Implementation } from '../../actors/proto/protos.ts';
import type { CoordinatorServiceHandlers } from '../../gen/ballast/v1/CoordinatorService.ts';
import type { Run } from '../../gen/ballast/v1/Run.ts';
import { UserError } from '../../common/errors.ts';
import { NO_FACTS } from '../runs/run-facts.ts';
import type { RunRecord } from '../runs/run-record.ts';
import { ApiError, invalidField, precondition } from './errors.ts';
import { parseRunFilter } from './filter.ts';
import { parseRunOrder } from './order.ts';
import { parseRunName } from './names.ts';
import { pageOf } from './pages.ts';
import { readMask } from './read-mask.ts';
import { runName, toRun } from './resources.ts';
import { recordOf } from './run-request.ts';
import type { RunView } from './run-fields.ts';
import type { ApiCall } from './server.ts';
import type { ApiParts } from './parts.ts';
import type { RunLookup } from './run-lookup.ts';
import { sizeOf } from './sizes.ts';
import { checkLength, MAX_CHARACTERS } from './text-limits.ts';
import { watchRun } from './watch.ts';

type All = Implementation<CoordinatorServiceHandlers, ApiCall>;
type Shown = Pick<All, 'getRun' | 'listRuns' | 'watchRun'>;
type Changed = Pick<All, 'createRun' | 'cancelRun' | 'resumeRun' | 'deleteRun'>;

const PAGES = { usual: 50, most: 500 };

export function runMethods(parts: ApiParts, lookup: RunLookup): Shown & Changed {
  const told = new Set<string>();
  /** A damaged folder is no reason to hide a run, or the others: its record is shown, without what the folder has. */
  const viewOf = async (record: RunRecord): Promise<RunView> => {
    try {
      return { record, facts: await lookup.facts(record) };
    } catch (thrown) {
      if (!(thrown instanceof UserError)) throw thrown;
      if (!told.has(thrown.message)) parts.log.warn(thrown.message, { run: record.id });
      told.add(thrown.message);
      return { record, facts: NO_FACTS };
    }
  };
  const show = ({ record, facts }: RunView) => toRun(record, facts, parts.showPath);
  const describe = async (record: RunRecord) => show(await viewOf(record));
  return { ...showing(parts, lookup, viewOf, show), ...changing(parts, lookup, describe) };
}

function showing(
  { runs, journals }: ApiParts,
  lookup: RunLookup,
  viewOf: (record: RunRecord) => Promise<RunView>,
  show: (view: RunView) => Run,
): Shown {
  return {
    async getRun({ name, readMask: mask }) {
      const pick = readMask<Run>(mask, 'Run');
      return pick(show(await viewOf(lookup.run(name))));
    },
    async listRuns(request) {
      const { filter, orderBy, readMask: mask } = request;
      const [isMeant, order, pick] = [
        parseRunFilter(filter),
        parseRunOrder(orderBy),
        readMask<Run>(mask, 'Run'),
      ];
      const views = await Promise.all(runs.list().map(viewOf));
      const { page, nextPageToken } = await pageOf(request, {
        items: views.filter(isMeant),
        ...{ order, limits: PAGES, scope: ['ListRuns', filter, orderBy] },
        toMessage: (view) => pick(show(view)),
        sizeOf: sizeOf('Run'),
      });
      return { runs: page, nextPageToken };
    },
    watchRun({ name, fromSequence, includeProgress }, { signal }) {
      const record = lookup.run(name);
      const { id } = record;
      if (fromSequence < 0) throw invalidField('from_sequence', fromSequence, 'must be 0 or more');
      const current = () => runs.get(id) ?? record; // one that is deleted has ended
      const settled = () => runs.settled(id);
      return watchRun({ journals, current, settled, fromSequence, includeProgress, signal });
    },
  };
}

function changing(
  { runs, confine }: ApiParts,
  lookup: RunLookup,
  describe: (record: RunRecord) => Promise<Run>,
): Changed {
  return {
    async createRun(request) {
      const record = await recordOf(request, confine);
      const made = await runs.create(record);
      if (made === null) throw runExists(record);
      return describe(sameWish(record, made));
    },
    cancelRun: async ({ name }) => describe(await runs.cancel(lookup.run(name).id)),
    async resumeRun({ name, requestId }) {
      checkLength(requestId, 'request_id', MAX_CHARACTERS.requestId);
      const { id, state, resumeRequestId } = lookup.run(name);
      const isRepeated = requestId !== '' && requestId === resumeRequestId;
      if (state === 'succeeded' && !isRepeated) {
        const message = `${runName(id)} has succeeded; there is nothing to resume`;
        throw precondition('RUN_SUCCEEDED', runName(id), message);
      }
      return describe(await runs.resume(id, requestId));
    },
    async deleteRun({ name, allowMissing }) {
      const id = parseRunName(name);
      if (runs.get(id) === undefined && ((await runs.deleteUnreadable(id)) || allowMissing)) return {};
      const record = lookup.run(name);
      if (await runs.delete(record.id)) return {};
      const message = `${runName(id)} is ${record.state}; cancel it first`;
      throw precondition('RUN_NOT_ENDED', runName(id), message);
    },
  };
}

function runExists({ id }: RunRecord): ApiError {
  return new ApiError({
    code: 'ALREADY_EXISTS',
    reason: 'RUN_EXISTS',
    message: `${runName(id)} is there already; choose another run_id`,
    metadata: { field: 'run_id', value: id, resource: runName(id) },
  });
}

/** The run that this request created, now or earlier. @throws ApiError when the earlier request differed. */
function sameWish(asked: RunRecord, made: RunRecord): RunRecord {
  if (asked.request?.digest === made.request?.digest) return made;
  throw new ApiError({
    code: 'ALREADY_EXISTS',
    reason: 'REQUEST_ID_USED',
    message: `request_id '${made.request!.id}' made ${runName(made.id)}, which is another run than this one`,
    metadata: { field: 'request_id', value: made.request!.id, resource: runName(made.id) },
  });
}
