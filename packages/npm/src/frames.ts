// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// Pictures out of a video: thumbnails and contact sheets.

import { coreCount } from '#platform';
import { AfmpegError, ProgramError, UsageError } from './errors.ts';
import type { Files } from './given.ts';
import type { Output } from './output.ts';
import { probeArguments, readProbe, type Probe, type Stream } from './probe.ts';

/** Which pictures are wanted, and how. */
export interface FramesWanted {
  /**
   * At these times, in seconds from the beginning: for each the first picture at or after it; the last one lasts to the
   * end.
   */
  at?: readonly number[];
  /** The first picture of each interval of so many seconds. An interval without a picture gives none. */
  every?: number;
  /**
   * So many pictures at even intervals from the whole video, put together to one; 320 pixels wide each unless a size is
   * given.
   */
  sheet?: { columns: number; rows: number };
  /** The width of each picture as it is displayed, in pixels; the height follows unless it is given too. */
  width?: number;
  /** The height of each picture, in pixels; the width follows unless it is given too. */
  height?: number;
  /** PNG by default. `rgba` gives the pixels: red, green, blue and alpha, a byte each, in rows from the top. */
  format?: 'png' | 'jpeg' | 'rgba';
}

/** One picture. */
export interface Frame {
  /** The time that was asked for, in seconds; a contact sheet has that of its first picture. */
  time: number;
  width: number;
  height: number;
  /** A PNG or JPEG file, or the pixels. */
  image: Uint8Array<ArrayBuffer>;
}

/** Runs a job with the caller's files and limits, and these beside them. */
export type RunJob = (args: string[], added?: Files) => Promise<Output>;

/** The folder for pictures in the job, where no file of the caller's lies. */
export const FRAMES_FOLDER = '.afmpeg-frames';

const PICTURE_PIXELS_MAX = 2 ** 28;
const SHEET_PIXELS_MAX = 2 ** 26;
const PICTURES_MAX = 10_000;
const SHEET_PICTURE_WIDTH = 320;

/** The most pictures in the video, per wanted one, for which all of it is decoded in one pass: seeking decodes too. */
const PASS_MAX = 60;

/** Half a microsecond: more than the rounding error of a time that was a floating-point number. */
const HALF_MICROSECOND = 0.0000005;

interface Source {
  run: RunJob;
  input: string;
  wanted: FramesWanted;
  video: Stream | undefined;
  /** As displayed. */
  size: [number, number] | undefined;
  start: number;
  /** The duration of the video, and that of the whole file. */
  duration: number | undefined;
  length: number | undefined;
  frameRate: number | undefined;
  frameCount: number | undefined;
  /** The number of the group whose tiles make the picture. */
  grid: number | undefined;
}

function noFrame(time: number): AfmpegError {
  return new AfmpegError(
    'no-frame',
    `the video shows nothing at ${time.toFixed(3)} s or later; ask for an earlier time`,
  );
}

export async function makeFrames(run: RunJob, input: string, wanted: FramesWanted): Promise<Frame[]> {
  check(wanted);
  const probe = readProbe((await run(probeArguments(input))).expectSuccess());
  const source = look(probe, run, input, wanted);
  const { sheet, every } = wanted;
  if (sheet) return [await makeSheet(source, sheet.columns, sheet.rows)];
  checkPixels(scaled(source), PICTURE_PIXELS_MAX);
  if (every !== undefined) return takeEvery(source, every);
  const end = lazily(() => findEnd(source));
  return inParallel(wanted.at ?? [0], (time) => frameAt(source, time, end));
}

function check({ at, every, sheet, width, height }: FramesWanted): void {
  const fault = (reason: string) => new UsageError('bad-frames', `the pictures cannot be made: ${reason}`);
  if ([at, every, sheet].filter((which) => which !== undefined).length > 1) {
    throw fault('give one of `at`, `every` and `sheet`');
  }
  const isSide = (side: number | undefined) => side === undefined || (Number.isSafeInteger(side) && side > 0);
  if (!isSide(width) || !isSide(height)) throw fault('`width` and `height` are whole numbers of pixels above 0');
  if (at?.some((time) => !(time >= 0 && time < 1e9))) throw fault('times are seconds from the beginning');
  if (every !== undefined && !(every > 0 && every < 1e9)) throw fault('`every` is a number of seconds above 0');
  const count = sheet && sheet.columns * sheet.rows;
  const isWhole = sheet && isSide(sheet.columns) && isSide(sheet.rows);
  if (sheet && !(isWhole && count !== undefined && count <= PICTURES_MAX)) {
    throw fault(`a sheet has from 1 to ${PICTURES_MAX} pictures`);
  }
}

function look(probe: Probe, run: RunJob, input: string, wanted: FramesWanted): Source {
  const grids = probe.stream_groups.filter(({ type, components }) => type === 'Tile Grid' && components.length > 0);
  const tiles = new Set(grids.flatMap(({ streams }) => streams.map(({ index }) => index)));
  const pictures = probe.streams.filter(({ codec_type }) => codec_type === 'video');
  const videos = pictures.filter(({ index, disposition }) => disposition.attached_pic !== 1 && !tiles.has(index));
  // FFmpeg's order of preference among several.
  const rank = (stream: Stream) => area(stream) + (stream.disposition.default === 1 ? 5_000_000 : 0);
  const video = largest(videos, rank);
  const group = largest(grids, ({ components: [grid] }) => (grid ? area(grid) : 0));
  const grid = group?.components[0];
  const isTiled = grid !== undefined && (!video || area(grid) >= rank(video));
  const shown = video ?? pictures[0];
  const display = isTiled ? grid : shown;
  if (!display)
    throw new UsageError('no-picture', 'the file has neither video nor a picture; see what `probe` says of it');
  const rates = [shown?.avg_frame_rate, shown?.r_frame_rate].map((rate) => rate?.value ?? 0);
  const { display_width, display_height } = display;
  return {
    run,
    input,
    wanted,
    video,
    size: display_width && display_height ? [display_width, display_height] : undefined,
    start: probe.format.start_time ?? 0,
    duration: [video?.duration, probe.format.duration].find((duration) => duration !== undefined && duration > 0),
    length: probe.format.duration,
    frameRate: rates.find((rate) => rate > 0),
    frameCount: video?.nb_frames,
    grid: isTiled ? group?.index : undefined,
  };
}

function area({ width, height }: { width: number | undefined; height: number | undefined }): number {
  return (width ?? 0) * (height ?? 0);
}

/** The first of the largest. */
function largest<T>(items: T[], rank: (item: T) => number): T | undefined {
  return items.reduce<T | undefined>(
    (best, item) => (best === undefined || rank(item) > rank(best) ? item : best),
    undefined,
  );
}

/** The size of the pictures, if it is known. */
function scaled({ size, wanted: { width, height } }: Source): [number, number] | undefined {
  if (width && height) return [width, height];
  if (!size) return undefined;
  const [ownWidth, ownHeight] = size;
  if (width) return [width, Math.max(1, Math.round((width * ownHeight) / ownWidth))];
  if (height) return [Math.max(1, Math.round((height * ownWidth) / ownHeight)), height];
  return size;
}

function checkPixels(size: [number, number] | undefined, pixelsMax: number, count = 1): void {
  if (!size || size[0] * size[1] * count <= pixelsMax) return;
  const pixels = size[0] * size[1] * count;
  const message = `the picture would have ${pixels} pixels, and may have ${pixelsMax}: ask for fewer or smaller ones`;
  throw new UsageError('too-large', message);
}

function scale({ width, height }: FramesWanted): string {
  if (width && height) return `${width}:${height}`;
  if (width) return `${width}:'max(1,round(${width}/dar))'`;
  if (height) return `'max(1,round(${height}*dar))':${height}`;
  return "'max(1,round(iw*sar))':ih";
}

/** The filters that come before the encoder. */
function filters(format: FramesWanted['format'], size: string): string {
  switch (format) {
    case 'jpeg':
      // Readers of JPEG assume these, whatever the encoding of the video.
      return `scale=${size}:out_color_matrix=bt601:out_range=full,setsar=1,format=yuv420p`;
    case 'rgba':
      return `scale=${size},setsar=1,format=rgba`;
    default:
      return `scale=${size},setsar=1`;
  }
}

function encoder(format: FramesWanted['format']): string[] {
  if (format === 'jpeg') return ['-c:v', 'mjpeg', '-q:v', '3'];
  return ['-c:v', format === 'rgba' ? 'pam' : 'png'];
}

interface Command {
  before?: string[];
  filters: string;
  after: string[];
  to: string;
}

/** Runs ffmpeg on the input, and gives the pictures that it wrote, by the names of their files. */
async function take(
  source: Source,
  { before = [], filters: graph, after, to }: Command,
): Promise<Map<string, Uint8Array<ArrayBuffer>>> {
  const { run, input, grid, wanted } = source;
  // FFmpeg puts tiles together by a complex filter of its own, and takes no simple one beside it.
  const filtered =
    grid === undefined ? ['-vf', graph] : ['-filter_complex', `[0:g:${grid}]${graph}[picture]`, '-map', '[picture]'];
  const args = [
    'ffmpeg',
    '-hide_banner',
    '-loglevel',
    'error',
    ...before,
    '-i',
    input,
    ...filtered,
    ...encoder(wanted.format),
  ];
  return pictures(await run([...args, ...after, '-f', 'image2', `${FRAMES_FOLDER}/${to}`]));
}

function pictures(output: Output): Map<string, Uint8Array<ArrayBuffer>> {
  const { files } = output.expectSuccess();
  const found = Object.entries(files).filter(([name]) => name.startsWith(`${FRAMES_FOLDER}/`));
  return new Map(found.map(([name, data]) => [name.slice(FRAMES_FOLDER.length + 1), data]));
}

async function single(source: Source, command: Omit<Command, 'to'>, time: number): Promise<Frame> {
  const found = await take(source, { ...command, after: [...command.after, '-update', '1'], to: 'frame' });
  const file = found.get('frame');
  // FFmpeg finds nothing wrong with a time after the end.
  if (!file) throw noFrame(time);
  return picture(source.wanted.format, file, time);
}

function seek(source: Source, time: number): Promise<Frame> {
  // Without a reason to seek it is better not done: many formats, such as those of stills, don't take it.
  const before = time > 0 ? ['-ss', time.toFixed(6)] : [];
  const graph = filters(source.wanted.format, scale(source.wanted));
  return single(source, { before, filters: graph, after: ['-frames:v', '1'] }, time);
}

const isNoFrame = (error: unknown) => error instanceof AfmpegError && error.code === 'no-frame';
const isInVain = (error: unknown) => isNoFrame(error) || error instanceof ProgramError;

/** The picture at a time, by seeking if possible. */
async function frameAt(source: Source, time: number, findEnd: () => Promise<End | undefined>): Promise<Frame> {
  let failed: unknown;
  try {
    return await seek(source, time);
  } catch (error) {
    // Some files cannot be sought in.
    if (!isInVain(error) || time === 0) throw error;
    failed = error;
  }
  const end = await findEnd();
  if (!end) throw failed;
  // A single picture is there to be seen at any time.
  if (end.count !== 1 && time > Math.max(source.length ?? 0, end.end)) throw noFrame(time);
  const graph = filters(source.wanted.format, scale(source.wanted));
  if (time <= end.lastAt) {
    try {
      return await single(source, { filters: `select='gte(t,${time})',${graph}`, after: ['-frames:v', '1'] }, time);
    } catch (error) {
      if (!isNoFrame(error)) throw error;
    }
  }
  // The last picture of all: each takes the place of the one before it. The last packet may hold none, or be damaged.
  for (const from of [end.lastAt, Math.max(0, end.lastAt - 10)]) {
    try {
      return await single(source, { before: ['-ss', from.toFixed(6)], filters: graph, after: [] }, time);
    } catch (error) {
      if (!isInVain(error)) throw error;
    }
  }
  return single(source, { filters: graph, after: [] }, time);
}

interface End {
  /** A time at which the last picture, and none before it, is found. */
  lastAt: number;
  /** The time until which it is shown. */
  end: number;
  /** The number of pictures, if all were counted. */
  count: number | undefined;
}

/** The part of a long video, from its end, in which the last picture is searched for first. */
const TAIL_SECONDS = 60;

/**
 * Finds the end of the video, which often differs from the stated one: sound may be longer, and live recordings state
 * none.
 */
async function findEnd(source: Source): Promise<End | undefined> {
  const { duration, start } = source;
  if (duration !== undefined && duration > 2 * TAIL_SECONDS) {
    const end = await readPackets(source, start + duration - TAIL_SECONDS);
    if (end) return { ...end, count: undefined };
  }
  return readPackets(source, undefined);
}

async function readPackets(
  { run, input, video, start, frameRate }: Source,
  from: number | undefined,
): Promise<End | undefined> {
  const options = 'ffprobe -v error -of csv=p=0 -show_entries packet=pts_time,dts_time,duration_time -select_streams';
  const interval = from === undefined ? [] : ['-read_intervals', `${from.toFixed(6)}%`];
  // A damaged end is no reason to do without what came before it.
  const { stdout } = await run([...options.split(' '), video ? 'V' : 'v', ...interval, '-i', input]);
  const lines = new TextDecoder()
    .decode(stdout)
    .split('\n')
    .filter((line) => line.trim() !== '');
  const frame = frameRate ? 1 / frameRate : 0;
  let last: [time: number, end: number] | undefined;
  for (const line of lines) {
    const [pts = Number.NaN, dts = Number.NaN, duration = Number.NaN] = line.split(',').map(Number.parseFloat);
    const time = Number.isNaN(pts) ? dts : pts;
    if (Number.isNaN(time) || (last && time < last[0])) continue;
    last = [time, time + (Number.isNaN(duration) ? frame : duration)];
  }
  const BEFORE_SECONDS = 0.0005;
  const lastAt = (time: number) => Math.max(0, time - BEFORE_SECONDS);
  const count = lines.length;
  if (last) return { lastAt: lastAt(last[0] - start), end: Math.max(0, last[1] - start), count };
  // Streams without a container have no times; FFmpeg gives them some by the frame rate.
  return count > 0 ? { lastAt: lastAt((count - 1) * frame), end: count * frame, count } : undefined;
}

/** Makes something of each item, on as many workers as there are cores, up to the first failure. */
async function inParallel<T, R>(items: readonly T[], make: (item: T) => Promise<R>): Promise<R[]> {
  const made: R[] = [];
  const rest = items.entries();
  let hasFailed = false;
  const work = async () => {
    for (const [index, item] of rest) {
      if (hasFailed) return;
      try {
        made[index] = await make(item);
      } catch (error) {
        hasFailed = true;
        throw error;
      }
    }
  };
  // More would only wait in line.
  const MOST_AT_ONCE = 8;
  await Promise.all(Array.from({ length: Math.min(coreCount(), MOST_AT_ONCE) }, work));
  return made;
}

function lazily<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => (made ??= make());
}

async function takeEvery(source: Source, interval: number): Promise<Frame[]> {
  const number = (time: string) => `max(0,floor((${time}+${HALF_MICROSECOND.toFixed(7)})/${interval}))`;
  const numbered = await firstOfEach(source, number);
  if (numbered.length === 0) throw noFrame(0);
  return numbered.map(([index, file]) => picture(source.wanted.format, file, index * interval));
}

/**
 * In one pass over the video, the first picture of each number that `number` makes of a time: numbers are not negative,
 * and those of later times not smaller. `number` is an expression of FFmpeg's over the time that it is given.
 */
async function firstOfEach(
  source: Source,
  number: (time: string) => string,
): Promise<[number, Uint8Array<ArrayBuffer>][]> {
  // A picture's number becomes its time, and its time the name of its file.
  const graph =
    `settb=AVTB,select='isnan(prev_selected_t)+gt(${number('t')},${number('prev_selected_t')})',` +
    `setpts='(${number('T')})/TB',settb=1/1,${filters(source.wanted.format, scale(source.wanted))}`;
  const after = ['-frame_pts', '1', '-fps_mode', 'passthrough', '-enc_time_base', 'filter'];
  const found = await take(source, { filters: graph, after, to: 'frame%012d' });
  const numbered = [...found].map(([name, file]): [number, Uint8Array<ArrayBuffer>] => [
    Number(/\d+$/.exec(name)?.[0]),
    file,
  ]);
  return numbered.sort(([one], [other]) => one - other);
}

async function makeSheet(source: Source, columns: number, rows: number): Promise<Frame> {
  const count = columns * rows;
  const { wanted } = source;
  const hasSize = wanted.width !== undefined || wanted.height !== undefined;
  const parts: Source = {
    ...source,
    wanted: { ...wanted, format: 'rgba', ...(hasSize ? {} : { width: SHEET_PICTURE_WIDTH }) },
  };
  const size = scaled(parts);
  checkPixels(size, SHEET_PIXELS_MAX, count);
  const end = await findEnd(source);
  if (!end) throw noFrame(0);
  // All of one size, even if the video changes its own. A single picture may say itself how it is to be turned.
  if (size && end.count !== 1 && source.grid === undefined) {
    parts.wanted = { ...parts.wanted, width: size[0], height: size[1] };
  }
  const files = await spread(parts, count, end);
  const first = files[0] && picture('rgba', files[0], 0);
  if (!first) throw noFrame(0);
  checkPixels([first.width, first.height], SHEET_PIXELS_MAX, count);
  const named: Files = {};
  for (const [index, file] of files.entries()) {
    named[`${FRAMES_FOLDER}/part${String(index).padStart(5, '0')}.pam`] = file;
  }
  const args = [
    'ffmpeg',
    '-hide_banner',
    '-loglevel',
    'error',
    '-f',
    'image2',
    '-c:v',
    'pam',
    '-i',
    `${FRAMES_FOLDER}/part%05d.pam`,
  ];
  const graph = `tile=${columns}x${rows},${filters(wanted.format, 'iw:ih')}`;
  const after = [
    '-vf',
    graph,
    ...encoder(wanted.format),
    '-frames:v',
    '1',
    '-update',
    '1',
    '-f',
    'image2',
    `${FRAMES_FOLDER}/sheet`,
  ];
  const made = pictures(await source.run([...args, ...after], named)).get('sheet');
  if (!made) throw noFrame(0);
  return picture(wanted.format, made, timeOf(0, count, end));
}

/** The middle of each part of the video, as far as there are pictures. */
function timeOf(index: number, count: number, end: End): number {
  return Math.min((end.end * (index + 0.5)) / count, end.lastAt);
}

/** The files of so many pictures, at even intervals. */
async function spread(source: Source, count: number, end: End): Promise<Uint8Array<ArrayBuffer>[]> {
  const { frameCount, duration, frameRate } = source;
  const all = end.count ?? frameCount ?? (duration && frameRate ? Math.ceil(duration * frameRate) : Infinity);
  const sought = all > PASS_MAX * count ? await seekAll(source, count, end) : undefined;
  if (sought) return sought;
  // Which of the wanted times is the latest that the picture of a time is for, counted from 1. The last picture is for
  // all that are left, and the first one is taken in any case, by the number 0 if by no other.
  const [length, latest, last] = [Math.max(end.end, 0.001), count - 1, end.lastAt];
  const half = HALF_MICROSECOND.toFixed(7);
  const number = (time: string) =>
    `1+if(gte(${time},${last}),${latest},clip(floor((${time}+${half})*${count}/${length}-0.5),-1,${latest}))`;
  const numbered = await firstOfEach(source, number);
  const lastFile = numbered.at(-1)?.[1];
  if (!lastFile) throw noFrame(0);
  return Array.from({ length: count }, (_, index) => numbered.find(([number]) => number >= index + 1)?.[1] ?? lastFile);
}

/**
 * Seeks for each picture; where nothing comes after a time, the one before is taken. Nothing comes of it if that is in
 * vain.
 */
async function seekAll(source: Source, count: number, end: End): Promise<Uint8Array<ArrayBuffer>[] | undefined> {
  const times = Array.from({ length: count }, (_, index) => timeOf(index, count, end));
  let isHopeless = false;
  const found = await inParallel(times, async (time) => {
    try {
      if (isHopeless) return undefined;
      return asPam(await seek(source, time));
    } catch (error) {
      if (!isInVain(error)) throw error;
      isHopeless ||= error instanceof ProgramError;
      return undefined;
    }
  });
  let before = found.find((file) => file);
  if (isHopeless || !before) return undefined;
  return found.map((file) => (before = file ?? before) as Uint8Array<ArrayBuffer>);
}

function asPam({ width, height, image }: Frame): Uint8Array<ArrayBuffer> {
  const head = new TextEncoder().encode(
    `P7\nWIDTH ${width}\nHEIGHT ${height}\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n`,
  );
  const file = new Uint8Array(head.byteLength + image.byteLength);
  file.set(head);
  file.set(image, head.byteLength);
  return file;
}

function picture(format: FramesWanted['format'], file: Uint8Array<ArrayBuffer>, time: number): Frame {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  try {
    if (format === 'rgba') return { time, ...fromPam(file) };
    if (format === 'jpeg') return { time, ...jpegSize(view), image: file };
    // The header chunk is the first, after a signature of 8 bytes, a length and a name of 4 each.
    return { time, width: view.getUint32(16), height: view.getUint32(20), image: file };
  } catch (cause) {
    throw new AfmpegError('bad-picture', 'FFmpeg wrote a picture without a size; ask for another format', { cause });
  }
}

function fromPam(file: Uint8Array<ArrayBuffer>): Omit<Frame, 'time'> {
  const END = 'ENDHDR\n';
  const head = new TextDecoder('latin1').decode(file.subarray(0, 512));
  const end = head.indexOf(END);
  const field = (name: string) => Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(head.slice(0, end))?.[1]);
  const [width, height] = [field('WIDTH'), field('HEIGHT')];
  if (end < 0 || !(width > 0) || !(height > 0)) throw new RangeError('no header');
  return { width, height, image: file.subarray(end + END.length) };
}

/** The size in a JPEG file's frame header, which follows any number of other segments. */
function jpegSize(view: DataView): { width: number; height: number } {
  for (let at = 2; ;) {
    const marker = view.getUint8(at + 1);
    // The markers of frame headers, less the three in their midst that mean something else.
    if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) {
      return { width: view.getUint16(at + 7), height: view.getUint16(at + 5) };
    }
    at += 2 + view.getUint16(at + 2);
  }
}
