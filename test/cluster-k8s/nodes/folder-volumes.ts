/** The cluster's default storage class: a folder of this machine as the volume of each claim, for all nodes. */
import { chownSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import {
  type CoreV1Api,
  type KubeConfig,
  StorageV1Api,
  type V1PersistentVolumeClaim,
} from '@kubernetes/client-node';
import { USER } from '../../support/k8s/runc.ts';

const CLASS = 'folders';

export class FolderVolumes {
  readonly #api: CoreV1Api;
  readonly #folder: string;

  constructor(api: CoreV1Api, folder: string) {
    this.#api = api;
    this.#folder = folder;
  }

  /** Makes the class. Claims without one have it from then on. */
  static async createClass(config: KubeConfig): Promise<void> {
    const annotations = { 'storageclass.kubernetes.io/is-default-class': 'true' };
    await config.makeApiClient(StorageV1Api).createStorageClass({
      body: { metadata: { name: CLASS, annotations }, provisioner: 'ballast.internal/folders' },
    });
  }

  /** Gives a claim that waits for it its volume. */
  async see({ metadata, spec, status }: V1PersistentVolumeClaim): Promise<void> {
    if (spec?.storageClassName !== CLASS || spec.volumeName || status?.phase !== 'Pending') return;
    const { namespace, name, uid } = metadata!;
    const path = join(this.#folder, `pvc-${uid}`);
    mkdirSync(path, { recursive: true });
    chownSync(path, USER, USER);
    const { accessModes, storageClassName, resources } = spec;
    const capacity = { storage: resources!.requests!['storage']! };
    await this.#api
      .createPersistentVolume({
        body: {
          metadata: { name: `pvc-${uid}` },
          spec: {
            ...{ accessModes, capacity, storageClassName, hostPath: { path } },
            ...{ persistentVolumeReclaimPolicy: 'Retain', claimRef: { namespace, name, uid } },
          },
        },
      })
      .catch((thrown: unknown) => {
        if ((thrown as { code?: number }).code !== 409) throw thrown; // a claim is seen more than once
      });
  }

  /** Removes the volume of a claim that is gone, with what is in it. */
  async lose({ metadata, spec }: V1PersistentVolumeClaim): Promise<void> {
    if (spec?.storageClassName !== CLASS) return;
    await this.#api.deletePersistentVolume({ name: `pvc-${metadata!.uid}` });
    rmSync(join(this.#folder, `pvc-${metadata!.uid}`), { recursive: true, force: true });
  }
}
