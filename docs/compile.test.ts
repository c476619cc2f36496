import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { GROUP_NORM, SILU } from '../tensor/fused-kernels.ts';
import { KERNEL_RULES } from '../tensor/trace-kernels.ts';
import { withParts } from '../scripts/generated-docs.ts';

const ROOT = join(import.meta.dirname, '..');
const OWN = [GROUP_NORM, SILU];

it('docs/compile.md shows the example and the kernels as they are (else: make docs)', async () => {
  const example = readFileSync(join(ROOT, 'examples/compile.ts'), 'utf8').trimEnd();
  const names = Object.keys(KERNEL_RULES).sort();
  const list = (kernels: readonly string[]) => kernels.map((name) => `\`${name}\``).join(', ');
  const text = await withParts(join(ROOT, 'docs/compile.md'), {
    example: `\`\`\`ts\n${example}\n\`\`\``,
    kernels: `${list(names.filter((name) => !OWN.includes(name)))}.\n\nBallast's own kernels: ${list(OWN)}.`,
  });
  await expect(text).toMatchFileSnapshot('compile.md');
});

it('runs the example: gradient descent finds y = 2x', async () => {
  const { slope } = await import('../examples/compile.ts');
  expect(slope).toBeCloseTo(2, 5);
});
