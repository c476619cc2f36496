/** `npm run bench -- NAME [--json] [options]`: measures, prints a table or JSON. Each benchmark is a file here, the larger ones with a folder. */
import { UserError } from '../common/errors.ts';
import { actors } from './actors.ts';
import { autoscale } from './autoscale.ts';
import { broadcast } from './broadcast.ts';
import { compute } from './compute.ts';
import { data } from './data.ts';
import { fidelity } from './fidelity.ts';
import { gpu } from './gpu.ts';
import { scale } from './scale.ts';

type Benchmark = (args: readonly string[]) => Promise<void>;

const BENCHMARKS: Readonly<Record<string, Benchmark>> = {
  ...{ actors, autoscale, broadcast, compute, data, fidelity, gpu, scale },
};

process.env['BALLAST_GRAPH_CACHE'] = 'off'; // compilation is measured too

try {
  const [name = '', ...args] = process.argv.slice(2);
  const benchmark = BENCHMARKS[name];
  if (benchmark === undefined)
    throw new UserError(`unknown benchmark '${name}': use one of ${Object.keys(BENCHMARKS).join(', ')}`);
  await benchmark(args);
} catch (thrown) {
  if (!(thrown instanceof UserError) && !isUnknownOption(thrown)) throw thrown;
  process.stderr.write(`error: ${thrown.message}\n`);
  process.exitCode = 1;
}

function isUnknownOption(thrown: unknown): thrown is Error {
  return thrown instanceof Error && 'code' in thrown && String(thrown.code).startsWith('ERR_PARSE_ARGS_');
}
