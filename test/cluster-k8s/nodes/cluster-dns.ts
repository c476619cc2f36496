/** CoreDNS, on a machine of the cluster's network: names of Services and pods under `cluster.local`, and none of the world's. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Launched, launch, stopAll } from '../../support/k8s/control-plane.ts';
import type { Host } from '../../support/network.ts';

export class ClusterDns {
  readonly #server: Launched;

  /** Starts it. `kubeconfig` may read Services, EndpointSlices and namespaces. */
  constructor(host: Host, kubeconfig: string, folder: string) {
    const file = join(folder, 'Corefile');
    writeFileSync(
      file,
      `. {\n  errors\n  kubernetes cluster.local {\n    kubeconfig ${kubeconfig}\n  }\n}\n`,
    );
    this.#server = launch('coredns', ['-conf', file], host.enter);
  }

  /** The end of what it said. */
  get transcript(): string {
    return `--- CoreDNS\n${this.#server.log.join('')}`;
  }

  async stop(): Promise<void> {
    await stopAll([this.#server.child]);
  }
}
