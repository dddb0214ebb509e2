// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// How a command is cut: from its words and its input alone. It is what runtime/src/parallel/plan.rs is in Rust.

import type { MediaType, Stream } from '../probe.ts';
import { isCover, type Source } from './source.ts';
import { Whole } from './whole.ts';
import { checkFilters, type Words } from './words.ts';

/** A stretch of the input. */
export interface Segment {
  /** The time of its first frame, in units of the time base of the input's video; without it, it begins with the input. */
  start: number | null;
  /** The time of the first frame after it. */
  end: number | null;
  args: string[];
}

/** The jobs that a command is cut into. */
export interface Plan {
  /** In order; each makes the picture of its stretch as fragmented MP4 on standard output. */
  segments: Segment[];
  /**
   * The arguments of the job that joins: it has the segments, one after another, on standard input, and makes all else
   * of the input itself. {@link FIRST_TIME} stands for the time of the first frame.
   */
  join: string[];
  output: string;
  /** The output's name until it is whole. */
  partial: string;
}

/** Stands for the time of the first frame, in seconds, which the first segment tells. */
export const FIRST_TIME = 'FIRST_TIME';

/** How long segments are at least: longer ones in longer videos, as each costs a key frame and what an encoder learns. */
const SEGMENT_MIN_SECONDS = 4;
const SEGMENT_MAX_SECONDS = 30;
/** As many segments are wanted, so that few cores end at about the same time. */
const SEGMENTS_WANTED = 12;

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

/** Endings, or names of formats, of outputs that take frames at their own times. */
const MP4 = ['mp4', 'm4v', 'mov'];
const MATROSKA = ['mkv', 'matroska'];
const WEBM = ['webm'];

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
  if (words.filters !== undefined) checkFilters(words.filters);
  const cuts = cutsOf(source);
  if (cuts.length === 0) throw new Whole('the input is too short, or has too few key frames');
  const bounds = [null, ...cuts, null];
  const segments = bounds.slice(1).map((end, at) => {
    const start = bounds[at] ?? null;
    return { start, end, args: segment(words, source, encoder, start, end) };
  });
  const partial = partialOf(words.output);
  if (partial === undefined) throw new Whole("the output's name has no ending");
  return { segments, join: join(words, source, encoder, partial), output: words.output, partial };
}

/** The encoder of the picture, if the output is one that a plan makes. */
function checkOutput(words: Words): string {
  const { output } = words;
  const container = words.container();
  if (output.includes('://') || output.startsWith('pipe:') || output === '-') throw new Whole('the output is no file');
  let usual = 'h264';
  if (WEBM.includes(container)) {
    usual = 'libvpx-vp9';
  } else if (!MP4.includes(container) && !MATROSKA.includes(container)) {
    throw new Whole(`the output's format, ${JSON.stringify(container)}, is none of mp4, mov, mkv and webm`);
  }
  const encoder = words.encoder() ?? usual;
  if (/ilme|ildct/.test(words.value('flags') ?? '')) throw new Whole('the video is encoded interlaced');
  if (encoder === 'copy') throw new Whole('the video is copied');
  if (!ENCODERS.includes(encoder)) throw new Whole(`the encoder ${encoder} is not known to begin anew at any frame`);
  checkRate(words, encoder);
  return encoder;
}

/** Checks that the rate of a frame does not depend on frames long before. */
function checkRate(words: Words, encoder: string): void {
  // It looks at the last second or so.
  if (encoder === 'libopenh264') return;
  const rate = words.value('b', 'vb');
  if ((rate !== undefined && rate !== '0') || words.value('maxrate', 'minrate', 'bufsize') !== undefined) {
    throw new Whole('its bit rate is one of the whole video: -crf, -q:v and the like are not');
  }
  const wantsQuality = ['libvpx-vp9', 'vp9', 'mpeg4', 'mjpeg'].includes(encoder);
  if (wantsQuality && words.value('crf', 'q', 'qscale') === undefined) {
    throw new Whole(`${encoder} has no -crf or -q:v, and so a bit rate of the whole video`);
  }
}

/** The times at which segments begin, but for the first. */
function cutsOf(source: Source): number[] {
  const [first, last] = source.ends();
  const length = source.seconds(last - first);
  const wanted = Math.min(Math.max(length / SEGMENTS_WANTED, SEGMENT_MIN_SECONDS), SEGMENT_MAX_SECONDS);
  const keys = source.packets.filter(({ isKey }) => isKey).map(({ time }) => time);
  const cuts: number[] = [];
  let begin = first;
  for (const key of keys.sort((one, other) => one - other)) {
    // The last one is not shorter than half of the others.
    if (source.seconds(key - begin) >= wanted && source.seconds(last - key) >= wanted / 2) {
      cuts.push(key);
      begin = key;
    }
  }
  return cuts;
}

function segment(words: Words, source: Source, encoder: string, start: number | null, end: number | null): string[] {
  const begin = source.start();
  const args = ['-nostdin', '-hide_banner', '-loglevel', 'error', '-copyts', '-start_at_zero'];
  const threads = words.globals[words.globals.indexOf('-filter_threads') + 1];
  if (words.globals.includes('-filter_threads') && threads !== undefined) args.push('-filter_threads', threads);
  args.push(...words.ofInput);
  const trim: string[] = [];
  if (start !== null) {
    // Rounded up, since the key frame before would cost its whole group of pictures.
    const seconds = Math.ceil(source.seconds(start - begin) * 1e6) / 1e6;
    args.push('-noaccurate_seek', '-ss', microseconds(seconds));
    trim.push(`start_pts=${start - begin}`);
  }
  args.push('-i', words.input, '-map', `0:${source.picture}`);
  // Chapters would be a track of their own.
  args.push('-map_metadata', '-1', '-map_chapters', '-1');
  if (end !== null) trim.push(`end_pts=${end - begin}`);
  const filters = [`trim=${trim.join(':')}`, ...(words.filters === undefined ? [] : [words.filters])];
  args.push('-vf', filters.join(','));
  if (words.encoder() === undefined) args.push('-c:v', encoder);
  args.push(...pictureArgs(words, encoder));
  args.push('-fps_mode', 'vfr', '-output_ts_offset', String(OFFSET_SECONDS), '-avoid_negative_ts', 'disabled');
  args.push('-f', containerOf(encoder), '-movflags', FRAGMENTS, '-use_editlist', '0', 'pipe:1');
  return args;
}

/** The options of the picture, with what makes its parameters depend on nothing else. */
function pictureArgs({ picture }: Words, encoder: string): string[] {
  if (encoder !== 'libx264' && encoder !== 'h264') return picture;
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

/** The format of segments. */
function containerOf(encoder: string): string {
  return encoder.startsWith('prores') ? 'mov' : 'mp4';
}

function join(words: Words, source: Source, encoder: string, partial: string): string[] {
  const args = [...words.globals, '-nostdin', '-y', '-f', containerOf(encoder), '-itsoffset', FIRST_TIME];
  args.push('-i', 'pipe:0', ...words.ofInput, '-i', words.input);
  const chosen = chosenStreams(words, source);
  const pictures = chosen.filter((index) => index === source.picture).length;
  if (pictures > 1) throw new Whole('it maps the video twice');
  for (const index of chosen) args.push('-map', index === source.picture ? '0:v:0' : `1:${index}`);
  if (pictures === 0) throw new Whole('the output has no video');
  for (const option of ['-map_metadata', '-map_chapters']) {
    if (!words.other.includes(option)) args.push(option, '1');
  }
  args.push(...tags(words, source), ...dispositions(words, source, chosen), ...shifted(words.other), '-c:v', 'copy');
  if (words.format !== undefined) args.push('-f', words.format);
  return [...args, partial];
}

const TAGS_OF_SEGMENTS = ['encoder', 'handler_name', 'language', 'vendor_id'];

/**
 * Gives the picture the tags that it has in the input. With `-map_metadata` for one stream, ffmpeg would leave those of
 * others out.
 */
function tags(words: Words, source: Source): string[] {
  if (words.other.includes('-1')) return [];
  const ofPicture = inOrder(source.stream()?.tags).filter(([name]) => name.toLowerCase() !== 'encoder');
  const all = [...TAGS_OF_SEGMENTS.map((name) => [name, '']), ...ofPicture];
  return all.flatMap(([name, value]) => ['-metadata:s:v:0', `${name}=${value}`]);
}

/** Entries in the order of their names' bytes. */
function inOrder<T>(record: Record<string, T> = {}): [name: string, value: T][] {
  const points = (text: string) => Array.from(text, (character) => character.codePointAt(0) ?? 0);
  const compare = (one: number[], other: number[]) => {
    const at = one.findIndex((point, at) => point !== other[at]);
    return at < 0 ? one.length - other.length : (one[at] ?? 0) - (other[at] ?? -1);
  };
  return Object.entries(record).sort(([one], [other]) => compare(points(one), points(other)));
}

/** Says which streams are marked as default and the like, where that is not what ffmpeg does for itself. */
function dispositions(words: Words, source: Source, chosen: readonly number[]): string[] {
  const ofPicture = inOrder(source.stream()?.disposition).flatMap(([name, holds]) => (holds === 1 ? [name] : []));
  if (ofPicture.join() === 'default') return [];
  const args = ['-disposition:v:0', ofPicture.length === 0 ? '0' : ofPicture.join('+')];
  if (words.other.some((word) => word.startsWith('-disposition'))) return args;
  // What it does for each kind of which there are several, unless anything is said of any stream.
  for (const [kind, letter] of [
    ['audio', 'a'],
    ['subtitle', 's'],
  ]) {
    const ofKind = source.probe.streams.filter((stream) => stream.codec_type === kind && chosen.includes(stream.index));
    const isMarked = ofKind.some(isDefault);
    if (ofKind.length > 1 && !isMarked) args.push(`-disposition:${letter}:0`, '+default');
  }
  return args;
}

function isDefault({ disposition }: Stream): boolean {
  return disposition.default === 1;
}

/** The options with the number that the input has here, where they name it. */
function shifted(options: readonly string[]): string[] {
  return options.map((word, at) => {
    const option = options[at - 1] ?? '';
    if (!option.startsWith('-map_metadata') && option !== '-map_chapters') return word;
    if (word === '0') return '1';
    if (word === '-1') return word;
    throw new Whole(`${option} ${word} is not one that a plan follows`);
  });
}

const SUBTITLES_OF_PICTURES = ['dvd_subtitle', 'dvb_subtitle', 'hdmv_pgs_subtitle', 'xsub'];

/** The indices of the streams that the output has, in its order. */
function chosenStreams(words: Words, source: Source): number[] {
  const { streams } = source.probe;
  const chosen = words.maps.length === 0 ? usualStreams(words, source) : [];
  for (const map of words.maps) {
    const found = mapped(map, streams);
    if (found.length === 0 && !map.endsWith('?')) throw new Whole(`-map ${map} matches no stream`);
    chosen.push(...found.map(({ index }) => index));
  }
  const isLeftOut = ({ codec_type }: Stream) =>
    ['audio', 'subtitle', 'data'].includes(codec_type) && words.without.includes(codec_type.slice(0, 1));
  const kept = chosen.flatMap((index) => streams.find((stream) => stream.index === index) ?? []);
  const left = kept.filter((stream) => !isLeftOut(stream));
  if (left.some(isCover)) throw new Whole('it maps a cover picture');
  return left.map(({ index }) => index);
}

/** Those that ffmpeg chooses: of sound, what is marked counts more than channels; of subtitles, the first as text. */
function usualStreams(words: Words, source: Source): number[] {
  const chosen = [source.picture];
  const score = (stream: Stream) => (isDefault(stream) ? 2 ** 32 : 0) + (stream.channels ?? 0);
  const ofKind = (kind: MediaType) =>
    source.probe.streams.filter(({ codec_type, codec_name }) => codec_type === kind && codec_name !== undefined);
  let best: Stream | undefined;
  for (const stream of ofKind('audio')) if (!best || score(stream) > score(best)) best = stream;
  if (best) chosen.push(best.index);
  const container = words.container();
  if (MATROSKA.includes(container) || WEBM.includes(container)) {
    const text = ofKind('subtitle').find(({ codec_name = '' }) => !SUBTITLES_OF_PICTURES.includes(codec_name));
    if (text) chosen.push(text.index);
  }
  return chosen;
}

const KINDS: Record<string, MediaType> = { v: 'video', V: 'video', a: 'audio', s: 'subtitle', d: 'data' };
const NUMBER = /^\+?\d{1,10}$/;

/** The streams that one `-map` means. */
function mapped(map: string, streams: readonly Stream[]): Stream[] {
  const [input, one, number, ...more] = map.replace(/\?+$/, '').split(':');
  const unknown = () => new Whole(`-map ${map} is not one that a plan follows`);
  if (input !== '0' || more.length > 0) throw unknown();
  if (one === undefined) return [...streams];
  if (number === undefined && NUMBER.test(one)) return streams.filter(({ index }) => index === Number(one));
  if (number !== undefined && !NUMBER.test(number)) throw unknown();
  const kind = Object.hasOwn(KINDS, one) ? KINDS[one] : undefined;
  if (kind === undefined) throw unknown();
  const ofKind = streams.filter((stream) => stream.codec_type === kind && (one !== 'V' || !isCover(stream)));
  return number === undefined ? ofKind : ofKind.slice(Number(number), Number(number) + 1);
}

/** `out.partial.mp4` of `out.mp4`. */
export function partialOf(output: string): string | undefined {
  const at = output.lastIndexOf('.');
  const [stem, ending] = [output.slice(0, Math.max(0, at)), output.slice(at + 1)];
  return stem === '' || ending.includes('/') ? undefined : `${stem}.partial.${ending}`;
}
