// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// Where a video is cut. It is what runtime/src/parallel/cuts.rs is in Rust.

import { type Chain, isStateless } from './filters.ts';
import type { Source } from './source.ts';
import { contains, type Stretch } from './stretch.ts';
import { Whole } from './whole.ts';

/** A segment, by times of the input's packets. */
export interface Part {
  /** The key frame that reading begins at; without one, it is the input's beginning. */
  seek: number | undefined;
  /** The first frame that filters see, and the first that they do not. */
  from: number | undefined;
  until: number | undefined;
  /** The first frame of the segment, and the first after it. */
  begin: number | undefined;
  end: number | undefined;
  /** How many frames the segment has. */
  frames: number;
}

/** How long segments are at least: longer ones in longer videos, as each costs a key frame and what an encoder learns. */
const SEGMENT_MIN_SECONDS = 4;
const SEGMENT_MAX_SECONDS = 30;
/** A segment has such a part of what is left, so that cores end at about the same time. */
const PARTS_OF_REST = 12;

/** The last ones of a video of some length are shorter still. */
const LAST_MIN_SECONDS = 2;
const PARTS_OF_LAST = 4;
const LONG_SECONDS = 40;

/** Cuts what is wanted of a video into segments. */
export function partsOf(source: Source, stretch: Stretch, chain: Chain): Part[] {
  const { times, keys } = source;
  const { seen, made } = stretch;
  const first = times.findIndex((time) => contains(made, time));
  const last = times.findLastIndex((time) => contains(made, time));
  if (first < 0) throw new Whole('nothing of the video is wanted');
  const cuts = cutsOf(source, chain, times, first, last);
  if (cuts.length === 0) throw new Whole('the video is too short, or has too few key frames');
  return [undefined, ...cuts].map((begin, at) => {
    const end = cuts[at];
    // Those of the whole where there is no cut.
    const beginAt = begin ?? (made.first === undefined ? undefined : first);
    const endTime = end === undefined ? made.end : times[end];
    const endAt = end ?? (made.end === undefined ? undefined : last + 1);
    const lead = beginAt === undefined ? undefined : times[Math.max(0, beginAt - chain.before)];
    const from = lead === undefined || seen.first === undefined ? (lead ?? seen.first) : Math.max(lead, seen.first);
    const trail = endAt === undefined ? undefined : times[endAt + chain.after];
    const until = trail === undefined || seen.end === undefined ? (trail ?? seen.end) : Math.min(trail, seen.end);
    return {
      seek: from === undefined ? undefined : keys.findLast((key) => key <= from),
      from,
      until: isStateless(chain) ? endTime : until,
      begin: beginAt === undefined ? undefined : times[beginAt],
      end: endTime,
      frames: (end ?? last + 1) - (begin ?? first),
    };
  });
}

/** The places, among all times, of frames at which segments begin, but for the first. */
function cutsOf(source: Source, chain: Chain, times: readonly number[], first: number, last: number): number[] {
  const between = (one: number, other: number) => source.seconds((times[other] ?? 0) - (times[one] ?? 0));
  const isLong = between(first, last) >= LONG_SECONDS;
  const places = new Map(times.map((time, at) => [time, at]));
  const cuts: number[] = [];
  let begin = first;
  for (const key of source.keys) {
    const place = places.get(key);
    if (place === undefined) continue;
    // What filters have to see before begins at the key frame.
    const at = place + chain.before;
    if (at <= begin || at >= last) continue;
    const rest = between(begin, last);
    let wanted = Math.min(Math.max(rest / PARTS_OF_REST, SEGMENT_MIN_SECONDS), SEGMENT_MAX_SECONDS);
    if (isLong) wanted = Math.min(wanted, Math.max(rest / PARTS_OF_LAST, LAST_MIN_SECONDS));
    // The last one is not shorter than half of the others.
    if (between(begin, at) >= wanted && between(at, last) >= wanted / 2) {
      cuts.push(at);
      begin = at;
    }
  }
  return cuts;
}

/** How long each segment is, in seconds, and how many bytes it has in the input. */
export function weights(source: Source, parts: readonly Part[]): [seconds: number, bytes: number][] {
  const { times } = source;
  const [first = 0, last = 0] = [times[0], times.at(-1)];
  const frame = source.seconds(last - first) / Math.max(2, times.length);
  const packets = source.packets.toSorted((one, other) => one.time - other.time);
  let at = packets.findIndex(({ time }) => time >= (parts[0]?.begin ?? -Infinity));
  return parts.map(({ begin = first, end }) => {
    let bytes = 0;
    for (let next = packets[at]; next && next.time < (end ?? Infinity); next = packets[++at]) bytes += next.sizeBytes;
    return [end === undefined ? source.seconds(last - begin) + frame : source.seconds(end - begin), bytes];
  });
}

/** How far back ffmpeg goes where it takes `-ss` for a time of decoding, as frames may be out of order. */
const BACK_US = 130_434;

/** What `-ss` has to be so that reading begins at a key frame, in microseconds. */
export function seekUs(source: Source, key: number): number {
  // Rounded up, since the key frame before would cost its whole group of pictures.
  const us = source.microsecondsUp(key) - source.startUs();
  const hasDelay = source.probe.streams.some(({ has_b_frames: delay }) => typeof delay === 'number' && delay > 0);
  return Math.max(0, us + (hasDelay && source.isOf(['matroska']) ? BACK_US : 0));
}

/** The filters that make a segment; none where it is all that there is. */
export function filtersOf(part: Part, source: Source, stretch: Stretch, chain: Chain, given?: string): string {
  const clock = (time: number | undefined) => (time === undefined ? undefined : time - stretch.origin);
  // Filters may have changed the units of times, and where there is no cut they decide alone what comes first and last.
  const cut = (time: number | undefined, whole: number | undefined) => {
    const isCut = time !== undefined && (!chain.changesTimes || time !== whole);
    return isCut ? source.microseconds(time - stretch.origin) : undefined;
  };
  const trim = (unit: string, ...bounds: [name: string, time: number | undefined][]) => {
    const words = bounds.flatMap(([name, time]) => (time === undefined ? [] : [`${name}=${time}${unit}`]));
    return words.length === 0 ? [] : [`trim=${words.join(':')}`];
  };
  const before = trim('', ['start_pts', clock(part.from)], ['end_pts', clock(part.until)]);
  const { made } = stretch;
  const after = trim('us', ['start', cut(part.begin, made.first)], ['end', cut(part.end, made.end)]);
  return [...before, ...(given === undefined ? [] : [given]), ...(isStateless(chain) ? [] : after)].join(',');
}
