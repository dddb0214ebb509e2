// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// ffprobe's description of a file, with types.

import { AfmpegError } from './errors.ts';
import type { Output } from './output.ts';

/** A fraction as FFmpeg writes it, such as `30000/1001`. */
export interface Rational {
  numerator: number;
  denominator: number;
  /** The fraction as a number. */
  value: number;
}

/** Fields have ffprobe's own names, and those that ffprobe gives besides are there as it gives them. */
interface Described {
  tags: Record<string, string>;
  [field: string]: unknown;
}

export interface Format extends Described {
  /** The short names of the format, separated by commas, such as `mov,mp4,m4a,3gp,3g2,mj2`. */
  format_name: string;
  format_long_name: string | undefined;
  /** In seconds. */
  start_time: number | undefined;
  /** In seconds. */
  duration: number | undefined;
  /** In bytes. */
  size: number | undefined;
  /** In bits per second. */
  bit_rate: number | undefined;
  /** The certainty of the format, from 0 to 100. */
  probe_score: number | undefined;
}

export type MediaType = 'video' | 'audio' | 'subtitle' | 'data' | 'attachment' | 'unknown';

export interface Stream extends Described {
  index: number;
  codec_type: MediaType;
  codec_name: string | undefined;
  codec_long_name: string | undefined;
  profile: string | undefined;
  /** The size as it is stored, in pixels. */
  width: number | undefined;
  height: number | undefined;
  /** The width of a pixel by its height, where it is known. */
  sample_aspect_ratio: Rational | undefined;
  /** The clockwise rotation of the picture for display, in degrees: 90, 180 or 270, or an odd angle. */
  rotation_degrees: number;
  /** The size as it is displayed: cropped, turned, and with square pixels. */
  display_width: number | undefined;
  display_height: number | undefined;
  pix_fmt: string | undefined;
  sample_fmt: string | undefined;
  /** In samples per second. */
  sample_rate: number | undefined;
  channels: number | undefined;
  channel_layout: string | undefined;
  r_frame_rate: Rational | undefined;
  avg_frame_rate: Rational | undefined;
  time_base: Rational | undefined;
  /** In seconds. */
  start_time: number | undefined;
  /** In seconds. */
  duration: number | undefined;
  /** In bits per second. */
  bit_rate: number | undefined;
  nb_frames: number | undefined;
  /** Such as `default`, `forced` or `attached_pic`, with 1 for those that hold. */
  disposition: Record<string, number>;
}

/** A picture that is stored in tiles, each of them a stream. */
export interface TileGrid {
  width: number | undefined;
  height: number | undefined;
  rotation_degrees: number;
  display_width: number | undefined;
  display_height: number | undefined;
  [field: string]: unknown;
}

/** Streams that belong together, such as the tiles of one picture. */
export interface StreamGroup extends Described {
  index: number;
  /** The kind of the group, such as `Tile Grid`. */
  type: string | undefined;
  streams: Stream[];
  components: TileGrid[];
}

export interface Chapter extends Described {
  id: number;
  /** In seconds. */
  start_time: number | undefined;
  /** In seconds. */
  end_time: number | undefined;
}

/** A media file's format, streams and chapters. */
export interface Probe {
  format: Format;
  streams: Stream[];
  stream_groups: StreamGroup[];
  chapters: Chapter[];
}

/** ffprobe's command line, whose result {@link readProbe} reads. */
export function probeArguments(input: string): string[] {
  const options =
    'ffprobe -v info -hide_banner -of json -show_format -show_streams -show_stream_groups -show_chapters ' +
    '-show_entries frame=stream_index:frame_side_data=rotation -read_intervals %+#1 -i';
  return [...options.split(' '), input];
}

type Json = Record<string, unknown>;

export function readProbe(output: Output): Probe {
  let said: Json;
  try {
    said = JSON.parse(new TextDecoder().decode(output.stdout)) as Json;
  } catch (cause) {
    const message = 'the description that ffprobe gave cannot be read; see its messages in `output`';
    const error = new AfmpegError('probe-unreadable', message, { cause });
    error.output = { stderr: output.stderr };
    throw error;
  }
  // Photos state their rotation with the first picture.
  const rotations = new Map<unknown, number>();
  for (const frame of objects(said.frames)) {
    const rotation = rotationOf(frame);
    if (rotation !== undefined && !rotations.has(frame.stream_index)) rotations.set(frame.stream_index, rotation);
  }
  const ofGroups = rotationsOfGroups(output.stderr);
  return {
    format: format(object(said.format)),
    streams: objects(said.streams).map((stream) => streamOf(stream, rotations.get(stream.index))),
    stream_groups: objects(said.stream_groups).map((group) => groupOf(group, ofGroups)),
    chapters: objects(said.chapters).map((chapter) => ({
      ...chapter,
      id: number(chapter.id) ?? 0,
      start_time: number(chapter.start_time),
      end_time: number(chapter.end_time),
      tags: object(chapter.tags) as Record<string, string>,
    })),
  };
}

function object(value: unknown): Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {};
}

function objects(value: unknown): Json[] {
  return Array.isArray(value) ? value.map(object) : [];
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** A number that ffprobe may write as a string; what it does not know it calls `N/A`. */
function number(value: unknown): number | undefined {
  const found = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  return typeof found === 'number' && Number.isFinite(found) ? found : undefined;
}

function rational(value: unknown): Rational | undefined {
  const [numerator, denominator] = (text(value) ?? '').split(/[/:]/).map(Number);
  if (numerator === undefined || !Number.isFinite(numerator) || !denominator) return undefined;
  return { numerator, denominator, value: numerator / denominator };
}

function format(said: Json): Format {
  return {
    ...said,
    format_name: text(said.format_name) ?? '',
    format_long_name: text(said.format_long_name),
    start_time: number(said.start_time),
    duration: number(said.duration),
    size: number(said.size),
    bit_rate: number(said.bit_rate),
    probe_score: number(said.probe_score),
    tags: object(said.tags) as Record<string, string>,
  };
}

const MEDIA_TYPES: readonly string[] = ['video', 'audio', 'subtitle', 'data', 'attachment'];

function streamOf(said: Json, rotation: number | undefined): Stream {
  const [width, height] = [number(said.width), number(said.height)];
  const aspect = rational(said.sample_aspect_ratio);
  const rotationDegrees = rotationOf(said) ?? rotation ?? 0;
  const cropped = [
    crop(width, said, ['crop_left', 'crop_right']),
    crop(height, said, ['crop_top', 'crop_bottom']),
  ] as const;
  const size = displaySize(cropped[0], cropped[1], aspect?.value, rotationDegrees);
  const type = text(said.codec_type) ?? '';
  return {
    ...said,
    index: number(said.index) ?? 0,
    codec_type: (MEDIA_TYPES.includes(type) ? type : 'unknown') as MediaType,
    codec_name: text(said.codec_name),
    codec_long_name: text(said.codec_long_name),
    profile: text(said.profile),
    width,
    height,
    sample_aspect_ratio: aspect && aspect.value > 0 ? aspect : undefined,
    rotation_degrees: rotationDegrees,
    display_width: size?.[0],
    display_height: size?.[1],
    pix_fmt: text(said.pix_fmt),
    sample_fmt: text(said.sample_fmt),
    sample_rate: number(said.sample_rate),
    channels: number(said.channels),
    channel_layout: text(said.channel_layout),
    r_frame_rate: rational(said.r_frame_rate),
    avg_frame_rate: rational(said.avg_frame_rate),
    time_base: rational(said.time_base),
    start_time: number(said.start_time),
    duration: number(said.duration),
    bit_rate: number(said.bit_rate),
    nb_frames: number(said.nb_frames),
    disposition: object(said.disposition) as Record<string, number>,
    tags: object(said.tags) as Record<string, string>,
  };
}

function groupOf(said: Json, rotations: Map<number, number>): StreamGroup {
  const index = number(said.index) ?? 0;
  return {
    ...said,
    index,
    type: text(said.type),
    streams: objects(said.streams).map((stream) => streamOf(stream, undefined)),
    components: objects(said.components).map((grid) => {
      const [width, height] = [number(grid.width), number(grid.height)];
      const rotationDegrees = rotations.get(index) ?? rotationOf(grid) ?? 0;
      const size = displaySize(width, height, undefined, rotationDegrees);
      const [display_width, display_height] = size ?? [];
      return { ...grid, width, height, rotation_degrees: rotationDegrees, display_width, display_height };
    }),
    tags: object(said.tags) as Record<string, string>,
  };
}

function rotationOf(said: Json): number | undefined {
  const found = objects(said.side_data_list).find((data) => number(data.rotation) !== undefined);
  return found && clockwise(number(found.rotation) ?? 0);
}

/** FFmpeg counts the angle of a display matrix counterclockwise. */
function clockwise(degrees: number): number {
  return ((Math.round(-degrees) % 360) + 360) % 360;
}

/** A side without the edges that exist only because codecs use blocks. */
function crop(side: number | undefined, said: Json, edges: [string, string]): number | undefined {
  if (side === undefined) return undefined;
  const edge = (name: string) =>
    objects(said.side_data_list)
      .map((data) => number(data[name]))
      .find((value) => value) ?? 0;
  const left = side - edge(edges[0]) - edge(edges[1]);
  return left > 0 ? left : side;
}

/** FFmpeg's players and filters make pixels square by their width, and turn the picture by right angles. */
function displaySize(
  width: number | undefined,
  height: number | undefined,
  aspect: number | undefined,
  rotationDegrees: number,
): [number, number] | undefined {
  if (!width || !height) return undefined;
  const known = aspect !== undefined && aspect > 0 ? aspect : 1;
  const stretched = (side: number, by: number) => Math.max(1, Math.round(side * by));
  if (rotationDegrees % 180 !== 90) return [stretched(width, known), height];
  // Turned, the height is as wide as the pixels are high.
  return [stretched(height, 1 / known), width];
}

/** The rotation of groups of streams, by index, from ffprobe's log: its JSON does not have it. */
function rotationsOfGroups(log: string): Map<number, number> {
  const rotations = new Map<number, number>();
  let group: number | undefined;
  for (const line of log.split('\n').map((line) => line.trimStart())) {
    const found = /^Stream group #0:(\d+)/.exec(line);
    const rotation = /^Display Matrix: rotation of (\S+)/.exec(line);
    if (found) group = Number(found[1]);
    else if (line.startsWith('Stream #')) group = undefined;
    else if (group !== undefined && rotation) rotations.set(group, clockwise(Number(rotation[1])));
  }
  return rotations;
}
