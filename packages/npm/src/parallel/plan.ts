// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// How a command is cut: from its words and its input alone. It is what runtime/src/parallel/plan.rs is in Rust.

import { assembled } from './assembly.ts';
import { filtersOf, type Part, partsOf, seekUs, weights } from './cuts.ts';
import { type Chain, readChain } from './filters.ts';
import { DASH, HLS, MATROSKA, MP4, MPEGTS, ofSegments, WEBM } from './formats.ts';
import { rateOfVideo, shares } from './rate.ts';
import type { Source } from './source.ts';
import { beginsAtZero, isConstant, madeTimes, type Stretch, stretchOf } from './stretch.ts';
import { asSeconds, isSame, type Ratio } from './units.ts';
import { Whole } from './whole.ts';
import type { Words } from './words.ts';

/** A stretch of the input. */
export interface Segment {
  /** The time of its first frame, in units of the time base of the input's video; without it, it begins with the input. */
  start: number | null;
  /** The time of the first frame after it. */
  end: number | null;
  /** How many frames it has by the input's index, where that is sure. */
  frames: number | null;
  /**
   * The arguments of a job before, which counts what is hard to encode; without it there is one pass. Both have the
   * folder {@link PASSES}.
   */
  firstPass: string[] | null;
  args: string[];
}

/** The jobs that a command is cut into. */
export interface Plan {
  /** In order; each makes the picture of its stretch as fragmented MP4 on standard output. */
  segments: Segment[];
  /**
   * The arguments of the job that joins: it has the segments, one after another, on standard input, and makes all else
   * of the input itself. `FIRST_TIME` stands for the time of the first frame.
   */
  join: string[];
  output: string;
  /** The output's name until it is whole. */
  partial: string;
  /**
   * The arguments of a job whose output has the level that the encoder takes for the whole, where segments would have
   * others: {@link LEVEL} stands for it.
   */
  level: string[] | null;
  /** The output is a playlist, so that its frames are those that the job that joins has counted. */
  isPlaylist: boolean;
  /** About how much there is to make. */
  wanted: { frames: number; seconds: number };
}

/** Stands for the level of the video. */
export const LEVEL = 'LEVEL';

/** Where a segment's two passes have a writable folder of their own. */
export const PASSES = '/afmpeg-passes';

/**
 * Encoders of which each segment begins with a frame that needs none before, and whose parameters are those of every
 * segment.
 */
export const ENCODERS: readonly string[] = [
  'libx264',
  'h264',
  'libopenh264',
  'libx265',
  'hevc',
  'libkvazaar',
  'libvpx-vp9',
  'vp9',
  'libsvtav1',
  'ffv1',
  'prores',
  'prores_ks',
  'prores_aw',
  'mjpeg',
  'mpeg4',
];

/** What each fragment has: one frame, its times as they are. */
const FRAGMENTS = '+empty_moov+default_base_moof+frag_every_frame+frag_discont';

/**
 * Added to the times in segments, in seconds: decoding begins before the time of the first frame, and fragments have no
 * time before zero.
 */
export const OFFSET_SECONDS = 1000;

/** Decides how a command is cut. Throws {@link Whole}. */
export function plan(words: Words, source: Source): Plan {
  const encoder = checkOutput(words);
  const rate = rateOfVideo(words, encoder);
  const chain = readChain(words.filters);
  const stretch = stretchOf(words, source);
  checkTimes(words, source, stretch, chain);
  const parts = partsOf(source, stretch, chain);
  const ofParts = weights(source, parts);
  const rates = rate && shares(rate, ofParts);
  // With `-t` for the output the last one ends where its own job does.
  const endsByIndex = words.ofOutputReach.words.length === 0;
  const making = { words, source, stretch, encoder, chain };
  const segments = parts.map((part, at) => {
    const args = (pass: 1 | 2) => segment({ ...making, part, rate: rates?.[at], pass });
    const start = at > 0 ? part.begin : undefined;
    const isLast = at + 1 === parts.length;
    const end = isLast ? undefined : part.end;
    const frames = at > 0 && !chain.changesTimes && (!isLast || endsByIndex) ? part.frames : null;
    return { start: start ?? null, end: end ?? null, frames, firstPass: rates ? args(1) : null, args: args(2) };
  });
  const [first] = parts;
  const level = first && rates && takesLevel(words, encoder) ? segment({ ...making, part: first, rate: undefined, pass: 2 }) : null;
  level?.splice(-1, 0, '-frames:v', '1');
  const { output } = words;
  const partial = partialOf(output);
  if (partial === undefined) throw new Whole("the output's name has no ending");
  const join = assembled(words, source, encoder, partial);
  let seconds = 0;
  for (const [ofPart] of ofParts) seconds += ofPart;
  const wanted = { seconds, frames: framesOf(chain, seconds, madeTimes(stretch, source).length) };
  return { segments, join, output, partial, level, isPlaylist: isPlaylist(words), wanted };
}

/** About how many frames filters make. */
function framesOf({ changesTimes, rate }: Chain, seconds: number, frames: number): number {
  if (rate) return Math.max(1, Math.round((seconds * rate.numerator) / rate.denominator));
  return changesTimes ? 2 * frames : frames;
}

function isPlaylist(words: Words): boolean {
  return [...HLS, ...DASH].includes(words.container());
}

/** Checks that frames come at the times that the output gives them, whatever was before. */
function checkTimes(words: Words, source: Source, stretch: Stretch, chain: Chain): void {
  if (chain.changesTimes && words.ofOutputReach.words.length > 0) {
    throw new Whole('its filters change times, and -ss or -t is counted after them: before the input it is not');
  }
  if (!words.isConstant && !isPlaylist(words) && !words.rate) return;
  const rate: Ratio | undefined = chain.changesTimes ? chain.rate : source.stream()?.r_frame_rate;
  if (rate && (!words.rate || isSame(words.rate, rate))) {
    // A filter has made it so.
    const begins = words.ofInputReach.startUs === undefined && beginsAtZero(stretch, source);
    if (chain.changesTimes ? begins : isConstant(stretch, words, source, rate)) return;
  }
  throw new Whole('frames are left out or doubled for a constant rate: with the filter fps it could be cut');
}

/** The encoder of the picture, if the output is one that a plan makes. */
function checkOutput(words: Words): string {
  const { output } = words;
  const container = words.container();
  if (output.includes('://') || output.startsWith('pipe:') || output === '-') throw new Whole('the output is no file');
  const usual = usualEncoder(container);
  if (usual === undefined) {
    const known = 'is none of mp4, mov, mkv, webm, ts, hls and dash';
    throw new Whole(`the output's format, ${JSON.stringify(container)}, ${known}`);
  }
  const encoder = words.encoder() ?? usual;
  if (/ilme|ildct/.test(words.value('flags') ?? '')) throw new Whole('the video is encoded interlaced');
  if (encoder === 'copy') throw new Whole('the video is copied');
  if (!ENCODERS.includes(encoder)) throw new Whole(`the encoder ${encoder} is not known to begin anew at any frame`);
  return encoder;
}

/** The encoder that ffmpeg takes for a format. */
function usualEncoder(container: string): string | undefined {
  if ([...MP4, ...MATROSKA, ...HLS, ...DASH].includes(container)) return 'h264';
  if (WEBM.includes(container)) return 'libvpx-vp9';
  return MPEGTS.includes(container) ? 'mpeg2video' : undefined;
}

interface Making {
  words: Words;
  source: Source;
  stretch: Stretch;
  encoder: string;
  chain: Chain;
  part: Part;
  /** In bits a second. */
  rate: number | undefined;
  pass: 1 | 2;
}

function segment({ words, source, stretch, encoder, chain, part, rate, pass }: Making): string[] {
  const args = ['-nostdin', '-hide_banner', '-loglevel', 'error', '-copyts', '-start_at_zero'];
  const threads = words.globals[words.globals.indexOf('-filter_threads') + 1];
  if (words.globals.includes('-filter_threads') && threads !== undefined) args.push('-filter_threads', threads);
  args.push(...words.ofInput);
  const { offsetUs } = stretch;
  if (offsetUs !== 0) args.push('-itsoffset', `${offsetUs < 0 ? '-' : ''}${asSeconds(Math.abs(offsetUs))}`);
  if (part.seek !== undefined) args.push('-noaccurate_seek', '-ss', asSeconds(seekUs(source, part.seek)));
  args.push('-i', words.input, '-map', `0:${source.picture}`);
  // Chapters would be a track of their own.
  args.push('-map_metadata', '-1', '-map_chapters', '-1');
  const filters = filtersOf(part, source, stretch, chain, words.filters);
  if (filters !== '') args.push('-vf', filters);
  if (words.encoder() === undefined) args.push('-c:v', encoder);
  args.push(...pictureArgs(words, encoder, rate !== undefined), ...words.ofOutputReach.words, '-fps_mode', 'vfr');
  if (rate !== undefined) {
    if (takesLevel(words, encoder)) args.push('-level', LEVEL);
    args.push('-b:v', String(rate), '-pass', String(pass), '-passlogfile', `${PASSES}/log`);
    if (pass === 1) return [...args, '-f', 'null', '-'];
    // Each segment has another.
    args.push('-write_btrt', '0');
  }
  args.push('-output_ts_offset', String(OFFSET_SECONDS), '-avoid_negative_ts', 'disabled');
  args.push('-f', ofSegments(encoder), '-movflags', FRAGMENTS, '-use_editlist', '0', 'pipe:1');
  return args;
}

/** Whether the level of a video with a bit rate follows from that, which is another one in each segment. */
function takesLevel(words: Words, encoder: string): boolean {
  const isGiven = words.value('level', 'maxrate') !== undefined;
  const params = words.value('x264-params', 'x264opts') ?? '';
  return (encoder === 'libx264' || encoder === 'h264') && !isGiven && !params.includes('level');
}

/** The options of the picture, as a segment has them. */
function pictureArgs(words: Words, encoder: string, hasShare: boolean): string[] {
  const picture = [...words.picture];
  const isRate = (word: string) => /^-v?b(:|$)/.test(word);
  while (hasShare && picture.some(isRate)) picture.splice(picture.findIndex(isRate), 2);
  if (encoder !== 'libx264' && encoder !== 'h264') return picture;
  // Parameters that depend on nothing but the options.
  const at = picture.findIndex((word) => word.startsWith('-x264-params'));
  if (at < 0 || at + 1 >= picture.length) return [...picture, '-x264-params', 'stitchable=1'];
  return picture.with(at + 1, `${picture[at + 1]}:stitchable=1`);
}

/** A time in seconds with six decimals; of two that are as near, the even one, as in Rust. */
export function microseconds(seconds: number): string {
  const sign = seconds < 0 || Object.is(seconds, -0) ? '-' : '';
  const exact = Math.abs(seconds).toFixed(40);
  const digits = exact.indexOf('.') + 7;
  const isEven = Number(exact[digits - 1]) % 2 === 0;
  const isBetween = /^50*$/.test(exact.slice(digits));
  return sign + (isBetween && isEven ? exact.slice(0, digits) : Math.abs(seconds).toFixed(6));
}

/** `out.partial.mp4` of `out.mp4`. */
export function partialOf(output: string): string | undefined {
  const at = output.lastIndexOf('.');
  const [stem, ending] = [output.slice(0, Math.max(0, at)), output.slice(at + 1)];
  return stem === '' || ending.includes('/') ? undefined : `${stem}.partial.${ending}`;
}
