// Gradients of the default networks, parameter by parameter, against PyTorch's: needs BALLAST_PEER_PYTHON, a Python that
// has PyTorch and safetensors.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startPeer } from '../bench/peer.ts';
import type { Peer } from '../bench/peer.ts';
import { DEFAULT_CLASSIFIER } from '../models/classifier.ts';
import { classifierCase, denoiserCase, relativeDifferences } from '../models/testing/gradient-cases.ts';
import type { GradientCase } from '../models/testing/gradient-cases.ts';
import { DEFAULT_UNET } from '../models/unet.ts';
import type { ArrayMap } from '../tensor/array.ts';
import { decodeSafetensors, encodeSafetensors } from '../tensor/safetensors.ts';
import { newFolder } from './support/suite.ts';

/** Sums in another order; float32 has a relative precision of 6e-8. */
const TOLERANCE = 5e-5;
const python = process.env['BALLAST_PEER_PYTHON'] ?? '';
const network = { ...DEFAULT_CLASSIFIER, channels: 3, classes: 7 };

const CASES: Readonly<Record<string, { readonly settings: object; readonly example: GradientCase }>> = {
  classifier: {
    settings: { kind: 'classifierGradients', classifier: network },
    example: classifierCase(network, 8, 28),
  },
  denoiser: {
    settings: { kind: 'denoiserGradients', unet: DEFAULT_UNET },
    example: denoiserCase(DEFAULT_UNET, 8, 28),
  },
};

describe.skipIf(python === '')(
  `gradients${python === '' ? ' (skipped: BALLAST_PEER_PYTHON is not set)' : ''}`,
  () => {
    let peer: Peer;
    let folder: string;
    beforeAll(async () => {
      folder = newFolder('gradients');
      for (const [name, { example }] of Object.entries(CASES)) {
        const params = Object.entries(example.params).map(
          ([path, array]) => [`params/${path}`, array] as const,
        );
        const tensors: ArrayMap = { ...Object.fromEntries(params), ...example.batch };
        await writeFile(join(folder, `${name}.safetensors`), encodeSafetensors(tensors));
      }
      const benchmarks = Object.fromEntries(
        Object.entries(CASES).map(([name, { settings }]) => [name, settings]),
      );
      await writeFile(join(folder, 'settings.json'), JSON.stringify({ benchmarks }));
      peer = startPeer('compute.py')!;
      await peer.ask({ load: folder });
    });
    afterAll(() => peer.close());

    it.each(Object.keys(CASES))('of the %s are PyTorch’s, for every parameter', async (name) => {
      await peer.ask({ check: name });
      const theirs = decodeSafetensors(
        await readFile(join(folder, `peer-${name}.safetensors`)),
        'the peer',
      ).arrays;
      const { loss, ...expected } = theirs;
      const actual = await CASES[name]!.example.run('onnxruntime');
      expect(actual.loss).toBeCloseTo(loss!.data[0]!, 4);
      const differences = relativeDifferences(actual.gradients, expected);
      for (const [parameter, difference] of Object.entries(differences))
      expect({ parameter, difference, isClose: difference < TOLERANCE }).toEqual({ parameter, difference, isClose: true }); // prettier-ignore
      const worst = Object.entries(differences).sort(([, a], [, b]) => b - a)[0]!;
      console.log(
        `${name}: ${Object.keys(differences).length} gradients, the largest difference ${worst[1].toExponential(1)} in ${worst[0]}`,
      );
    });
  },
);
