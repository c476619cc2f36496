/** `node.json` in the folder of a run or node: where the node is that works there, for as long as it lives. */
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode, UserError } from '../../common/errors.ts';
import { writeFileAtomic } from '../../common/files.ts';

export const NODE_FILE = 'node.json';

export interface NodeFile {
  /** host:port of the node. */
  readonly address: string;
  readonly pid: number;
  /** ISO 8601. */
  readonly startedAt: string;
}

/** @throws UserError when the folder cannot be written. */
export async function writeNodeFile(dir: string, address: string): Promise<void> {
  const content: NodeFile = { address, pid: process.pid, startedAt: new Date().toISOString() };
  await writeFileAtomic(join(dir, NODE_FILE), `${JSON.stringify(content)}\n`);
}

export async function removeNodeFile(dir: string): Promise<void> {
  await rm(join(dir, NODE_FILE), { force: true });
}

/** Address of the node that works in a folder. @throws UserError when none does. */
export async function readNodeFile(dir: string): Promise<string> {
  const path = join(dir, NODE_FILE);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (thrown) {
    if (errorCode(thrown) !== 'ENOENT') throw thrown;
    throw new UserError(`${dir}: no node works in this folder now (it has no ${NODE_FILE})`, {
      cause: thrown,
    });
  }
  return addressIn(text, path);
}

function addressIn(text: string, path: string): string {
  try {
    const { address } = JSON.parse(text) as Partial<NodeFile>;
    if (typeof address === 'string') return address;
  } catch {
    // Reported below.
  }
  throw new UserError(`${path}: it names no node; remove it if no run is going on there`);
}
