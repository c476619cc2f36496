/** A process of `two-workers.ts`: prepares guided sampling, then answers each message with the seconds of one batch. */
import { guidedSampling } from './compute-cases.ts';

const prepared = await guidedSampling.prepare();
await prepared.run();
process.on('message', () => {
  const start = performance.now();
  void prepared.run().then(() => process.send!((performance.now() - start) / 1000));
});
process.send!(prepared.flops);
