/** The diffusion worker's compute thread. */
import { serveComputeThread, withTransfer } from '../../actors/compute/compute-worker.ts';
import type { ComputeContext } from '../../actors/compute/compute-worker.ts';
import { engineNamed } from '../../tensor/engine.ts';
import { graphTotals } from '../../tensor/graph-totals.ts';
import { Synthesizer } from './synthesizer.ts';
import type { ShardJob } from './synthesizer.ts';

const synthesizer = new Synthesizer();

const operations = {
  holds: (digests: readonly string[]) => digests.map((digest) => synthesizer.holds(digest)),
  load: ({ digest, bytes }: { digest: string; bytes: Uint8Array }) => synthesizer.load(digest, bytes),
  synthesize: async (job: ShardJob, context: ComputeContext) => {
    const made = await synthesizer.synthesize(job, () => context.throwIfCancelled());
    const facts = await engineNamed(job.engine).describe(job);
    return withTransfer({ ...made, ...facts, graphs: graphTotals() }, [made.images.buffer as ArrayBuffer]);
  },
};
export type WorkerOperations = typeof operations;

serveComputeThread(operations);
