import { expect, it } from 'vitest';
import { CHUNK_BYTES, ChunkBuffers, givingBackChunks } from './chunk-buffers.ts';
import { objectService } from './runtime-services.ts';

it('uses the memory of a chunk again once it was given back, and once only', () => {
  const buffers = new ChunkBuffers();
  const first = buffers.take(10);
  expect([first.byteLength, buffers.take(CHUNK_BYTES + 1).byteLength]).toEqual([10, CHUNK_BYTES + 1]);
  buffers.giveBack(first);
  buffers.giveBack(first);
  buffers.giveBack(new Uint8Array(10));
  const second = buffers.take(20);
  expect(second.buffer).toBe(first.buffer);
  expect(buffers.take(20).buffer).not.toBe(first.buffer);
});

it('gives chunks back when they are encoded, whose bytes stay', () => {
  const buffers = new ChunkBuffers();
  const method = givingBackChunks(objectService, 'pull', buffers).methods.get('pull')!;
  const chunk = buffers.take(3).fill(7);
  const encoded = method.responseSerialize({ chunk });
  const again = buffers.take(3);
  expect(again.buffer).toBe(chunk.buffer);
  again.fill(8);
  // Field 1, length-delimited, three bytes.
  expect([...encoded]).toEqual([0x0a, 3, 7, 7, 7]);
  expect(() => givingBackChunks(objectService, 'none')).toThrow('has no method none');
});
