// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

import { SourceError } from '../errors.ts';
import type { Awaitable, Content } from './file-system.ts';

/** Reads so many bytes at an offset: all of them, as they lie before the file's end. */
export type Fetch = (offset: number, length: number) => Awaitable<Uint8Array>;

const FIRST_SIZE_BYTES = 1 << 16;
const LARGEST_SIZE_BYTES = 1 << 20;

/** A file of which each read costs much: what is read on is read in larger and larger parts. */
export class ReadAhead implements Content {
  private start = 0;
  private part: Uint8Array = new Uint8Array();
  private length = FIRST_SIZE_BYTES;

  constructor(
    private readonly name: string,
    private readonly sizeBytes: number,
    private readonly fetch: Fetch,
  ) {}

  size(): number {
    return this.sizeBytes;
  }

  read(into: Uint8Array, offset: number): Awaitable<number> {
    const kept = this.copy(into, offset);
    if (kept > 0 || offset >= this.sizeBytes || into.byteLength === 0) return kept;
    const isNext = offset === this.start + this.part.byteLength && offset > 0;
    this.length = isNext ? Math.min(2 * this.length, LARGEST_SIZE_BYTES) : FIRST_SIZE_BYTES;
    const length = Math.min(
      Math.max(this.length, Math.min(into.byteLength, LARGEST_SIZE_BYTES)),
      this.sizeBytes - offset,
    );
    const take = (part: Uint8Array) => {
      if (part.byteLength !== length) {
        const message = `\`${this.name}\` ended early: it changed while it was read; give it again as it is now`;
        throw new SourceError('changed', message);
      }
      this.start = offset;
      this.part = part;
      return this.copy(into, offset);
    };
    const fetched = this.fetch(offset, length);
    return fetched instanceof Promise ? fetched.then(take) : take(fetched);
  }

  private copy(into: Uint8Array, offset: number): number {
    const at = offset - this.start;
    if (at < 0 || at >= this.part.byteLength) return 0;
    const part = this.part.subarray(at, at + into.byteLength);
    into.set(part);
    return part.byteLength;
  }
}
