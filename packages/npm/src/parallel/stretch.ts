// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// The part of the input that a command wants, by `-ss`, `-t` and `-to`, and the clock of its filters. It is what
// runtime/src/parallel/stretch.rs is in Rust.

import type { Source } from './source.ts';
import type { Ratio } from './units.ts';
import { Whole } from './whole.ts';
import type { Words } from './words.ts';

/** Frames in the order in which they are shown. */
export interface Bounds {
  /** The time of the first, where it is not the first that the decoder makes. */
  first: number | undefined;
  /** The time of the first after them. */
  end: number | undefined;
}

/** The part of the input that a command wants. Times are those of the input's packets. */
export interface Stretch {
  /** The time at which the clock of the filters is zero. */
  origin: number;
  /** The frames that the command's filters see. */
  seen: Bounds;
  /** The frames that are encoded, if the filters make one of each. */
  made: Bounds;
}

/** Formats in which ffmpeg finds the key frame before any time. */
const INDEXED = ['mov', 'matroska'];

export function contains({ first, end }: Bounds, time: number): boolean {
  return (first === undefined || time >= first) && (end === undefined || time < end);
}

export function stretchOf(words: Words, source: Source): Stretch {
  const { times } = source;
  const origin = source.units(source.startUs() + (words.ofInputReach.startUs ?? 0));
  const seen = seenOf(words, source, times, origin);
  return { origin, seen, made: madeOf(words, source, times, origin, seen) };
}

/** The times of the frames that are encoded, if the filters make one of each. */
export function madeTimes({ made }: Stretch, source: Source): number[] {
  return source.times.filter((time) => contains(made, time));
}

/** Whether the first frame is at the beginning of the clock. */
export function beginsAtZero(stretch: Stretch, source: Source): boolean {
  return madeTimes(stretch, source)[0] === stretch.origin;
}

/** Frames are at their places if they are as near, in parts of a frame. */
const APART_MAX = 0.05;

/** Whether the frames come at this rate, from the output's beginning on, so that nothing is to be done for it. */
export function isConstant(stretch: Stretch, words: Words, source: Source, rate: Ratio): boolean {
  const begin = (words.ofOutputReach.startUs ?? 0) / 1e6;
  const perSecond = rate.numerator / rate.denominator;
  if (!Number.isFinite(perSecond)) return false;
  const place = (time: number) => (source.seconds(time - stretch.origin) - begin) * perSecond;
  return madeTimes(stretch, source).every((time, at) => Math.abs(place(time) - at) < APART_MAX);
}

const AFTER_THE_END = "-ss is after the end of the input's video";

/** What is shown of the input. */
function seenOf(words: Words, source: Source, times: readonly number[], origin: number): Bounds {
  const reach = words.ofInputReach;
  const seen: Bounds = { first: undefined, end: undefined };
  if (reach.startUs !== undefined) {
    if (!source.isOf(INDEXED)) throw new Whole('-ss before the input may not be exact in its format');
    seen.first = times.find((time) => time >= origin);
    if (seen.first === undefined) throw new Whole(AFTER_THE_END);
  }
  const lengthUs = reach.lengthUs();
  if (lengthUs === undefined) return seen;
  const first = seen.first ?? firstShown(source, times);
  const length = positive(source.units(lengthUs));
  seen.end = times.find((time) => time - first >= length);
  return seen;
}

/** What is encoded of what is seen. That nothing is encoded after the end is for the segments' own `-t` as well. */
function madeOf(words: Words, source: Source, times: readonly number[], origin: number, seen: Bounds): Bounds {
  const reach = words.ofOutputReach;
  const made = { ...seen };
  if (reach.startUs !== undefined) {
    const at = origin + source.units(reach.startUs);
    made.first = times.find((time) => time >= at && contains(seen, time));
    if (made.first === undefined) throw new Whole(AFTER_THE_END);
  }
  const lengthUs = reach.lengthUs();
  if (lengthUs === undefined) return made;
  const first = made.first ?? firstShown(source, times);
  const length = positive(source.units(lengthUs));
  const end = times.find((time) => time - first >= length);
  made.end = made.end === undefined || end === undefined ? (made.end ?? end) : Math.min(made.end, end);
  return made;
}

/** The first frame that a decoder makes, where that is sure. */
function firstShown(source: Source, times: readonly number[]): number {
  const [first] = source.packets;
  if (first?.isKey && !first.isDiscarded && first.time === times[0]) return first.time;
  throw new Whole('-t is counted from a first frame that may not be decoded');
}

function positive(length: number): number {
  if (length > 0) return length;
  throw new Whole('its -t or -to leaves nothing');
}
