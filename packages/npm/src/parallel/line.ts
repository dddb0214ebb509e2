// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

import { LimitError } from '../errors.ts';
import { Before, type Encoded, Unfit } from './join.ts';

/** The most bytes of a part of the stream: each is copied for the thread that reads it. */
const PART_SIZE_MAX_BYTES = 1 << 16;

/** A part of the stream, and the bytes of the segment that it holds. */
interface Part {
  data: Uint8Array<ArrayBuffer>;
  heldBytes: number;
}

/** The segments in order: which is encoded next, and which may be read. */
export class Line {
  private next = 0;
  /** How many were taken by the one who reads. */
  private read = 0;
  private inOrder = 0;
  private waitingBytes = 0;
  private hasFailed = false;
  private firstSeconds: number | undefined;
  private readonly before = new Before();
  /** Encoded, and some before them are not. */
  private readonly encoded = new Map<number, Encoded>();
  /** In order, checked against the one before. */
  private readonly ready: Part[] = [];
  private changes: (() => void)[] = [];
  frameCount = 0;

  constructor(
    private readonly count: number,
    /** How many encoded segments may be ahead of the one that is read. */
    private readonly aheadMax: number,
    /** The most bytes of segments that wait. */
    private readonly waitingMaxBytes: number,
  ) {}

  private changed(): Promise<void> {
    return new Promise((resolve) => this.changes.push(resolve));
  }

  private tell(): void {
    for (const resolve of this.changes.splice(0)) resolve();
  }

  /** The next segment to encode, once it is not too far ahead; nothing when there is no more. */
  async take(): Promise<number | undefined> {
    while (!this.hasFailed && this.next < this.count && this.next >= this.read + this.aheadMax) await this.changed();
    return this.hasFailed || this.next === this.count ? undefined : this.next++;
  }

  put(index: number, encoded: Encoded): void {
    this.waitingBytes += encoded.sizeBytes;
    if (this.waitingBytes > this.waitingMaxBytes) throw new LimitError('filesMaxBytes', this.waitingMaxBytes);
    this.encoded.set(index, encoded);
    for (let next = this.encoded.get(this.inOrder); next; next = this.encoded.get(this.inOrder)) {
      this.encoded.delete(this.inOrder++);
      this.frameCount += next.frameCount;
      this.firstSeconds ??= next.firstSeconds();
      const { sizeBytes } = next;
      const parts = next.follow(this.before);
      // The last part is what the segment has; before the first one's there is the head.
      for (const [at, data] of parts.entries()) {
        this.ready.push({ data, heldBytes: at === parts.length - 1 ? sizeBytes : 0 });
      }
    }
    if (this.inOrder === this.count && this.firstSeconds === undefined) throw new Unfit('no segment has a frame');
    this.tell();
  }

  fail(): void {
    this.hasFailed = true;
    this.tell();
  }

  /** The time of the first frame, once there is one; nothing if a segment has failed. */
  async first(): Promise<number | undefined> {
    while (!this.hasFailed && this.firstSeconds === undefined) await this.changed();
    return this.hasFailed ? undefined : this.firstSeconds;
  }

  /** Checks that all was taken: what reads may have ended before. */
  checkRead(): void {
    if (this.inOrder < this.count || this.ready.length > 0) throw new Unfit('not all of them were read');
  }

  /** The segments as one stream. */
  async *parts(): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    for (let taken = 0; ; ) {
      if (this.hasFailed) throw new Unfit('a segment has failed');
      const part = this.ready.shift();
      if (part) {
        // The first part is the head; what is taken of the others frees the place of a segment.
        this.read = taken++;
        this.tell();
        const { data, heldBytes } = part;
        for (let at = 0; at < data.byteLength; at += PART_SIZE_MAX_BYTES) {
          yield data.slice(at, at + PART_SIZE_MAX_BYTES);
        }
        this.waitingBytes -= heldBytes;
      } else if (this.inOrder === this.count) {
        return;
      } else {
        await this.changed();
      }
    }
  }
}
