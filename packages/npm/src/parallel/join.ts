// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// Segments of fragmented MP4, one after another as one stream. It is what runtime/src/parallel/join.rs is in Rust, which
// says why times of decoding change.

/** Thrown where segments do not make one stream. */
export class Unfit extends Error {
  override name = 'Unfit';
}

const DAMAGED = 'a segment is damaged';

/** No encoder reorders over more frames. */
const DELAY_MAX = 64;

/** A frame and where its times stand. They are in units of the container. */
interface Frame {
  decoded: number;
  shown: number;
  decodedAt: number;
  /** That of the difference between the two, unless it is none. */
  offsetAt: number | undefined;
}

/** What of a stream counts for the segments that follow. */
export class Before {
  head: Uint8Array<ArrayBuffer> | undefined;
  /** The times of its last frames, in order. */
  shown: number[] = [];
  decoded = -Infinity;
}

/** A part of a segment's bytes. */
interface Range {
  start: number;
  end: number;
}

/** A box: its content, which ends where it does. */
interface Box extends Range {
  kind: string;
}

/** An encoded segment. */
export class Encoded {
  private readonly view: DataView;
  private readonly frames: Frame[] = [];
  private head = 0;
  /** Where the last fragment ends. */
  private end = 0;
  private scale = 0;

  /** Throws {@link Unfit} for bytes that are no segment. */
  constructor(private readonly bytes: Uint8Array<ArrayBuffer>) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (const box of this.boxes({ start: 0, end: bytes.byteLength })) {
      if (box.kind === 'moov') {
        this.head = box.end;
        this.end = box.end;
        this.scale = this.timeScale(box);
      } else if (box.kind === 'moof') {
        this.frames.push(this.frame(box));
      } else if (box.kind === 'mdat') {
        this.end = box.end;
      }
    }
    if (this.head === 0 || (this.frames.length > 0 && this.end <= this.head)) throw new Unfit('a segment has no head');
  }

  get sizeBytes(): number {
    return this.bytes.byteLength;
  }

  get frameCount(): number {
    return this.frames.length;
  }

  /** The level of H.264, as encoders take it. */
  level(): string | undefined {
    const head = this.bytes.subarray(0, this.head);
    const at = head.findIndex((_, at) => String.fromCharCode(...head.subarray(at, at + 4)) === 'avcC');
    // Version, profile, compatibility, level: in tenths, but for 1b, for which older profiles have a bit of their own.
    const [profile, compatibility, level] = head.subarray(at + 5, at + 8);
    if (at < 0 || profile === undefined || compatibility === undefined || level === undefined) return undefined;
    const is1b = level === 9 || (level === 11 && profile <= 88 && (compatibility & 0x10) !== 0);
    return is1b ? '1b' : `${Math.floor(level / 10)}.${level % 10}`;
  }

  /** The time of the first frame that is shown, in seconds. */
  firstSeconds(): number | undefined {
    if (this.frames.length === 0) return undefined;
    return this.frames.reduce((first, { shown }) => Math.min(first, shown), Infinity) / this.scale;
  }

  /** The stream's part from this segment: its fragments, and before those the head if it is the first. */
  follow(before: Before): Uint8Array<ArrayBuffer>[] {
    const shown = this.frames.map((frame) => frame.shown).sort((one, other) => one - other);
    const [first] = shown;
    if (first !== undefined) this.setTimes(first, before);
    before.shown = [...before.shown, ...shown].slice(-DELAY_MAX);
    const head = this.bytes.subarray(0, this.head);
    const fragments = this.bytes.subarray(this.head, this.end);
    if (before.head === undefined) {
      // A copy, which does not hold all of the segment.
      before.head = head.slice();
      return [before.head, fragments];
    }
    if (!isEqual(before.head, head)) throw new Unfit('the segments have different parameters');
    return [fragments];
  }

  /** Has the first frames decoded at the times of the last ones before. */
  private setTimes(first: number, before: Before): void {
    const found = this.frames.findIndex((frame) => frame.decoded >= first);
    const delay = found < 0 ? this.frames.length : found;
    if ((before.shown.at(-1) ?? -Infinity) >= first || delay > DELAY_MAX) throw new Unfit('the segments overlap');
    const start = before.shown.length - delay;
    if (before.head !== undefined && start >= 0) {
      for (const [at, time] of before.shown.slice(start).entries()) {
        const frame = this.frames[at];
        if (frame) this.decodeAt(frame, time);
      }
    }
    for (const { decoded } of this.frames) {
      if (before.decoded >= decoded) throw new Unfit('the segments overlap');
      before.decoded = decoded;
    }
  }

  private decodeAt(frame: Frame, time: number): void {
    frame.decoded = time;
    this.view.setBigInt64(frame.decodedAt, BigInt(time));
    const offset = frame.shown - time;
    const isKept = frame.offsetAt === undefined ? offset === 0 : offset === (offset | 0);
    if (!isKept) throw new Unfit(DAMAGED);
    if (frame.offsetAt !== undefined) this.view.setInt32(frame.offsetAt, offset);
  }

  /** The frame of a fragment. */
  private frame(fragment: Range): Frame {
    const track = this.inner(fragment, 'traf');
    const [time, run] = [this.inner(track, 'tfdt'), this.inner(track, 'trun')];
    if (time.end - time.start < 12 || this.view.getUint8(time.start) !== 1) throw new Unfit(DAMAGED);
    const decodedAt = time.start + 4;
    const decoded = Number(this.view.getBigInt64(decodedAt));
    if (!Number.isSafeInteger(decoded)) throw new Unfit(DAMAGED);
    const flags = this.number(run.start);
    if (this.number(run.start + 4) !== 1) throw new Unfit('a fragment has several frames');
    // Before the difference: the data's offset and the first sample's flags, then its duration, size and flags.
    const before = [0x1, 0x4, 0x100, 0x200, 0x400].filter((flag) => (flags & flag) !== 0).length;
    const offsetAt = (flags & 0x800) === 0 ? undefined : run.start + 8 + 4 * before;
    const offset = offsetAt === undefined ? 0 : this.number(offsetAt) | 0;
    return { decoded, shown: decoded + offset, decodedAt, offsetAt };
  }

  /** The units a second of the first track's times. */
  private timeScale(moov: Range): number {
    const header = this.inner(this.inner(this.inner(moov, 'trak'), 'mdia'), 'mdhd');
    // Version 1 has times of creation and change in 64 bits.
    const scale = this.number(header.start + (this.bytes[header.start] === 1 ? 20 : 12));
    if (scale === 0) throw new Unfit(DAMAGED);
    return scale;
  }

  private inner(range: Range, kind: string): Range {
    for (const box of this.boxes(range)) if (box.kind === kind) return box;
    throw new Unfit(DAMAGED);
  }

  /** The boxes in a range of bytes, up to one that is not whole. */
  private *boxes(range: Range): Generator<Box> {
    for (let at = range.start; at + 8 <= range.end;) {
      let [header, size] = [8, this.view.getUint32(at)];
      const kind = String.fromCharCode(...this.bytes.subarray(at + 4, at + 8));
      if (size === 1 && at + 16 <= range.end) {
        // The size stands behind the kind.
        [header, size] = [16, Number(this.view.getBigUint64(at + 8))];
      }
      const end = at + size;
      if (size < header || end > range.end) return;
      yield { kind, start: at + header, end };
      at = end;
    }
  }

  private number(at: number): number {
    if (at + 4 > this.bytes.byteLength) throw new Unfit(DAMAGED);
    return this.view.getUint32(at);
  }
}

function isEqual(one: Uint8Array, other: Uint8Array): boolean {
  return one.byteLength === other.byteLength && one.every((byte, at) => byte === other[at]);
}
