/** What a node accepts as an actor: checks with one clear line for each mistake. */

import { isAbsolute, relative, resolve } from 'node:path';
import { UserError } from '../../common/errors.ts';
import { distRoot } from '../../common/package-root.ts';
import type { ActorSpec } from './status.ts';

const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/;

/** @throws UserError naming the field that cannot work. */
export function checkSpec(spec: ActorSpec): void {
  const { actorId, name, namespace, resources, mailbox } = spec;
  checkName(`Actor id '${actorId}'`, actorId);
  if (name !== null) checkName(`Actor name '${name}'`, name);
  checkName(`Namespace '${namespace}'`, namespace);
  for (const [resource, amount] of Object.entries(resources)) {
    if (!Number.isFinite(amount) || amount < 0) {
      throw new UserError(
        `Actor ${actorId}, resources.${resource} = ${amount}: it must be a number, 0 or more.`,
      );
    }
  }
  const { gpu = 0 } = resources;
  if (gpu > 1 && !Number.isInteger(gpu)) {
    throw new UserError(
      `Actor ${actorId}, resources.gpu = ${gpu}: use whole cards, or a part of one below 1.`,
    );
  }
  checkVariables(spec);
  for (const [limit, value] of Object.entries(mailbox)) {
    if (!(value >= 1)) throw new UserError(`Actor ${actorId}, ${limit} = ${value}: it must be 1 or more.`);
  }
}

/**
 * Variables that make a program run other code, or write where it should not: of Node, the dynamic linker, OpenSSL, the C
 * library, shells, and our own.
 */
const FORBIDDEN_VARIABLE =
  /^(NODE_|LD_|DYLD_|OPENSSL_|SSL_|GLIBC_|GCONV_|MALLOC_|BALLAST_|NPM_|BASH_|PYTHON|PERL)|^(PATH|ENV|IFS|HOME|TMPDIR|LOCPATH)$/i;
const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;

function checkVariables({ actorId, env }: ActorSpec): void {
  for (const [name, value] of Object.entries(env)) {
    const where = `Actor ${actorId}, variable ${JSON.stringify(name.slice(0, 128))}`;
    if (!VARIABLE.test(name)) throw new UserError(`${where}: use letters, digits and '_'.`);
    if (FORBIDDEN_VARIABLE.test(name)) {
      throw new UserError(`${where} may not be set by a caller: set it where the node is started.`);
    }
    if (value.includes('\0')) throw new UserError(`${where}: its value holds a zero byte.`);
  }
}

function checkName(what: string, name: string): void {
  if (!NAME.test(name)) throw new UserError(`${what}: use 1 to 63 letters, digits, '-' and '_'.`);
}

/** Absolute path of an entry module. @throws UserError when it lies outside the folders that this node runs. */
export function resolveEntry(entry: string, roots: readonly string[]): string {
  const path = resolve(distRoot(), entry);
  const isInside = (root: string) => {
    const inner = relative(root, path);
    return inner !== '' && !inner.startsWith('..') && !isAbsolute(inner);
  };
  if (!roots.some(isInside)) {
    const allowed = 'the folders that this node runs modules of (its own package, and each --entry-root)';
    throw new UserError(`Actor entry '${entry}' lies outside ${allowed}.`);
  }
  return path;
}
