/** `ballast model`, `ballast predictions` and `ballast synthesize`: a run's results as files. A file appears only when it is complete. */
import { createHash, randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { UserError } from '../../common/errors.ts';
import { writeFailure, writeFileAtomic } from '../../common/files.ts';
import type { ModelChunk__Output } from '../../gen/ballast/v1/ModelChunk.ts';
import type { SynthesizeRequest } from '../../gen/ballast/v1/SynthesizeRequest.ts';
import type { Api } from './client.ts';
import { resuming, type ResumeOptions } from './resume.ts';

export type ModelFormat = 'FORMAT_SAFETENSORS' | 'FORMAT_ONNX';

export type PredictedSplit = 'SPLIT_VALIDATION' | 'SPLIT_TEST';

export interface Download {
  readonly path: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

const NUMBER_WIDTH = 5;

/**
 * Downloads a run's model; a broken stream resumes where it ended. @throws UserError when the received file differs
 * from the one sent.
 */
export function downloadModel(
  api: Api,
  { name, format, path }: { readonly name: string; readonly format: ModelFormat; readonly path: string },
  options: ResumeOptions,
): Promise<Download> {
  const limits = { signal: options.signal, deadlineMs: Infinity };
  const from = (offset: number) => api.getModel({ name, format, offset }, limits);
  return download({ what: `${name}: the model`, from, path }, options);
}

/** Downloads a split's predictions, in the same way. */
export function downloadPredictions(
  api: Api,
  { name, split, path }: { readonly name: string; readonly split: PredictedSplit; readonly path: string },
  options: ResumeOptions,
): Promise<Download> {
  const limits = { signal: options.signal, deadlineMs: Infinity };
  const from = (offset: number) => api.getPredictions({ name, split, offset }, limits);
  return download({ what: `${name}: the predictions`, from, path }, options);
}

interface Wanted {
  /** Begins messages. */
  readonly what: string;
  /** The file's chunks from a byte on. */
  readonly from: (offset: number) => AsyncIterable<ModelChunk__Output>;
  readonly path: string;
}

async function download(wanted: Wanted, options: ResumeOptions): Promise<Download> {
  const { path } = wanted;
  const temporary = join(dirname(path), `.${basename(path)}.${randomUUID()}.tmp`);
  try {
    await mkdir(dirname(path), { recursive: true });
    const file = await open(temporary, 'wx');
    let received: Omit<Download, 'path'>;
    try {
      received = await receive(wanted, file, options);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    return { path, ...received };
  } catch (thrown) {
    await rm(temporary, { force: true });
    throw writeFailure(path, thrown);
  }
}

async function receive(
  { what, from }: Wanted,
  file: FileHandle,
  options: ResumeOptions,
): Promise<Omit<Download, 'path'>> {
  const hash = createHash('sha256');
  let first: ModelChunk__Output | null = null;
  let length = 0;
  for await (const chunk of resuming(() => from(length), options)) {
    first ??= chunk;
    if (chunk.sha256 !== first.sha256) throw new UserError(`${what} changed on the way; try again`);
    if (chunk.offset !== length) throw damaged(what, `byte ${chunk.offset} came where ${length} was due`);
    await file.writeFile(chunk.data);
    hash.update(chunk.data);
    length += chunk.data.length;
  }
  const sha256 = hash.digest('hex');
  if (first === null || length !== first.sizeBytes)
    throw damaged(what, `${length} of ${first?.sizeBytes ?? 0} bytes came`);
  if (sha256 !== first.sha256) throw damaged(what, `SHA-256 is ${sha256}, not ${first.sha256}`);
  return { sizeBytes: length, sha256 };
}

function damaged(what: string, how: string): UserError {
  return new UserError(`${what} came damaged (${how}); nothing was kept, try again`);
}

/** Writes `CLASS-00001.png` and so on into `dir` as they arrive; resolves to their paths. */
export async function* downloadImages(
  api: Api,
  request: SynthesizeRequest,
  dir: string,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const stem = fileStem(request.className ?? '');
  let number = 0;
  for await (const { png } of api.synthesize(request, { signal, deadlineMs: Infinity })) {
    const path = join(dir, `${stem}-${String(++number).padStart(NUMBER_WIDTH, '0')}.png`);
    await writeFileAtomic(path, png);
    yield path;
  }
  if (number !== request.count)
    throw new UserError(`${request.run}: ${number} of ${request.count} images came; try again`);
}

/** A class's name as the begin of a file's name: no path, no hidden file. */
export function fileStem(className: string): string {
  return className.replace(/[^\p{L}\p{N} ._-]/gu, '_').replace(/^[. ]/, '_');
}
