// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// The maximum of a module's memory, lowered in its bytes: so the engine itself keeps a job from more.

import { UnsupportedError, UsageError } from './errors.ts';

export const PAGE_SIZE_BYTES = 65536;
const HEADER_SIZE_BYTES = 8;
const MEMORY_SECTION = 5;
const HAS_MAXIMUM = 1;

class Reader {
  constructor(
    private readonly bytes: Uint8Array,
    public at: number,
  ) {}

  byte(): number {
    const byte = this.bytes[this.at++];
    if (byte === undefined) throw new RangeError('the bytes end here');
    return byte;
  }

  /** An unsigned number in LEB128. */
  number(): number {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = this.byte();
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  }
}

/** Writes a number with as many bytes as another one had there. */
function overwrite(bytes: Uint8Array, start: number, end: number, value: number): void {
  for (let at = start; at < end; at++) {
    bytes[at] = (value & 127) | (at < end - 1 ? 128 : 0);
    value >>>= 7;
  }
}

/** Lowers the maximum in the first bytes of a module. Gives false if they do not reach so far. */
export function limitMemory(head: Uint8Array, maxBytes: number): boolean {
  const pages = Math.floor(maxBytes / PAGE_SIZE_BYTES);
  const reader = new Reader(head, HEADER_SIZE_BYTES);
  try {
    for (;;) {
      const section = reader.byte();
      const sizeBytes = reader.number();
      if (section === MEMORY_SECTION) break;
      reader.at += sizeBytes;
    }
    const count = reader.number();
    const flags = reader.byte();
    const initial = reader.number();
    if (count !== 1 || flags !== HAS_MAXIMUM) {
      const message =
        "the maximum of this module's memory cannot be lowered; limit each job by its own `memoryMaxBytes`";
      throw new UnsupportedError('no-maximum', message);
    }
    if (initial > pages) {
      const least = initial * PAGE_SIZE_BYTES;
      const message = `memoryMaxBytes is ${maxBytes}, and the module needs ${least} to begin with; give it more`;
      throw new UsageError('bad-limit', message);
    }
    const start = reader.at;
    if (reader.number() > pages) overwrite(head, start, reader.at, pages);
    return true;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}
