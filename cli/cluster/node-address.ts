/** Which node a command asks: `--node`, or BALLAST_NODE; an address, or the folder of a run or node. */
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { UserError } from '../../common/errors.ts';
import { readNodeFile } from './node-file.ts';

/** host:port; an IPv6 host is in brackets. */
const ADDRESS = /^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(\d{1,5})$/;
const MAX_PORT = 65_535;

export function isAddress(text: string): boolean {
  const port = Number(ADDRESS.exec(text)?.[1] ?? 0);
  return port > 0 && port <= MAX_PORT;
}

/** host:port of the node to ask. @throws UserError when nothing names one. */
export async function findNodeAddress(
  given: string | undefined,
  environment: Readonly<Record<string, string | undefined>>,
  cwd: string,
): Promise<string> {
  const source = given === undefined ? 'BALLAST_NODE' : '--node';
  const text = given ?? environment.BALLAST_NODE ?? '';
  if (text === '') {
    throw new UserError('which node? Give --node HOST:PORT or the folder of a run, or set BALLAST_NODE');
  }
  const dir = resolve(cwd, text);
  if (statSync(dir, { throwIfNoEntry: false })?.isDirectory() === true) return readNodeFile(dir);
  const address = text.replace(/^grpc:\/\//, '');
  if (!isAddress(address)) {
    throw new UserError(`${source} ${text}: it is neither HOST:PORT nor a folder that is there`);
  }
  return address;
}
