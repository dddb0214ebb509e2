// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// The job that joins: how the segments and all else of the input become the output. It is what
// runtime/src/parallel/assembly.rs is in Rust.

import type { MediaType, Stream } from '../probe.ts';
import { DASH, DISCONTINUOUS, HLS, MATROSKA, ofSegments, WEBM } from './formats.ts';
import { isCover, type Source } from './source.ts';
import { asSeconds } from './units.ts';
import { Whole } from './whole.ts';
import type { Words } from './words.ts';

/** Stands for the time of the first frame, in seconds, which the first segment tells. */
export const FIRST_TIME = 'FIRST_TIME';

/** The arguments of the job that joins. */
export function assembled(words: Words, source: Source, encoder: string, partial: string): string[] {
  const args = [...words.globalsOfJoin(), '-nostdin', '-y', '-f', ofSegments(encoder), '-itsoffset', FIRST_TIME];
  args.push('-i', 'pipe:0', ...words.ofInput, ...words.ofInputReach.words, '-i', words.input);
  const chosen = chosenStreams(words, source);
  const { ofInputReach, ofOutputReach } = words;
  if (ofOutputReach.startUs !== undefined && (chosen.length > 1 || source.probe.chapters.length > 0)) {
    throw new Whole('-ss after the input is for sound and chapters as well: before the input it could be cut');
  }
  const pictures = chosen.filter((index) => index === source.picture).length;
  if (pictures > 1) throw new Whole('it maps the video twice');
  for (const index of chosen) args.push('-map', index === source.picture ? '0:v:0' : `1:${index}`);
  if (pictures === 0) throw new Whole('the output has no video');
  for (const option of ['-map_metadata', '-map_chapters']) {
    if (words.pairsOf(option).length === 0) args.push(option, '1');
  }
  args.push(...tags(words, source), ...dispositions(words, source, chosen), ...shifted(words.other));
  const lengthUs = ofOutputReach.lengthUs();
  if (lengthUs !== undefined) args.push('-t', asSeconds(lengthUs));
  args.push('-c:v', 'copy', ...playlist(words));
  if (words.format !== undefined) args.push('-f', words.format);
  args.push(partial);
  // Where the input begins, and which packets of sound are read before a key frame, depends on whether its picture is.
  const beginsWithAll = source.isOf(DISCONTINUOUS) && chosen.length > 1;
  const readsAlike = ofInputReach.startUs === undefined || !source.isOf(['matroska']);
  if (beginsWithAll || !readsAlike) args.push('-map', `1:${source.picture}`, '-c', 'copy', '-f', 'null', '-');
  return args;
}

/** What makes the files of a playlist those of the whole output, rather than of the unfinished one. */
function playlist(words: Words): string[] {
  const { output, other } = words;
  const isHls = HLS.includes(words.container());
  if (!isHls && !DASH.includes(words.container())) return [];
  if (words.globals.includes('-progress')) {
    throw new Whole('-progress is of the job that would count the frames of its playlist');
  }
  const value = (name: string) => (other.includes(name) ? other[other.indexOf(name) + 1] : undefined);
  if (/single_file|append_list/.test(value('-hls_flags') ?? '')) {
    throw new Whole('its playlist is of one file, or goes on with another');
  }
  if (!isHls) return [];
  // A file has its name when it is whole.
  const args = ['-hls_flags', '+temp_file'];
  if (value('-hls_segment_filename') === undefined) {
    const ending = value('-hls_segment_type') === 'fmp4' ? 'm4s' : 'ts';
    const at = output.lastIndexOf('.');
    args.push('-hls_segment_filename', `${at < 0 ? output : output.slice(0, at)}%d.${ending}`);
  }
  return args;
}

/** The stream whose description the output's picture has: that of a graph has none. */
function pictureOf(words: Words, source: Source): Stream | undefined {
  return words.hasGraph ? undefined : source.stream();
}

const TAGS_OF_SEGMENTS = ['encoder', 'handler_name', 'language', 'vendor_id'];

/**
 * Gives the picture the tags that it has in the input. With `-map_metadata` for one stream, ffmpeg would leave those of
 * others out.
 */
function tags(words: Words, source: Source): string[] {
  // ffmpeg copies none to any stream then.
  const isManual = ([name, value]: [string, string]) =>
    name === '-map_metadata' ? value === '-1' : name.startsWith('-map_metadata:s');
  if (words.pairsOf('-map_metadata').some(isManual)) return [];
  const ofPicture = inOrder(pictureOf(words, source)?.tags).filter(([name]) => name.toLowerCase() !== 'encoder');
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
  const ofPicture = inOrder(pictureOf(words, source)?.disposition).flatMap(([name, holds]) => (holds === 1 ? [name] : []));
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
export function chosenStreams(words: Words, source: Source): number[] {
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
  const subtitles = source.probe.streams.filter(({ codec_type }) => codec_type === 'subtitle');
  const subtitle = subtitles.find((stream) => takesSubtitle(words, stream));
  if (subtitle) chosen.push(subtitle.index);
  if (HLS.includes(container) && !words.without.includes('s') && subtitles.length > 0) {
    throw new Whole('subtitles of a playlist are not ones that a plan follows: with -sn it could be cut');
  }
  return chosen;
}

/** Whether ffmpeg takes such a subtitle for the output by itself, if it comes first. */
function takesSubtitle(words: Words, { codec_name: codec }: Stream): boolean {
  // With an encoder that is named, it takes any.
  if (words.other.some((word) => ['-c:s', '-codec:s', '-scodec'].includes(word))) return true;
  const container = words.container();
  const isText = codec !== undefined && !SUBTITLES_OF_PICTURES.includes(codec);
  return isText && (MATROSKA.includes(container) || WEBM.includes(container));
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
