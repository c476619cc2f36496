/** Configuration of a command other than a run: a file, overridden by flags, by the command's own schema. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { z } from 'zod';
import { layerFlags, loadConfigFile } from '../../config/load.ts';
import { mergeConfig, type PlainObject } from '../../config/merge.ts';
import { parseStrict } from '../../config/validation.ts';
import { configFromFlags, type Flag } from '../base/flags.ts';

/** Reads `--config` and flags, then lets `complete` add what follows from them. Relative data paths are relative to `cwd`. Throws UserError that names the field. */
export async function configOf<Schema extends z.ZodType>(
  command: Command,
  schema: Schema,
  flags: readonly Flag[],
  cwd: string,
  complete: (values: PlainObject) => PlainObject = (values) => values,
): Promise<z.output<Schema>> {
  const { config: file } = command.opts<{ config?: string }>();
  const source = layerFlags(
    file === undefined ? null : await loadConfigFile(resolve(cwd, file)),
    configFromFlags(command, flags),
  );
  return parseStrict(schema, mergeConfig({ data: {} }, complete(source.values)), source.locate);
}
