/** The synthesis settings in a shard's request. The network thread reads them, and loads nothing that computes. */
import { parseStrict } from '../../config/validation.ts';
import { synthesisConfigSchema } from '../../config/synthesis-config.ts';
import type { SynthesisConfig } from '../../config/synthesis-config.ts';
import { UserError } from '../../common/errors.ts';

/** Parses `synthesis_json`. Throws UserError naming the field. */
export function parseSynthesis(json: string): SynthesisConfig {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw new UserError('synthesis_json: not JSON', { cause });
  }
  return parseStrict(synthesisConfigSchema, value, () => 'synthesis_json');
}
