/** The actions of the page: the API's methods, with their checks and their words. */
import type { AnyService } from '../../actors/proto/protos.ts';
import type { RunActions } from '../../dashboard/server/actions.ts';
import type { ApiMethods } from './server.ts';
import { runName } from './resources.ts';
import { toStruct } from './struct.ts';

/** Each call goes through the message of its method, so that the page can ask for nothing that a client could not. */
export function pageActions(
  { methods: known }: Pick<AnyService, 'methods'>,
  methods: ApiMethods,
): RunActions {
  const call = (name: string, request: object) => {
    const { requestSerialize, requestDeserialize } = known.get(name)!;
    const message = requestDeserialize(requestSerialize(request)) as never;
    return methods[name]!(message, { signal: new AbortController().signal });
  };
  return {
    async start(config, id) {
      const made = (await call('createRun', { runId: id, config: toStruct(config) })) as { name?: string };
      return made.name?.replace(/^runs\//, '') ?? id;
    },
    async cancel(id) {
      await call('cancelRun', { name: runName(id) });
    },
    async resume(id) {
      await call('resumeRun', { name: runName(id) });
    },
    async remove(id) {
      await call('deleteRun', { name: runName(id) });
    },
  };
}
