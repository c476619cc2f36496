/** `ballast model` and `ballast synthesize`: what a run made, as files. Nobody ever sees half of one. */
import { createHash, randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { UserError } from '../common/errors.ts';
import { writeFailure, writeFileAtomic } from '../common/files.ts';
import type { ModelChunk__Output } from '../gen/ballast/v1/ModelChunk.ts';
import type { SynthesizeRequest } from '../gen/ballast/v1/SynthesizeRequest.ts';
import type { Api } from './api-client.ts';
import { resuming, type ResumeOptions } from './api-resume.ts';

export type ModelFormat = 'FORMAT_SAFETENSORS' | 'FORMAT_ONNX';

export interface Model {
  readonly path: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

const NUMBER_WIDTH = 5;

/** Downloads a run's model; a broken stream goes on where it ended. @throws UserError when what came is not what was sent. */
export async function downloadModel(
  api: Api,
  { name, format, path }: { readonly name: string; readonly format: ModelFormat; readonly path: string },
  options: ResumeOptions,
): Promise<Model> {
  const temporary = join(dirname(path), `.${basename(path)}.${randomUUID()}.tmp`);
  try {
    await mkdir(dirname(path), { recursive: true });
    const file = await open(temporary, 'wx');
    let model: Omit<Model, 'path'>;
    try {
      model = await receive(api, { name, format }, file, options);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    return { path, ...model };
  } catch (thrown) {
    await rm(temporary, { force: true });
    throw writeFailure(path, thrown);
  }
}

async function receive(
  api: Api,
  { name, format }: { readonly name: string; readonly format: ModelFormat },
  file: FileHandle,
  options: ResumeOptions,
): Promise<Omit<Model, 'path'>> {
  const hash = createHash('sha256');
  const { signal } = options;
  let first: ModelChunk__Output | null = null;
  let length = 0;
  const openStream = () => api.getModel({ name, format, offset: length }, { signal, deadlineMs: Infinity });
  for await (const chunk of resuming(openStream, options)) {
    first ??= chunk;
    if (chunk.sha256 !== first.sha256)
      throw new UserError(`${name}: the model changed on the way; try again`);
    if (chunk.offset !== length) throw damaged(name, `byte ${chunk.offset} came where ${length} was due`);
    await file.writeFile(chunk.data);
    hash.update(chunk.data);
    length += chunk.data.length;
  }
  const sha256 = hash.digest('hex');
  if (first === null || length !== first.sizeBytes)
    throw damaged(name, `${length} of ${first?.sizeBytes ?? 0} bytes came`);
  if (sha256 !== first.sha256) throw damaged(name, `SHA-256 is ${sha256}, not ${first.sha256}`);
  return { sizeBytes: length, sha256 };
}

function damaged(name: string, how: string): UserError {
  return new UserError(`${name}: the model came damaged (${how}); nothing was kept, try again`);
}

/** Writes `CLASS-00001.png` and so on into `dir` as they come; resolves to their paths. */
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
