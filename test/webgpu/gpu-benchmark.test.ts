// `npm run bench -- gpu` where there is no card: what it says, and that it works, on networks of a few hundred numbers.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '../../common/package-root.ts';
import type { GpuRow } from '../../bench/gpu/measurement.ts';
import { noSoftwareVulkan } from '../support/software-vulkan.ts';

const MAIN = join(packageRoot(), 'dist', 'bench', 'main.js');

interface End {
  readonly status: unknown;
  readonly stdout: string;
  readonly stderr: string;
}

function bench(...args: readonly string[]): Promise<End> {
  const env = { ...process.env, BALLAST_PEER_PYTHON: '' };
  return new Promise((resolve) =>
    execFile(process.execPath, [MAIN, 'gpu', ...args], { env }, (error, stdout, stderr) =>
      resolve({ status: error?.code ?? 0, stdout, stderr }),
    ),
  );
}

describe.skipIf(noSoftwareVulkan !== '')(`the benchmark gpu${noSoftwareVulkan}`, () => {
  it('says that it found no card, and what would compute', async () => {
    const { status, stdout, stderr } = await bench();
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toMatch(
      /^error: no card was found: webgpu on SwiftShader Device .* computes on the CPU; --allow-software measures tiny networks there\n$/,
    );
  });

  it('names the cases for which it has no time', async () => {
    const { status, stdout, stderr } = await bench('--allow-software', '--minutes', '0.001');
    expect(status).toBe(1);
    expect(stdout).toContain(
      'guided-sampling-tiny: left out: the time is over; give more --minutes, or --only',
    );
    expect(stderr).toContain('error: no case was measured; the reasons are above\n');
  });

  it('measures sampling and training, with the bytes that cross the bus', async () => {
    const { status, stdout, stderr } = await bench(
      '--allow-software',
      '--json',
      '--rounds',
      '2',
      '--minutes',
      '14',
    );
    expect(status, stderr).toBe(0);
    const { results, leftOut } = JSON.parse(stdout) as { results: GpuRow[]; leftOut: unknown[] };
    expect(leftOut).toEqual([]);
    expect(results.map(({ metric, unit, rounds }) => [metric, unit, rounds])).toEqual([
      ['guided-sampling-tiny', 'images/s', 2],
      ['classifier-step-tiny', 'steps/s', 2],
    ]);
    for (const { ours, hostBytes, ratio } of results) {
      expect(ours.least).toBeGreaterThan(0);
      expect(ours.median).toBeGreaterThanOrEqual(ours.least);
      expect(hostBytes).toBeGreaterThan(2 ** 26);
      expect(ratio).toBeNull();
    }
    // Two steps of two images of 8×8: x and x̂0 go up once and x comes back once; each step takes labels and 7 scalars.
    expect(results[0]!.bus).toEqual({ toDevice: (2 * 512) / 2 + 24 + 28, fromDevice: 512 / 2 });
    // The state stays: four images, labels, mask, weights, adjustment, four scalars; loss and gradient norm come back.
    expect(results[1]!.bus).toEqual({ toDevice: 1024 + 48 + 16 + 16 + 12 + 16, fromDevice: 8 });
  });
});
