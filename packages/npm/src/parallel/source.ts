// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// What a plan has to know of the input. It is what runtime/src/parallel/source.rs is in Rust.

import type { Probe, Rational, Stream } from '../probe.ts';
import { Whole } from './whole.ts';

export interface Packet {
  /** In units of the time base. */
  time: number;
  isKey: boolean;
  sizeBytes: number;
  /** Decoded, but not shown, as the input says. */
  isDiscarded: boolean;
}

/** The options of the input that say how packets are read, but not how they are decoded: ffprobe has no choice there. */
const READING = ['-f', '-probesize', '-analyzeduration', '-fflags'];

/** The arguments of ffprobe by which it prints what {@link Source} reads. */
export function indexArgs(ofInput: readonly string[], picture: number, input: string): string[] {
  const args = ['-v', 'error', '-show_entries', 'packet=pts,size,flags', '-of', 'csv=p=0'];
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
  /** The times of all frames, in order. */
  readonly times: readonly number[];
  /** Those of key frames, in order. */
  readonly keys: readonly number[];

  constructor(
    readonly probe: Probe,
    /** The index of the stream with the picture. */
    readonly picture: number,
    index: string,
  ) {
    const base = this.stream()?.time_base;
    const isPositive = (number: number) => Number.isSafeInteger(number) && number > 0;
    if (!base || !isPositive(base.numerator) || !isPositive(base.denominator)) {
      throw new Whole("the input's video has no time base");
    }
    this.timeBase = base;
    const lines = index.split('\n').map((line) => line.trim());
    this.packets = lines.filter((line) => line !== '').map(packet);
    if (this.packets.length === 0) throw new Whole("the input's video has no packets");
    this.times = timesOf(this.packets.filter(({ isDiscarded }) => !isDiscarded));
    this.keys = timesOf(this.packets.filter(({ isKey }) => isKey));
  }

  /** The stream with the picture. */
  stream(): Stream | undefined {
    return this.probe.streams.find(({ index }) => index === this.picture);
  }

  /** The time at which the input begins, in microseconds. */
  startUs(): number {
    // ffprobe prints microseconds.
    const seconds = this.probe.format.start_time ?? 0;
    const us = Math.sign(seconds) * Math.round(Math.abs(seconds) * 1e6);
    return Number.isSafeInteger(us) ? us : 0;
  }

  /** Microseconds in units of the time base, rounded as ffmpeg does. */
  units(us: number): number {
    const { numerator, denominator } = this.timeBase;
    return scaled(us, BigInt(denominator), BigInt(numerator) * SECOND_US);
  }

  /** A time in microseconds. */
  microseconds(time: number): number {
    const { numerator, denominator } = this.timeBase;
    return scaled(time, BigInt(numerator) * SECOND_US, BigInt(denominator));
  }

  /** A time in microseconds, rounded up. */
  microsecondsUp(time: number): number {
    const { numerator, denominator } = this.timeBase;
    const [number, by] = [BigInt(time) * BigInt(numerator) * SECOND_US, BigInt(denominator)];
    // Division leaves what is behind the point out.
    return Number(number / by) + (number > 0n && number % by !== 0n ? 1 : 0);
  }

  /** Whether its format is one of these, as ffprobe names them. */
  isOf(formats: readonly string[]): boolean {
    return this.probe.format.format_name.split(',').some((name) => formats.includes(name));
  }

  /** A time in seconds. */
  seconds(time: number): number {
    return (time * this.timeBase.numerator) / this.timeBase.denominator;
  }
}

const SECOND_US = 1_000_000n;

function timesOf(packets: readonly Packet[]): number[] {
  return packets.map(({ time }) => time).sort((one, other) => one - other);
}

/** A number times a fraction of positive numbers; halves are rounded away from zero. */
function scaled(number: number, numerator: bigint, denominator: bigint): number {
  const product = BigInt(number) * numerator;
  const half = denominator / 2n;
  return Number(product >= 0n ? (product + half) / denominator : -((half - product) / denominator));
}

function packet(line: string): Packet {
  const [text = '', size = '', flags] = line.split(',');
  if (flags === undefined) throw new Whole("the index of the input's video is damaged");
  const time = /^[+-]?\d+$/.test(text) ? Number(text) : NaN;
  if (!Number.isSafeInteger(time)) throw new Whole("not all packets of the input's video have a time");
  const sizeBytes = /^\d+$/.test(size) ? Number(size) : 0;
  return { time, isKey: flags.startsWith('K'), sizeBytes, isDiscarded: flags.includes('D') };
}
