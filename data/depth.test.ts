// Values that are not bytes: signed, 32 bits, far from 0, floats; and bands that are neither colour nor transparency.
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { load, temporaryFolder, tiffBytes, type TiffKind, write } from './fixtures.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());

/** Two classes with the same image of 2 x 2. */
function put(kind: TiffKind, values: ArrayBufferView): string {
  const root = mkdtempSync(join(folder.path, 'case-'));
  for (const name of ['a/1.tif', 'b/1.tif']) write(join(root, name), tiffBytes(2, 2, kind, values));
  return root;
}

/** Pixels of the first image, and what is told about its values. */
async function read(source: string): Promise<[number[], string | undefined]> {
  const { train, warnings } = await load({ source, validation: { from: 'none' } });
  const size = train.images.length / train.labels.length;
  const told = warnings.find((warning) => /more than 8 bits|band/.test(warning));
  return [[...train.images.subarray(0, size)], told?.replace(/^.*?\): /, '')];
}

const GREY = { samples: 1 };

// 255/4095 = 0.06227, 255/3000 = 0.085, 255/2000 = 0.1275, 255/90000 = 0.0028333
it.each([
  ['32 bits that reach 12', { ...GREY, bits: 32, format: 1 }, Uint32Array.of(0, 1000, 2000, 4000), [0, 62, 125, 249], /^values reach 4000: read as 12 bits/],
  ['32 bits beyond 16', { ...GREY, bits: 32, format: 1 }, Uint32Array.of(0, 30_000, 60_000, 90_000), [0, 85, 170, 255], /^values go from 0 to 90000: stretched/],
  ['signed 16 bits (CT)', { ...GREY, bits: 16, format: 2 }, Int16Array.of(-1000, 0, 1000, 2000), [0, 85, 170, 255], /^values go from -1000 to 2000: stretched/],
  ['signed 16 bits above 0', { ...GREY, bits: 16, format: 2 }, Int16Array.of(0, 1000, 2000, 4000), [0, 62, 125, 249], /^values reach 4000: read as 12 bits/],
  ['signed 8 bits', { ...GREY, bits: 8, format: 2 }, Int8Array.of(-100, -50, 0, 50), [0, 85, 170, 255], /^values go from -100 to 50: stretched/],
  ['16 bits far from 0 (CT + 32768)', { ...GREY, bits: 16, format: 1 }, Uint16Array.of(31_768, 32_768, 33_268, 33_768), [0, 128, 191, 255], /^values go from 31768 to 33768: stretched/],
  ['true 16 bits', { ...GREY, bits: 16, format: 1 }, Uint16Array.of(0, 0x4000, 0x8000, 0xffff), [0, 64, 128, 255], undefined],
] as const)('%s', async (_, kind, values, bytes, told) => {
  const [pixels, note] = await read(put(kind, values));
  expect(pixels).toEqual(bytes);
  if (told) expect(note).toMatch(told);
  else expect(note).toBeUndefined();
}); // prettier-ignore

it('colour keeps its values: signed, and floats of 0 to 1 as documented', async () => {
  const rgb = { samples: 3, bits: 16, format: 2 } as const;
  const signed = Int16Array.of(-1000, 0, 1000, 2000, -1000, 0, 1000, 2000, -1000, 0, 1000, 2000);
  expect((await read(put(rgb, signed)))[0]).toEqual([0, 85, 170, 255, 0, 85, 170, 255, 0, 85, 170, 255]);
  const floats = Float32Array.of(0, 0.2, 0.4, 0.6, 0.8, 1, 0, 0.2, 0.4, 0.6, 0.8, 1);
  const [pixels, note] = await read(put({ samples: 3, bits: 32, format: 3 }, floats));
  expect(pixels).toEqual([0, 51, 102, 153, 204, 255, 0, 51, 102, 153, 204, 255]);
  expect(note).toBe('values are floats of 0 to 1: read as 0 to 255');
});

it('a fourth band that is no transparency is left out, with a note', async () => {
  const values = Uint8Array.of(10, 20, 30, 0, 40, 50, 60, 5, 70, 80, 90, 9, 100, 110, 120, 255);
  const colour = [10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120];
  const kind = { samples: 4, bits: 8, format: 1 } as const;
  const told = 'it is not used';
  expect(await read(put({ ...kind, extra: [0] }, values))).toEqual([colour, told]);
  const deep = { ...kind, bits: 16, extra: [0] };
  expect(
    (
      await read(
        put(
          deep,
          Uint16Array.from(values, (value) => value * 257),
        ),
      )
    )[0],
  ).toEqual(colour);
  const [pixels, none] = await read(put({ ...kind, extra: [2] }, values));
  expect([pixels.slice(0, 3), none]).toEqual([[0, 0, 0], undefined]); // transparent on black
  const grey = Uint8Array.of(10, 0, 20, 0, 30, 5, 40, 255);
  expect(await read(put({ ...kind, samples: 2, extra: [0] }, grey))).toEqual([[10, 20, 30, 40], told]);
});

it.each([8, 16])('bands that are neither grey nor colour are refused (%i bits)', async (bits) => {
  const values = bits === 8 ? Uint8Array.from({ length: 16 }, (_, i) => i) : Uint16Array.from({ length: 16 }, (_, i) => i); // prettier-ignore
  const source = put({ samples: 4, bits, format: 1, extra: [0, 0, 0] }, values);
  await expect(load({ source })).rejects.toThrow(
    /it has 4 bands, neither grey nor colour; write images of 1 or 3/,
  );
});
