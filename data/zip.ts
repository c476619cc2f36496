/**
 * Reads ZIP archives in memory (PKWARE's APPNOTE 6.3): the central directory, also of Zip64, and members that are stored
 * or deflated. What the directory says of a member's size is believed only as a limit. Refused: encrypted members, other
 * methods, members twice. Checksums are not looked at.
 */
import { inflateRaw } from './inflate.ts';
import { MAX_MEMBERS } from './limits.ts';

export interface Member {
  readonly name: string;
  /** Where its local header is. */
  readonly at: number;
  readonly method: number;
  readonly isEncrypted: boolean;
  readonly packedBytes: number;
  /** As the directory says. */
  readonly bytes: number;
}

const END = 0x06054b50;
const END_BYTES = 22;
const MAX_COMMENT_BYTES = 65_535;
const LOCATOR_64 = 0x07064b50;
const END_64 = 0x06064b50;
const CENTRAL = 0x02014b50;
const LOCAL = 0x04034b50;
const ZIP64_FIELD = 1;
const IN_ZIP64_FIELD = 0xffffffff;
const STORED = 0;
const DEFLATED = 8;
/** Deflate makes at best 258 bytes of 2 bits. */
const MAX_DEFLATE_RATIO = 1032;

/** The members of an archive. @throws Error that says why it is none. */
export function readDirectory(archive: Uint8Array): Member[] {
  const file = Buffer.from(archive.buffer, archive.byteOffset, archive.byteLength);
  try {
    return readMembers(file, findDirectory(file));
  } catch (thrown) {
    if (thrown instanceof RangeError) throw new Error('it is cut off', { cause: thrown });
    throw thrown;
  }
}

/** Unpacks a member. @throws Error when it is damaged, or is not as large as the directory says. */
export async function unpackMember(archive: Uint8Array, member: Member): Promise<Buffer> {
  const { name, at, method, packedBytes, bytes } = member;
  const file = Buffer.from(archive.buffer, archive.byteOffset, archive.byteLength);
  if (at + 30 > file.length || file.readUInt32LE(at) !== LOCAL)
    throw new Error(`${name} is not where it should be`);
  const from = at + 30 + file.readUInt16LE(at + 26) + file.readUInt16LE(at + 28);
  if (from + packedBytes > file.length) throw new Error(`${name} is cut off`);
  const packed = file.subarray(from, from + packedBytes);
  if (member.isEncrypted) throw new Error(`${name} is encrypted`);
  if (method === STORED && packedBytes === bytes) return packed;
  if (method !== DEFLATED) throw new Error(`${name} is packed by method ${method}, which is not read`);
  if (bytes > packedBytes * MAX_DEFLATE_RATIO) {
    throw new Error(`${name} claims to unpack from ${packedBytes} bytes to ${bytes}, which cannot be`);
  }
  const unpacked = await inflateRaw(packed, bytes);
  if (unpacked.length === bytes) return unpacked;
  throw new Error(`${name} unpacks to ${unpacked.length} bytes, not the ${bytes} that it promises`);
}

interface Directory {
  readonly at: number;
  readonly count: number;
}

function findDirectory(file: Buffer): Directory {
  const first = Math.max(0, file.length - END_BYTES - MAX_COMMENT_BYTES);
  for (let at = file.length - END_BYTES; at >= first; at--) {
    if (file.readUInt32LE(at) !== END) continue;
    const directory = { count: file.readUInt16LE(at + 10), at: file.readUInt32LE(at + 16) };
    const isPlain = directory.count !== 0xffff && directory.at !== IN_ZIP64_FIELD;
    return isPlain ? directory : (findDirectory64(file, at - 20) ?? directory);
  }
  throw new Error('it has no directory');
}

function findDirectory64(file: Buffer, locator: number): Directory | null {
  if (locator < 0 || file.readUInt32LE(locator) !== LOCATOR_64) return null;
  const at = Number(file.readBigUInt64LE(locator + 8));
  if (file.readUInt32LE(at) !== END_64) throw new Error('its directory is damaged');
  return { count: Number(file.readBigUInt64LE(at + 32)), at: Number(file.readBigUInt64LE(at + 48)) };
}

function readMembers(file: Buffer, { at: start, count }: Directory): Member[] {
  if (count > MAX_MEMBERS) throw new Error(`it has ${count} members, above the limit of ${MAX_MEMBERS}`);
  const members = new Map<string, Member>();
  let at = start;
  for (let i = 0; i < count; i++) {
    if (file.readUInt32LE(at) !== CENTRAL) throw new Error('its directory is damaged');
    const [nameBytes, extraBytes, commentBytes] = [28, 30, 32].map((offset) =>
      file.readUInt16LE(at + offset),
    );
    const name = file.toString('utf8', at + 46, at + 46 + nameBytes!);
    if (members.has(name)) throw new Error(`it has two members ${name}`);
    const extra = file.subarray(at + 46 + nameBytes!, at + 46 + nameBytes! + extraBytes!);
    members.set(name, { name, ...readEntry(file, at, extra) });
    at += 46 + nameBytes! + extraBytes! + commentBytes!;
  }
  return [...members.values()];
}

function readEntry(file: Buffer, at: number, extra: Buffer): Omit<Member, 'name'> {
  const large = zip64Values(extra);
  const sizeAt = (offset: number) => {
    const value = file.readUInt32LE(at + offset);
    return value === IN_ZIP64_FIELD ? (large.shift() ?? value) : value;
  };
  // In this order they stand in the Zip64 field.
  const [bytes, packedBytes, local] = [24, 20, 42].map(sizeAt);
  return {
    at: local!,
    method: file.readUInt16LE(at + 10),
    isEncrypted: (file.readUInt16LE(at + 8) & 1) !== 0,
    packedBytes: packedBytes!,
    bytes: bytes!,
  };
}

function zip64Values(extra: Buffer): number[] {
  for (let at = 0; at + 4 <= extra.length; at += 4 + extra.readUInt16LE(at + 2)) {
    if (extra.readUInt16LE(at) !== ZIP64_FIELD) continue;
    const count = Math.floor(extra.readUInt16LE(at + 2) / 8);
    return Array.from({ length: count }, (_, i) => Number(extra.readBigUInt64LE(at + 4 + 8 * i)));
  }
  return [];
}
