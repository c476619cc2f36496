/** Digests of a checkpoint's files, computed when it is committed and verified before a run continues from it. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { errorCode } from '../../common/errors.ts';

/** SHA-256 (hex) by path within the checkpoint, as `trainer/classifier.safetensors`. */
export type FileDigests = Readonly<Record<string, string>>;

/** Of every file in a folder, folders within it included. */
export async function digestFiles(dir: string): Promise<FileDigests> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(dir.length + 1))
    .sort();
  const digests: [string, string][] = [];
  for (const path of paths) digests.push([path, await digestFile(join(dir, path))]);
  return Object.fromEntries(digests);
}

/** The first file that is missing or has changed; null if all are intact. */
export async function findDamaged(dir: string, digests: FileDigests): Promise<string | null> {
  for (const [path, digest] of Object.entries(digests)) {
    const now = await digestFile(join(dir, path)).catch((thrown: unknown) => {
      if (errorCode(thrown) === 'ENOENT') return null;
      throw thrown;
    });
    if (now !== digest) return join(dir, path);
  }
  return null;
}

async function digestFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}
