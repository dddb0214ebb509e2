// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

import { Errno, PATH_SIZE_MAX_BYTES } from './abi.ts';

/** The most buffers that one call may name; Linux has the same limit. */
const IOVECS_MAX = 1024;

const UTF8 = new TextDecoder('utf-8', { fatal: true });

/**
 * The guest's linear memory. Every pointer and length comes from the guest, so each sum is checked, and what lies
 * outside is EFAULT.
 */
export class GuestMemory {
  private cached: DataView<ArrayBuffer>;

  constructor(private readonly memory: WebAssembly.Memory) {
    this.cached = new DataView(memory.buffer as ArrayBuffer);
  }

  /** Growing detaches the buffer, so that each call looks again. */
  private get view(): DataView<ArrayBuffer> {
    if (this.cached.buffer !== this.memory.buffer) this.cached = new DataView(this.memory.buffer as ArrayBuffer);
    return this.cached;
  }

  get sizeBytes(): number {
    return this.memory.buffer.byteLength;
  }

  private checked(pointer: number, length: number): number {
    const start = pointer >>> 0;
    if (start + length > this.view.byteLength) throw new Errno(Errno.FAULT);
    return start;
  }

  bytes(pointer: number, length: number): Uint8Array<ArrayBuffer> {
    const start = this.checked(pointer, length >>> 0);
    return new Uint8Array(this.view.buffer, start, length >>> 0);
  }

  readU8(pointer: number): number {
    return this.view.getUint8(this.checked(pointer, 1));
  }

  readU16(pointer: number): number {
    return this.view.getUint16(this.checked(pointer, 2), true);
  }

  readU32(pointer: number): number {
    return this.view.getUint32(this.checked(pointer, 4), true);
  }

  readU64(pointer: number): bigint {
    return this.view.getBigUint64(this.checked(pointer, 8), true);
  }

  writeU8(pointer: number, value: number): void {
    this.view.setUint8(this.checked(pointer, 1), value);
  }

  writeU16(pointer: number, value: number): void {
    this.view.setUint16(this.checked(pointer, 2), value, true);
  }

  writeU32(pointer: number, value: number): void {
    this.view.setUint32(this.checked(pointer, 4), value, true);
  }

  writeU64(pointer: number, value: number | bigint): void {
    this.view.setBigUint64(this.checked(pointer, 8), BigInt(value), true);
  }

  path(pointer: number, length: number): string {
    const bytes = this.bytes(pointer, length);
    // Checked before the characters are, since gigabytes of them would take long.
    if (bytes.byteLength > PATH_SIZE_MAX_BYTES) throw new Errno(Errno.NAMETOOLONG);
    try {
      return UTF8.decode(bytes);
    } catch {
      throw new Errno(Errno.ILSEQ);
    }
  }

  /** The buffers of a scattered read or gathered write that are not empty, all of them checked before a byte moves. */
  buffers(pointer: number, count: number): { pointer: number; length: number }[] {
    if (count >>> 0 > IOVECS_MAX) throw new Errno(Errno.INVAL);
    const buffers = [];
    let total = 0;
    for (let index = 0; index < count; index++) {
      const entry = (pointer >>> 0) + index * 8;
      if (entry > 0xffff_ffff) throw new Errno(Errno.FAULT);
      const start = this.readU32(entry);
      const length = this.readU32(entry + 4);
      this.checked(start, length);
      total += length;
      if (length > 0) buffers.push({ pointer: start, length });
    }
    // The number of bytes moved is returned in 32 bits.
    if (total > 0xffff_ffff) throw new Errno(Errno.INVAL);
    return buffers;
  }
}
