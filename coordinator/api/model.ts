/** A finished run's classifier as a stream of chunks. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode } from '../../common/errors.ts';
import type { ModelChunk } from '../../gen/ballast/v1/ModelChunk.ts';
import type { RunFolder } from '../run-folder.ts';
import { ApiError, invalidField } from './errors.ts';
import { runName } from './resources.ts';

const CHUNK_BYTES = 1024 * 1024;

const FILES: Readonly<Record<string, string>> = {
  FORMAT_UNSPECIFIED: 'model.safetensors',
  FORMAT_SAFETENSORS: 'model.safetensors',
  FORMAT_ONNX: 'model.onnx',
};

/** The file from `offset` on. @throws ApiError */
export async function* modelChunks(
  run: string,
  folder: RunFolder,
  { format, offset }: { readonly format: string; readonly offset: number },
): AsyncGenerator<ModelChunk> {
  const file = FILES[format];
  if (file === undefined) throw invalidField('format', format, 'must be FORMAT_SAFETENSORS or FORMAT_ONNX');
  const bytes = await readModel(run, join(folder.modelDir, file), file);
  if (offset < 0 || offset > bytes.length)
    throw invalidField('offset', offset, `must be from 0 to ${bytes.length}, the length of the file`);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  for (let at = offset; at < bytes.length || at === offset; at += CHUNK_BYTES)
    yield { offset: at, data: bytes.subarray(at, at + CHUNK_BYTES), sizeBytes: bytes.length, sha256 };
}

async function readModel(run: string, path: string, file: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (thrown) {
    if (errorCode(thrown) !== 'ENOENT') throw thrown;
    throw new ApiError({
      code: 'NOT_FOUND',
      reason: 'MODEL_FILE_MISSING',
      message: `${runName(run)}: its folder has no ${file}`,
      metadata: { resource: runName(run), file },
    });
  }
}
