/** The public API's methods over the coordinator's runs. */
import type { NodeApi } from '../../actors/status/status.ts';
import type { CoordinatorServiceHandlers } from '../../gen/ballast/v1/CoordinatorService.ts';
import type { Implementation } from '../../actors/proto/protos.ts';
import type { Image } from '../../gen/ballast/v1/Image.ts';
import type { ListImagesRequest__Output } from '../../gen/ballast/v1/ListImagesRequest.ts';
import type { EpochRecord } from '../../report/records.ts';
import { RunFolder } from '../run-folder.ts';
import type { Journals } from '../runs/journals.ts';
import { RunFactsCache } from '../runs/run-facts.ts';
import type { RunManager } from '../runs/run-manager.ts';
import type { RunRecord } from '../runs/run-record.ts';
import { ApiError, invalidField, notFound, precondition } from './errors.ts';
import { imageOf, imagesOf } from './images.ts';
import { modelChunks } from './model.ts';
import { parseEpochName, parseImageName, parseRunName } from './names.ts';
import { pageOf, parseRunFilter } from './pages.ts';
import { epochName, runName, type ShowPath, toActor, toEpoch, toNode, toRun } from './resources.ts';
import { type Confine, recordOf } from './run-request.ts';
import type { ApiCall } from './server.ts';
import type { SynthesisOnDemand } from './synthesize.ts';
import { watchRun } from './watch.ts';

export interface ApiParts {
  readonly runs: RunManager;
  readonly journals: Journals;
  readonly dirOf: (run: string) => string;
  readonly node: Pick<NodeApi, 'list' | 'listNodes'>;
  readonly onDemand: SynthesisOnDemand;
  readonly confine: Confine;
  readonly showPath: ShowPath;
}

const RUN_PAGES = { usual: 50, most: 500 };
const IMAGE_PAGES = { usual: 100, most: 1000 };
const STATUS_PAGES = { usual: 100, most: 1000 };
const MAX_IMAGE_NAMES = 1000;

export function apiHandlers(parts: ApiParts): Implementation<CoordinatorServiceHandlers, ApiCall> {
  const { runs, journals, dirOf, node, onDemand, confine, showPath } = parts;

  const known = (name: string, field = 'name'): RunRecord => {
    const id = parseRunName(name, field);
    const record = runs.get(id);
    if (record === undefined)
      throw notFound('RUN_NOT_FOUND', runName(id), `${runName(id)}: there is no such run`);
    return record;
  };
  const folderOf = ({ id }: RunRecord) => new RunFolder(dirOf(id));
  const facts = new RunFactsCache(dirOf);
  const describe = async (record: RunRecord) => toRun(record, await facts.of(record.id), showPath);

  return {
    async createRun(request) {
      const record = await recordOf(request, confine);
      const made = await runs.create(record);
      if (made !== null) return describe(sameWish(record, made));
      throw new ApiError({
        code: 'ALREADY_EXISTS',
        reason: 'RUN_EXISTS',
        message: `${runName(record.id)} is there already; choose another run_id`,
        metadata: { field: 'run_id', value: record.id, resource: runName(record.id) },
      });
    },
    getRun: ({ name }) => describe(known(name)),
    async listRuns({ pageSize, pageToken, filter }) {
      const matching = runs.list().filter(parseRunFilter(filter));
      const keyOf = ({ createdAt, id }: RunRecord) => `${createdAt} ${id}`;
      const youngestFirst = (a: string, b: string) => (a > b ? -1 : a < b ? 1 : 0);
      const page = pageOf(matching, keyOf, { pageSize, pageToken }, RUN_PAGES, youngestFirst);
      return { runs: await Promise.all(page.page.map(describe)), nextPageToken: page.nextPageToken };
    },
    watchRun({ name, fromSequence, includeProgress }, { signal }) {
      const { id } = known(name);
      if (fromSequence < 0) throw invalidField('from_sequence', fromSequence, 'must be 0 or more');
      const current = () => runs.get(id)!;
      return watchRun({ journals, current, fromSequence, includeProgress, signal });
    },
    cancelRun: async ({ name }) => describe(await runs.cancel(known(name).id)),
    async resumeRun({ name }) {
      const { id, state } = known(name);
      if (state === 'succeeded')
        throw precondition(
          'RUN_SUCCEEDED',
          runName(id),
          `${runName(id)} has ended well; there is nothing to resume`,
        );
      return describe(await runs.resume(id));
    },
    getModel({ name, format, offset }) {
      const record = known(name);
      if (record.state !== 'succeeded') {
        const message = `${runName(record.id)} has no model: it is ${record.state}`;
        throw precondition('RUN_NOT_FINISHED', runName(record.id), message);
      }
      return modelChunks(record.id, folderOf(record), { format, offset });
    },
    async getEpoch({ name }) {
      const { run, epoch } = parseEpochName(name, 'name');
      const record = known(runName(run));
      const { records } = await folderOf(record).checkpoints.readState();
      const found = records.find((one) => one.epoch === epoch);
      if (found !== undefined) return toEpoch(run, found);
      const message = `${name}: not complete; the last complete epoch is ${records.at(-1)?.epoch ?? 'none'}`;
      throw notFound('EPOCH_NOT_FOUND', epochName(run, epoch), message);
    },
    async listImages(request) {
      const images = await imagesFor(request, known, folderOf);
      const keyOf = ({ name, classIndex }: Image) => imageKey(name!, classIndex!);
      const { page, nextPageToken } = pageOf(images, keyOf, request, IMAGE_PAGES);
      return { images: page, nextPageToken };
    },
    async *getImages({ names }, { signal }) {
      if (names.length === 0 || names.length > MAX_IMAGE_NAMES)
        throw invalidField('names', names.length, `name 1 to ${MAX_IMAGE_NAMES} images`);
      const wanted = names.map((name, i) => parseImageName(name, `names[${i}]`));
      for (const { run, epoch, image } of wanted) {
        signal.throwIfAborted();
        const record = known(runName(run));
        yield await imageOf(run, folderOf(record), { epoch, image }, await folderOf(record).readClasses());
      }
    },
    synthesize: (request, { signal }) => onDemand.synthesize(known(request.run, 'run'), request, signal),
    async listActors(request) {
      const actors = (await node.list()).map(toActor).sort(byName);
      const { page, nextPageToken } = pageOf(actors, ({ name }) => name!, request, STATUS_PAGES);
      return { actors: page, nextPageToken };
    },
    async listNodes(request) {
      const nodes = (await node.listNodes()).map(toNode).sort(byName);
      const { page, nextPageToken } = pageOf(nodes, ({ name }) => name!, request, STATUS_PAGES);
      return { nodes: page, nextPageToken };
    },
  };
}

function byName(a: { name?: string | undefined }, b: { name?: string | undefined }): number {
  return a.name! < b.name! ? -1 : 1;
}

/** The run that this request made, now or before. @throws ApiError when it asked for something else then. */
function sameWish(asked: RunRecord, made: RunRecord): RunRecord {
  if (asked.request?.digest === made.request?.digest) return made;
  throw new ApiError({
    code: 'ALREADY_EXISTS',
    reason: 'REQUEST_ID_USED',
    message: `request_id '${made.request!.id}' made ${runName(made.id)}, which is another run than this one`,
    metadata: { field: 'request_id', value: made.request!.id, resource: runName(made.id) },
  });
}

async function imagesFor(
  { parent, className }: ListImagesRequest__Output,
  known: (name: string) => RunRecord,
  folderOf: (record: RunRecord) => RunFolder,
): Promise<Image[]> {
  const { run, epoch } = parseEpochName(parent, 'parent', true);
  const folder = folderOf(known(runName(run)));
  const classes = await folder.readClasses();
  if (className !== '' && !classes.includes(className))
    throw invalidField('class_name', className, `no such class; the run has ${classes.join(', ')}`);
  const { records } = await folder.checkpoints.readState();
  const epochs = records
    .map((record: EpochRecord) => record.epoch)
    .filter((e) => epoch === null || e === epoch);
  const images = await Promise.all(epochs.map((e) => imagesOf(run, folder, e, classes)));
  return images.flat().filter((image) => className === '' || image.className === className);
}

/** Sorts as the proto says: epoch, class, id. */
function imageKey(name: string, classIndex: number): string {
  const { epoch, image } = parseImageName(name, 'name');
  return [epoch, classIndex, image].map((part) => String(part).padStart(15, '0')).join(' ');
}
