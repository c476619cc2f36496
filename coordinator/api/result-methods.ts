/** The public API's methods that show what a run made: its model, its epochs, its images. */
import type { Implementation } from '../../actors/proto/protos.ts';
import type { CoordinatorServiceHandlers } from '../../gen/ballast/v1/CoordinatorService.ts';
import type { Epoch } from '../../gen/ballast/v1/Epoch.ts';
import type { Image } from '../../gen/ballast/v1/Image.ts';
import type { ListImagesRequest__Output } from '../../gen/ballast/v1/ListImagesRequest.ts';
import type { EpochRecord } from '../../report/records.ts';
import type { RunRecord } from '../runs/run-record.ts';
import { invalidField, notFound, precondition } from './errors.ts';
import { modelChunks, predictionChunks } from './file-chunks.ts';
import { imageOf, imagesOf } from './images.ts';
import { parseEpochName, parseImageName } from './names.ts';
import { byNumbers } from './order.ts';
import { pageOf } from './pages.ts';
import { readMask } from './read-mask.ts';
import { epochName, runName, toEpoch } from './resources.ts';
import type { RunLookup } from './run-lookup.ts';
import type { ApiCall } from './server.ts';
import { sizeOf } from './sizes.ts';
import { checkLength, MAX_CHARACTERS } from './text-limits.ts';

type Methods = Pick<
  Implementation<CoordinatorServiceHandlers, ApiCall>,
  'getModel' | 'getPredictions' | 'getEpoch' | 'listImages' | 'getImages'
>;

const PAGES = { usual: 100, most: 1000 };
const MAX_IMAGE_NAMES = 1000;

export function resultMethods(lookup: RunLookup): Methods {
  return {
    getModel({ name, format, offset }) {
      const record = finished(lookup.run(name), 'model');
      return modelChunks(record.id, lookup.folder(record), format, offset);
    },
    getPredictions({ name, split, offset }) {
      const record = finished(lookup.run(name), 'predictions');
      return predictionChunks(record.id, lookup.folder(record), split, offset);
    },
    async getEpoch({ name, readMask: mask }) {
      const pick = readMask<Epoch>(mask, 'Epoch');
      const { run, epoch } = parseEpochName(name, 'name');
      return pick(toEpoch(run, await epochOf(lookup, lookup.run(runName(run)), epoch)));
    },
    listImages: (request) => pageOfImages(request, lookup),
    getImages: ({ names }, { signal }) => namedImages(names, lookup, signal),
  };
}

async function pageOfImages(request: ListImagesRequest__Output, lookup: RunLookup) {
  const { page, nextPageToken } = await pageOf(request, {
    items: await imagesFor(request, lookup),
    order: byNumbers<Image>(({ name, classIndex }) => {
      const { epoch, image } = parseImageName(name!, 'name');
      return [epoch, classIndex!, image];
    }),
    limits: PAGES,
    scope: ['ListImages', request.parent, request.className],
    toMessage: (image) => image,
    sizeOf: sizeOf('Image'),
  });
  return { images: page, nextPageToken };
}

async function* namedImages(names: readonly string[], lookup: RunLookup, signal: AbortSignal) {
  if (names.length === 0 || names.length > MAX_IMAGE_NAMES)
    throw invalidField('names', names.length, `name 1 to ${MAX_IMAGE_NAMES} images`);
  const wanted = names.map((name, i) => parseImageName(name, `names[${i}]`));
  for (const { run, epoch, image } of wanted) {
    signal.throwIfAborted();
    const folder = lookup.folder(lookup.run(runName(run)));
    yield await imageOf(run, folder, { epoch, image }, await folder.readClasses());
  }
}

/** @throws ApiError for a run that has not succeeded, and so has no `what`. */
function finished(record: RunRecord, what: string): RunRecord {
  if (record.state === 'succeeded') return record;
  const message = `${runName(record.id)} has no ${what}: it is ${record.state}`;
  throw precondition('RUN_NOT_FINISHED', runName(record.id), message);
}

/** @throws ApiError for an epoch that is not complete. */
async function epochOf(lookup: RunLookup, record: RunRecord, epoch: number): Promise<EpochRecord> {
  const { records } = await lookup.folder(record).checkpoints.readState();
  const found = records.find((one) => one.epoch === epoch);
  if (found !== undefined) return found;
  const name = epochName(record.id, epoch);
  const message = `${name}: not complete; the last complete epoch is ${records.at(-1)?.epoch ?? 'none'}`;
  throw notFound('EPOCH_NOT_FOUND', name, message);
}

async function imagesFor(
  { parent, className }: ListImagesRequest__Output,
  lookup: RunLookup,
): Promise<Image[]> {
  checkLength(className, 'class_name', MAX_CHARACTERS.className);
  const { run, epoch } = parseEpochName(parent, 'parent', true);
  const record = lookup.run(runName(run));
  const folder = lookup.folder(record);
  const classes = await folder.readClasses();
  if (className !== '' && !classes.includes(className))
    throw invalidField('class_name', className, `no such class; the run has ${classes.join(', ')}`);
  const all = (await folder.checkpoints.readState()).records;
  const epochs = epoch === null ? all : [await epochOf(lookup, record, epoch)];
  const images = await Promise.all(epochs.map((one) => imagesOf(run, folder, one.epoch, classes)));
  return images.flat().filter((image) => className === '' || image.className === className);
}
