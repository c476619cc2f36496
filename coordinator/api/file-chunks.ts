/** A file of a run's folder as a stream of chunks, from any byte on, each with what the whole file's bytes must be. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { readBounded } from '../../common/bounded-file.ts';
import { errorCode } from '../../common/errors.ts';
import type { RunFolder } from '../records/run-folder.ts';
import { ApiError, invalidField } from './errors.ts';
import { runName } from './resources.ts';

const CHUNK_BYTES = 1024 * 1024;
const MAX_FILE_BYTES = 2 ** 31;

const MODEL_FILES: Readonly<Record<string, string>> = {
  FORMAT_UNSPECIFIED: 'model.safetensors',
  FORMAT_SAFETENSORS: 'model.safetensors',
  FORMAT_ONNX: 'model.onnx',
};

const PREDICTED_SPLITS: Readonly<Record<string, 'validation' | 'test'>> = {
  SPLIT_UNSPECIFIED: 'validation',
  SPLIT_VALIDATION: 'validation',
  SPLIT_TEST: 'test',
};

export interface FileChunk {
  readonly offset: number;
  readonly data: Buffer;
  readonly sizeBytes: number;
  readonly sha256: string;
}

/** The classifier's file from `offset` on. @throws ApiError */
export function modelChunks(
  run: string,
  folder: RunFolder,
  format: string,
  offset: number,
): AsyncGenerator<FileChunk> {
  const file = MODEL_FILES[format];
  if (file === undefined) throw invalidField('format', format, 'must be FORMAT_SAFETENSORS or FORMAT_ONNX');
  return chunksOf(
    { run, path: join(folder.modelDir, file), name: file, reason: 'MODEL_FILE_MISSING' },
    offset,
  );
}

/** A split's predictions as CSV from `offset` on. @throws ApiError, also for a run that has none of this split. */
export function predictionChunks(
  run: string,
  folder: RunFolder,
  split: string,
  offset: number,
): AsyncGenerator<FileChunk> {
  const name = PREDICTED_SPLITS[split];
  if (name === undefined) throw invalidField('split', split, 'must be SPLIT_VALIDATION or SPLIT_TEST');
  const path = folder.predictionsPath(name);
  return chunksOf(
    { run, path, name: `predictions of ${name} images`, reason: 'PREDICTIONS_MISSING' },
    offset,
  );
}

interface Wanted {
  readonly run: string;
  readonly path: string;
  /** As messages say it. */
  readonly name: string;
  readonly reason: 'MODEL_FILE_MISSING' | 'PREDICTIONS_MISSING';
}

async function* chunksOf(wanted: Wanted, offset: number): AsyncGenerator<FileChunk> {
  const bytes = await read(wanted);
  const sizeBytes = bytes.length;
  if (offset < 0 || offset > sizeBytes)
    throw invalidField('offset', offset, `must be from 0 to ${sizeBytes}, the length of the file`);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  for (let at = offset; at < sizeBytes || at === offset; at += CHUNK_BYTES)
    yield { offset: at, data: bytes.subarray(at, at + CHUNK_BYTES), sizeBytes, sha256 };
}

async function read({ run, path, name, reason }: Wanted): Promise<Buffer> {
  try {
    return await readBounded(path, MAX_FILE_BYTES);
  } catch (thrown) {
    if (errorCode(thrown) !== 'ENOENT' && errorCode((thrown as Error).cause) !== 'ENOENT') throw thrown;
    const metadata = { resource: runName(run), file: name };
    throw new ApiError({
      code: 'NOT_FOUND',
      reason,
      message: `${runName(run)}: its folder has no ${name}`,
      metadata,
    });
  }
}
