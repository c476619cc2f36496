import { expect, it } from 'vitest';
import { CallError } from '../../actors/base/call-errors.ts';
import { createLog } from '../../common/log.ts';
import { parseRunConfig } from '../../config/run-config.ts';
import { type CrewRuntime, spawnCrew } from './crew-node.ts';

it('does not fail at its end for an actor on a machine that is cut off, and still ends the others', async () => {
  const ended: string[] = [];
  const lines: string[] = [];
  const runtime = {
    system: {
      node: { list: () => Promise.resolve([]) },
      spawn: (_: unknown, { actorId }: { actorId: string }) => Promise.resolve({ actorId }),
      stop: (actorId: string) => {
        if (actorId === 'diffusion-worker-0')
          return Promise.reject(new CallError('DEADLINE_EXCEEDED', 'the deadline passed'));
        ended.push(actorId);
        return Promise.resolve();
      },
    },
    objects: {},
    log: createLog({ write: (line) => lines.push(line) }),
  } as unknown as CrewRuntime;
  const crew = await spawnCrew(
    parseRunConfig({ data: { source: 'x' }, prior: 'prior.safetensors', workers: 2 }),
    null,
    runtime,
  );
  await crew.stop();
  expect(ended).toEqual(['classifier-trainer', 'diffusion-worker-1']);
  expect(lines).toEqual([expect.stringContaining('"actorId":"diffusion-worker-0"')]);
});
