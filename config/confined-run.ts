/**
 * The configuration of a run that somebody else asked for (a client of the API): every path that it names is confined to
 * the folders that the server may read, and replaced by the real path. Where the run is written is not theirs to say.
 */
import { confinePath, confineTree } from '../common/confined-path.ts';
import { UserError } from '../common/errors.ts';
import type { RunConfig } from './run-config.ts';

const NAMED_DATA = 'fashion-mnist';

/**
 * The configuration with real paths. `roots` are the folders that may be read; `out` is where the server writes the run.
 * @throws UserError naming the field and the path; the same for a path outside whether it is there or not.
 */
export async function confineRun(
  config: RunConfig,
  roots: readonly string[],
  out: string,
): Promise<RunConfig> {
  const { data, prior, judge } = config;
  if (config.eventsUrl !== null)
    throw new UserError(
      `eventsUrl is '${config.eventsUrl.slice(0, 100)}': the server chooses where events go; leave it out`,
    );
  const tree = (path: string | null, field: string) =>
    path === null ? null : confineTree(path, roots, field);
  const file = (path: string | null, field: string) =>
    path === null ? null : confinePath(path, roots, field);
  return {
    ...config,
    data: {
      ...data,
      source: data.source === NAMED_DATA ? data.source : await confineTree(data.source, roots, 'data.source'),
      test: await tree(data.test, 'data.test'),
      csv: { ...data.csv, images: await tree(data.csv.images, 'data.csv.images') },
      roots: await Promise.all(data.roots.map((path) => confineTree(path, roots, 'data.roots'))),
    },
    prior: await file(prior, 'prior'),
    judge: await file(judge, 'judge'),
    out,
  };
}
