/** `npm run cluster`: a cluster of this machine (local-cluster.ts) with KEDA and Prometheus, until SIGINT or SIGTERM. */
import { once } from 'node:events';
import { LocalCluster, whyNoLocalCluster } from './local-cluster.ts';

const missing = whyNoLocalCluster({ hasKeda: true });
if (missing === null) {
  const ended = Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
  const cluster = await LocalCluster.start({ hasKeda: true });
  process.stdout.write(
    `export KUBECONFIG=${cluster.kubeconfig}\nexport BALLAST_E2E_VALUES=${cluster.values}\n`,
  );
  await ended;
  await cluster.stop();
} else {
  process.stderr.write(`No cluster can be here: ${missing}\n`);
  process.exitCode = 1;
}
