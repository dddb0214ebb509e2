// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// What a plan has to know of the input. It is what runtime/src/parallel/source.rs is in Rust.

import type { Probe, Rational, Stream } from '../probe.ts';
import { Whole } from './whole.ts';

export interface Packet {
  /** In units of the time base. */
  time: number;
  isKey: boolean;
}

/** The options of the input that say how packets are read, but not how they are decoded: ffprobe has no choice there. */
const READING = ['-f', '-probesize', '-analyzeduration', '-fflags'];

/** The arguments of ffprobe by which it prints what {@link Source} reads. */
export function indexArgs(ofInput: readonly string[], picture: number, input: string): string[] {
  const args = ['-v', 'error', '-show_entries', 'packet=pts,flags', '-of', 'csv=p=0'];
  args.push('-select_streams', String(picture));
  for (let at = 0; at + 1 < ofInput.length; at += 2) {
    const [name = '', value = ''] = ofInput.slice(at, at + 2);
    if (READING.includes(name)) args.push(name, value);
  }
  return [...args, '-i', input];
}

export function isCover({ disposition }: Stream): boolean {
  return disposition.attached_pic === 1;
}

/** The index of the one stream with moving pictures. */
export function pictureOf({ streams }: Probe): number {
  const [picture, another] = streams.filter((stream) => stream.codec_type === 'video' && !isCover(stream));
  if (!picture) throw new Whole('the input has no video');
  if (another) throw new Whole('the input has several videos');
  return picture.index;
}

/** An input, as its description and the index of its picture say. */
export class Source {
  readonly timeBase: Rational;
  /** In the order of decoding. */
  readonly packets: Packet[];

  constructor(
    readonly probe: Probe,
    /** The index of the stream with the picture. */
    readonly picture: number,
    index: string,
  ) {
    const base = this.stream()?.time_base;
    if (!base || !(base.numerator > 0 && base.denominator > 0)) throw new Whole("the input's video has no time base");
    this.timeBase = base;
    const lines = index.split('\n').map((line) => line.trim());
    this.packets = lines.filter((line) => line !== '').map(packet);
    if (this.packets.length === 0) throw new Whole("the input's video has no packets");
  }

  /** The stream with the picture. */
  stream(): Stream | undefined {
    return this.probe.streams.find(({ index }) => index === this.picture);
  }

  /** The times of the first and the last frame, in units of the time base. */
  ends(): [first: number, last: number] {
    let [first, last] = [Infinity, -Infinity];
    for (const { time } of this.packets) {
      first = Math.min(first, time);
      last = Math.max(last, time);
    }
    return [first, last];
  }

  /** The time at which the input begins, in units of the time base, rounded as ffmpeg does. */
  start(): number {
    // ffprobe prints microseconds.
    const seconds = this.probe.format.start_time ?? 0;
    const microseconds = BigInt(Math.sign(seconds) * Math.round(Math.abs(seconds) * 1e6));
    const numerator = microseconds * BigInt(this.timeBase.denominator);
    const denominator = BigInt(this.timeBase.numerator) * 1_000_000n;
    const half = denominator / 2n;
    return Number(numerator >= 0n ? (numerator + half) / denominator : -((half - numerator) / denominator));
  }

  /** A time in seconds. */
  seconds(time: number): number {
    return (time * this.timeBase.numerator) / this.timeBase.denominator;
  }
}

function packet(line: string): Packet {
  const [text = '', flags = ''] = line.split(',');
  const time = /^[+-]?\d+$/.test(text) ? Number(text) : NaN;
  if (!Number.isSafeInteger(time)) throw new Whole("not all packets of the input's video have a time");
  return { time, isKey: flags.startsWith('K') };
}
