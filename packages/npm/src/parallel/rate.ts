// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// Bit rates: what each segment has of the bits of the whole. It is what runtime/src/parallel/rate.rs is in Rust.
//
// An encoder that is asked for a bit rate spends more on what is harder to encode. How hard a segment is, the input
// says: its own encoder spent so many bits on it. Each segment is then made in two passes, so that it has as many bits
// as it shall.

import { bits } from './units.ts';
import { Whole } from './whole.ts';
import type { Words } from './words.ts';

/** What is asked for. */
export interface Rate {
  /** In bits a second. */
  mean: number;
  most: number | undefined;
}

/** A segment's share is within these parts of the mean: an input may be encoded in an unusual way. */
const LEAST = 0.3;
const MOST = 3;

const X264 = ['libx264', 'h264'];
/** Encoders that make what they are asked for in two passes. */
const TWO_PASSES = [...X264, 'libvpx-vp9', 'vp9'];

/** The rate of the whole video that is asked for, if any is. Throws if a part of it cannot be made by itself. */
export function rateOfVideo(words: Words, encoder: string): Rate | undefined {
  // It looks at the last second or so.
  if (encoder === 'libopenh264') return undefined;
  const whole = () =>
    new Whole(
      `its bit rate is one of the whole video, which ${encoder} does not make of segments: ` +
        '-crf, -q:v and the like are not',
    );
  checkParams(words);
  const number = (...names: string[]) => {
    const text = words.value(...names);
    if (text === undefined || text === '0') return undefined;
    const value = bits(text);
    if (value === undefined) throw whole();
    return value;
  };
  const [mean, most] = [number('b', 'vb'), number('maxrate')];
  const isX264 = X264.includes(encoder);
  const hasBuffer = words.value('maxrate', 'minrate', 'bufsize') !== undefined;
  if (hasBuffer && (!isX264 || words.value('minrate') !== undefined)) throw whole();
  // It makes no two passes in real time.
  const isHasty = words.value('deadline', 'quality') === 'realtime';
  const hasQuality = words.value('crf', 'q', 'qscale', 'qp') !== undefined;
  if (mean === undefined) {
    if (['libvpx-vp9', 'vp9', 'mpeg4', 'mjpeg'].includes(encoder) && !hasQuality) {
      throw new Whole(`${encoder} has no -crf or -q:v, and so a bit rate of the whole video`);
    }
    return undefined;
  }
  // It takes the quality then.
  if (isX264 && hasQuality) return undefined;
  if (TWO_PASSES.includes(encoder) && !hasQuality && !isHasty && mean >= 1) return { mean, most };
  throw whole();
}

/** The rates of segments, in bits a second, of which each has a length in seconds and had so many bytes in the input. */
export function shares(rate: Rate, segments: readonly [seconds: number, bytes: number][]): number[] {
  const { mean } = rate;
  let [seconds, bytes] = [0, 0];
  for (const [part, ofIt] of segments) {
    seconds += part;
    bytes += ofIt;
  }
  const most = Math.max(Math.min(rate.most ?? MOST * mean, MOST * mean), mean);
  let parts = segments.map(([part, ofIt]) =>
    bytes > 0 && part > 0 ? mean * (ofIt / bytes) * (seconds / part) : mean,
  );
  // What bounds take from some the others have.
  for (let turn = 0; turn < 64; turn++) {
    let all = 0;
    parts.forEach((rate, at) => (all += rate * (segments[at]?.[0] ?? 0)));
    const factor = all > 0 ? (mean * seconds) / all : 1;
    parts = parts.map((rate) => Math.min(Math.max(rate * factor, LEAST * mean), most));
  }
  return parts.map(Math.round);
}

/** Parameters in the encoder's own words that are for the whole video. */
const OF_THE_WHOLE = [
  'bitrate',
  'nal-hrd',
  'hrd',
  'pass',
  'passes',
  'qpfile',
  'rc',
  'stats',
  'strict-cbr',
  'tbr',
  'vbv-bufsize',
  'vbv-maxrate',
  'zonefile',
  'zones',
];

function checkParams(words: Words): void {
  for (const option of ['x264-params', 'x264opts', 'x265-params', 'svtav1-params']) {
    const pairs = (words.value(option) ?? '').split(':');
    const names = pairs.map((pair) => (pair.split('=', 1)[0] ?? '').trim().replaceAll('_', '-'));
    const name = names.find((name) => OF_THE_WHOLE.includes(name));
    if (name !== undefined) throw new Whole(`${name} in -${option} is for the whole video`);
  }
}
