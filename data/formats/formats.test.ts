// Bytes written down by hand from the formats' definitions.
import { expect, it } from 'vitest';
import { decodeBmp } from './bmp.ts';
import { decodePnm } from './pnm.ts';

/** A BMP of 2 × 2: `bits` a pixel, a table of colours, rows from the bottom, each padded to four bytes. */
function bmp(bits: number, table: readonly number[], rows: readonly number[]): Buffer {
  const header = Buffer.alloc(54);
  header.write('BM');
  header.writeUInt32LE(54 + table.length, 10);
  header.writeUInt32LE(40, 14);
  header.writeInt32LE(2, 18);
  header.writeInt32LE(2, 22);
  header.writeUInt16LE(1, 26);
  header.writeUInt16LE(bits, 28);
  return Buffer.concat([header, Buffer.from(table), Buffer.from(rows)]);
}

it.each([
  ['24 bits', bmp(24, [], [3, 2, 1, 6, 5, 4, 0, 0, 9, 8, 7, 12, 11, 10, 0, 0]), 3, [7, 8, 9, 10, 11, 12, 1, 2, 3, 4, 5, 6]],
  ['1 bit, grey', bmp(1, [0, 0, 0, 0, 255, 255, 255, 0], [0x40, 0, 0, 0, 0x80, 0, 0, 0]), 1, [255, 0, 0, 255]],
  ['16 bits', bmp(16, [], [0x00, 0x7c, 0xe0, 0x03, 0x1f, 0x00, 0x00, 0x00]), 3, [0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255, 0]],
] as const)('BMP of %s', (_, file, channels, data) => {
  const image = decodeBmp(file, 100);
  expect([image.width, image.height, image.channels, [...image.data]]).toEqual([2, 2, channels, data]);
}); // prettier-ignore

it.each([
  ['PGM of bytes', Buffer.from('P5 # a comment\n2 1\n100\n\x32\x64', 'latin1'), [128, 255]],
  [
    'PGM of 16 bits',
    Buffer.concat([Buffer.from('P5 2 1 4095\n'), Buffer.from([0x0f, 0xff, 0, 0])]),
    [255, 0],
  ],
  ['PGM as text', Buffer.from('P2\n2 1\n1\n0 1\n'), [0, 255]],
  ['PBM, 1 is black', Buffer.from('P4 2 1\n\x80', 'latin1'), [0, 255]],
  ['PPM', Buffer.from('P6 1 1 255\n\x01\x02\x03', 'latin1'), [1, 2, 3]],
])('%s', (_, file, data) => {
  expect([...decodePnm(file, 100).data]).toEqual(data);
});

it.each([
  ['cut off', () => decodePnm(Buffer.from('P5 2 2 255\n\x01'), 100), 'cut off'],
  ['too large', () => decodePnm(Buffer.from('P5 200 200 255\n'), 100), 'exceeds pixel limit'],
  ['without numbers', () => decodePnm(Buffer.from('P5 x'), 100), 'something other than a number'],
  ['a cut BMP', () => decodeBmp(bmp(24, [], [1]), 100), 'BMP is cut off'],
  [
    'a BMP of a colour too many',
    () => decodeBmp(bmp(1, [0, 0, 0, 0], [0x40, 0, 0, 0, 0, 0, 0, 0]), 100),
    'colour',
  ],
])('refuses %s', (_, decode, message) => {
  expect(decode).toThrow(message);
});
