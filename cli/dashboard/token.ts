/**
 * The token of the page: one for each user, in a file that only they can read, so that a browser stays signed in when a
 * command is started again. Where no such file can be kept, a token that ends with the process.
 */
import { lstat, mkdir, readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { errorCode, UserError } from '../../common/errors.ts';
import { writeFileExclusive } from '../../common/files.ts';
import { newToken } from '../../common/tokens.ts';

/** Permission bits of everybody but the owner. */
const OTHERS = 0o077;
const TOKEN = /^blt_[A-Za-z0-9_-]{20,}$/;

export function dashboardTokenPath(environment: Readonly<Record<string, string | undefined>>): string {
  const state = environment['XDG_STATE_HOME'] || join(homedir(), '.local', 'state');
  return join(state, 'ballast', 'dashboard.token');
}

/** The user's token, made at the first call. @throws UserError for a file that others could have read or made */
export async function dashboardToken(path: string): Promise<string> {
  const known = await readToken(path);
  if (known !== null) return known;
  const { token } = newToken();
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    if (await writeFileExclusive(path, `${token}\n`, 0o600)) return token;
  } catch (thrown) {
    if (!(thrown instanceof UserError)) throw thrown;
    return token; // a home that cannot be written: the link holds as long as the process
  }
  return (await readToken(path)) ?? token;
}

async function readToken(path: string): Promise<string | null> {
  try {
    const facts = await lstat(path);
    const isOurs = facts.isFile() && facts.uid === (process.getuid?.() ?? facts.uid);
    if (!isOurs || (facts.mode & OTHERS) !== 0)
      throw new UserError(
        `${path}: others can read or change this token; remove the file, a new one is made`,
      );
    const token = (await readFile(path, 'utf8')).trim();
    if (!TOKEN.test(token)) throw new UserError(`${path} holds no token; remove the file, a new one is made`);
    return token;
  } catch (thrown) {
    if (['ENOENT', 'ENOTDIR', 'EACCES'].includes(errorCode(thrown) ?? '')) return null;
    throw thrown;
  }
}
