/**
 * Validates the description of an actor, both where it is requested and on the node that starts it: one clear line for
 * each mistake.
 */

import { isAbsolute, relative, resolve } from 'node:path';
import { UserError } from '../../common/errors.ts';
import { bundleRoot } from '../../common/package-root.ts';
import { clippedText } from '../../common/plain-text.ts';
import { shown } from '../base/checks.ts';
import { checkJsonSize, encodeJson } from '../base/json-value.ts';
import {
  isGroupStrategy,
  isIsolation,
  isLifetime,
  isPlacementStrategy,
  MAX_ARGS_BYTES,
  MAX_DETACHED_BYTES,
  MAX_STATE_BYTES,
} from './status.ts';
import type { ActorSpec, Labels, Resources } from './status.ts';

const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/;
/** Maximum length of an entry module's path, and of the name of a type, service, owner or node. */
const MAX_TEXT_LENGTH = 4096;
/** Maximum total size of all variables, bytes: the system has about two megabytes for them and the node's own. */
const MAX_ENV_BYTES = 64 * 1024;

/** @throws UserError naming the invalid field. */
export function checkSpec(spec: ActorSpec): void {
  const { actorId, name, namespace } = spec;
  checkName('Actor id', actorId);
  if (name !== null) checkName('Actor name', name);
  checkName('Namespace', namespace);
  const where = spec.group === null ? `Actor ${actorId}` : `Bundle ${actorId}`;
  for (const field of ['type', 'entry', 'serviceName', 'near', 'owner'] as const) {
    const text: unknown = spec[field];
    if (text === null && (field === 'near' || field === 'owner')) continue;
    if (typeof text !== 'string' || text.length > MAX_TEXT_LENGTH)
      throw new UserError(
        `${where}, ${field} = ${shown(text)}: it must be text of at most ${MAX_TEXT_LENGTH} characters.`,
      );
  }
  checkResources(where, spec.resources);
  checkLabels(where, spec.labels);
  checkChoices(where, spec);
  checkGroup(where, spec);
  checkNumbers(where, spec);
  checkVariables(where, spec.env);
  encodeJson(spec.args, `${where}, arguments`, MAX_ARGS_BYTES);
  if (spec.lifetime === 'detached') {
    checkJsonSize(
      JSON.stringify(spec),
      `${where}, all that describes it (it is detached)`,
      MAX_DETACHED_BYTES,
    );
  }
}

/** Maximum number of actors in a gang. */
const MAX_GANG = 1000;

/** @throws UserError for actors that cannot be requested in one message, or cannot start together. */
export function checkGang(specs: readonly ActorSpec[]): void {
  if (specs.length > MAX_GANG) {
    throw new UserError(`A gang of ${specs.length} actors: at most ${MAX_GANG} start together.`);
  }
  const inBundle = specs.find(({ bundle }) => bundle !== null);
  if (inBundle !== undefined) {
    throw new UserError(
      `Actor ${inBundle.actorId}, bundle: a gang finds its own room; spawn actors of a placement group one by one.`,
    );
  }
  checkJsonSize(JSON.stringify(specs), `A gang of ${specs.length} actors`, MAX_STATE_BYTES);
}

/** `__proto__` is never a valid name: objects treat it specially. */
const KEY = /^[A-Za-z0-9][A-Za-z0-9_./-]{0,126}$/;
const MAX_KEYS = 100;

/** @throws UserError for impossible resources; `where` begins the message. */
export function checkResources(where: string, resources: Resources): void {
  for (const [name, amount] of entriesOf(where, 'resources', resources)) {
    if (typeof amount !== 'number' || !Number.isFinite(amount) || amount < 0) {
      throw new UserError(`${where}, resources.${name} = ${shown(amount)}: it must be a number, 0 or more.`);
    }
  }
  const gpu = Object.hasOwn(resources, 'gpu') ? resources.gpu! : 0;
  if (gpu > 1 && !Number.isInteger(gpu)) {
    throw new UserError(`${where}, resources.gpu = ${gpu}: use whole cards, or a part of one below 1.`);
  }
}

/** @throws UserError for invalid labels. */
export function checkLabels(where: string, labels: Labels): void {
  for (const [name, value] of entriesOf(where, 'labels', labels)) {
    if (typeof value !== 'string' || value.length > 253) {
      throw new UserError(
        `${where}, labels.${name} = ${shown(value)}: it must be text of at most 253 characters.`,
      );
    }
  }
}

/** The entries of a record, whatever its declared type. */
function entriesOf(where: string, field: string, record: object): [string, unknown][] {
  if (typeof record !== 'object' || record === null || Array.isArray(record))
    throw new UserError(`${where}, ${field} = ${shown(record)}: it must be an object.`);
  const entries = Object.entries(record);
  if (entries.length > MAX_KEYS)
    throw new UserError(`${where}, ${field}: ${entries.length} entries; at most ${MAX_KEYS} are taken.`);
  for (const [name] of entries) {
    if (!KEY.test(name))
      throw new UserError(
        `${where}, ${field}: '${clippedText(name, 40)}' is not a valid name; use up to 127 letters, digits, '-', '_', '.' and '/'.`,
      );
  }
  return entries;
}

function checkChoices(where: string, { isolation, lifetime, placement, group }: ActorSpec): void {
  const refuse = (field: string, value: unknown, choices: string) => {
    throw new UserError(`${where}, ${field} = ${shown(value)}: choose ${choices}.`);
  };
  const isBundle = group !== null;
  if (!isIsolation(isolation) || (isolation === 'none') !== isBundle)
    refuse('isolation', isolation, isBundle ? "'none'" : "'process' or 'thread'");
  if (!isLifetime(lifetime)) refuse('lifetime', lifetime, "'owner' or 'detached'");
  if (isBundle && !isGroupStrategy(placement))
    refuse('strategy', placement, "'pack', 'spread', 'strict-pack' or 'strict-spread'");
  if (!isBundle && !isPlacementStrategy(placement)) refuse('placement', placement, "'pack' or 'spread'");
}

function checkGroup(where: string, { group, bundle, resources }: ActorSpec): void {
  if (bundle !== null) checkName(`${where}, bundle`, bundle);
  if (group === null) return;
  checkName('Placement group', group);
  if (bundle !== null) throw new UserError(`${where}: a bundle lies in no other bundle.`);
  if (Object.values(resources).every((amount) => amount === 0))
    throw new UserError(`${where}: name a resource that it holds, and how much.`);
}

function checkNumbers(where: string, { mailbox, restart }: ActorSpec): void {
  const check = (values: object, least: number) => {
    for (const [field, value] of Object.entries(values) as [string, unknown][]) {
      if (typeof value !== 'number' || !(value >= least))
        throw new UserError(`${where}, ${field} = ${shown(value)}: it must be ${least} or more.`);
    }
  };
  check(mailbox, 1);
  check(restart, 0);
}

/**
 * Variables that make a program run other code, or write to unexpected places: those of Node, the dynamic linker,
 * OpenSSL, the C library, shells, and Ballast itself.
 */
const FORBIDDEN_VARIABLE =
  /^(NODE_|LD_|DYLD_|OPENSSL_|SSL_|GLIBC_|GCONV_|MALLOC_|BALLAST_|NPM_|BASH_|PYTHON|PERL)|^(PATH|ENV|IFS|HOME|TMPDIR|LOCPATH)$/i;
const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;

function checkVariables(actor: string, env: ActorSpec['env']): void {
  if (typeof env !== 'object' || env === null)
    throw new UserError(`${actor}, env = ${shown(env)}: it must be an object.`);
  let sizeBytes = 0;
  for (const [name, value] of Object.entries(env) as [string, unknown][]) {
    const where = `${actor}, variable ${JSON.stringify(name.slice(0, 128))}`;
    if (!VARIABLE.test(name)) throw new UserError(`${where}: use letters, digits and '_'.`);
    if (FORBIDDEN_VARIABLE.test(name)) {
      throw new UserError(`${where} may not be set by a caller: set it where the node is started.`);
    }
    if (typeof value !== 'string') throw new UserError(`${where} = ${shown(value)}: its value must be text.`);
    if (value.includes('\0')) throw new UserError(`${where}: its value holds a zero byte.`);
    sizeBytes += Buffer.byteLength(name) + Buffer.byteLength(value);
  }
  if (sizeBytes > MAX_ENV_BYTES)
    throw new UserError(
      `${actor}, variables: ${sizeBytes} bytes; at most ${MAX_ENV_BYTES} are taken: pass the rest as arguments.`,
    );
}

function checkName(what: string, name: unknown): void {
  if (typeof name !== 'string' || !NAME.test(name))
    throw new UserError(`${what} '${shown(name)}': use 1 to 63 letters, digits, '-' and '_'.`);
}

/**
 * Absolute path of an actor's entry module; empty for a bundle, which runs nothing. @throws UserError when it lies outside
 * the folders that this node runs.
 */
export function resolveEntry({ entry, isolation }: ActorSpec, roots: readonly string[]): string {
  if (isolation === 'none') return '';
  const path = resolve(bundleRoot(), entry);
  const isInside = (root: string) => {
    const inner = relative(root, path);
    return inner !== '' && !inner.startsWith('..') && !isAbsolute(inner);
  };
  if (!roots.some(isInside)) {
    const allowed = 'the folders from which this node runs modules (its own package, and each --entry-root)';
    throw new UserError(`Actor entry '${entry}' lies outside ${allowed}.`);
  }
  return path;
}
