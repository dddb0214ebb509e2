// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// Carrying a plan out, with jobs in the runtime's workers.

import { AfmpegError, LimitError, ParallelError, ProgramError } from '../errors.ts';
import type { Files } from '../given.ts';
import type { Output } from '../output.ts';
import { probeArguments, readProbe } from '../probe.ts';
import type { Progress } from '../progress.ts';
import { FIRST_TIME } from './assembly.ts';
import { Encoded, Unfit } from './join.ts';
import { Line } from './line.ts';
import type { Target } from './place.ts';
import { LEVEL, microseconds, OFFSET_SECONDS, PASSES, type Plan, plan, type Segment } from './plan.ts';
import { Reports } from './reports.ts';
import { indexArgs, pictureOf, Source } from './source.ts';
import { normalized, readOnly, targetOf } from './target.ts';
import { Whole } from './whole.ts';
import { Words } from './words.ts';

/** What a job of a command has, beside what all of them have. */
export interface JobOptions {
  files: Files;
  stdin?: Blob | AsyncIterable<Uint8Array>;
  stdoutMaxBytes?: number;
  writtenMaxBytes?: number;
  onProgress?(progress: Progress): void;
}

/** What the runtime does for a command. */
export interface Jobs {
  /** Runs a job in its turn. */
  run(args: string[], options: JobOptions): Promise<Output>;
  /** Runs the job that joins, beside those whose turn it is: it waits for others. */
  join(args: string[], options: JobOptions): Promise<Output>;
  /** Runs the command as one job. */
  whole(): Promise<Output>;
  /** Ends all jobs. */
  stop(): void;
  /** Jobs can wait for a stream. */
  canWait: boolean;
}

export interface Command {
  /** After the program's name. */
  args: readonly string[];
  files: Files;
  /** How many segments are made at a time. */
  workers: number;
  /** It is an error if the command cannot be cut. */
  isRequired: boolean;
  /** Why no command can be cut here. */
  whole: string | undefined;
  /** The most bytes of encoded segments that wait. */
  filesMaxBytes: number;
  onProgress: ((progress: Progress) => void) | undefined;
}

/** The most that the index of an input may take as text: that of a day of video. */
const INDEX_MAX_BYTES = 2 ** 28;
/** How many encoded segments may wait, for each one that is made at a time. */
const WAITING_MAX = 2;

/** What jobs say is not written for the caller, whose limit is for that. */
const UNWRITTEN = { writtenMaxBytes: Number.MAX_SAFE_INTEGER };

/** A command that can be cut. */
interface Cut {
  command: Command;
  jobs: Jobs;
  plan: Plan;
  target: Target;
  reports: Reports | undefined;
  /** What jobs find that only read. */
  files: Files;
}

/** Runs a command on several cores where it can be cut, and as one job where it cannot. */
export async function runParallel(command: Command, jobs: Jobs): Promise<Output> {
  try {
    return await runCut(await planned(command, jobs));
  } catch (error) {
    // That segments do not fit shows when they are made.
    if (!(error instanceof Whole || error instanceof Unfit)) throw error;
    const { message: reason } = error;
    if (!command.isRequired) return (await jobs.whole()).as({ whole: reason });
    const message = `the command cannot be cut: ${reason}; leave \`parallel\` out, or say \`parallel: true\``;
    throw new ParallelError('not-cut', message, reason);
  }
}

async function runCut(cut: Cut): Promise<Output> {
  try {
    const joined = await encodeAndJoin(cut);
    const files = await cut.target.finish(joined);
    return joined.as({ segments: cut.plan.segments.length, files });
  } catch (error) {
    await cut.target.discard();
    throw error;
  }
}

/** Decides how a command is cut, and where its output lies. Throws {@link Whole}. */
async function planned(command: Command, jobs: Jobs): Promise<Cut> {
  if (command.whole !== undefined) throw new Whole(command.whole);
  const words = Words.read(command.args);
  const all = normalized(command.files);
  const files = readOnly(all, words.input);
  const described = await jobs.run(probeArguments(words.input), { files, ...UNWRITTEN });
  // The job that does all says it in ffmpeg's words.
  if (described.exitCode !== 0) throw new Whole(`the input: ${described.errorMessage}`);
  const probe = readProbe(described);
  const picture = pictureOf(probe);
  const source = new Source(probe, picture, await indexOf(words, picture, files, jobs));
  const made = await withLevel(plan(words, source), files, jobs);
  if (!(await hasUsualEncoder(words, jobs))) {
    throw new Whole('without libx264 the module has an encoder of its own for H.264: name it with -c:v');
  }
  const target = await targetOf(made, words, all);
  const reports = command.onProgress && new Reports(command.onProgress, made.wanted);
  return { command, jobs, plan: made, target, reports, files };
}

/** Has all segments have the level that the whole would have. */
async function withLevel(plan: Plan, files: Files, jobs: Jobs): Promise<Plan> {
  if (!plan.level) return plan;
  const { stdout } = await jobs.run(['ffmpeg', ...plan.level], { files, ...UNWRITTEN });
  const level = levelOf(stdout);
  if (level === undefined) throw new Whole('the level of its video is not known before it is encoded');
  const filled = (args: string[]) => args.map((word) => (word === LEVEL ? level : word));
  const segments = plan.segments.map(({ firstPass, args, ...segment }) => {
    return { ...segment, firstPass: firstPass && filled(firstPass), args: filled(args) };
  });
  return { ...plan, segments };
}

function levelOf(stdout: Uint8Array<ArrayBuffer>): string | undefined {
  try {
    return new Encoded(stdout).level();
  } catch {
    return undefined;
  }
}

/** Whether the encoder that ffmpeg takes for H.264 is the one that plans take it for, where it is left to ffmpeg. */
async function hasUsualEncoder(words: Words, jobs: Jobs): Promise<boolean> {
  if ((words.encoder() ?? 'h264') !== 'h264' || words.container() === 'webm') return true;
  const args = ['ffmpeg', '-v', 'error', '-h', 'encoder=libx264'];
  const { stdout } = await jobs.run(args, { files: {}, stdoutMaxBytes: 2 ** 16, ...UNWRITTEN });
  return new TextDecoder().decode(stdout).includes('Encoder libx264');
}

async function indexOf(words: Words, picture: number, files: Files, jobs: Jobs): Promise<string> {
  const args = ['ffprobe', ...indexArgs(words.ofInput, picture, words.input)];
  const unlisted = new Whole("the input's packets cannot be listed");
  try {
    const output = await jobs.run(args, { files, stdoutMaxBytes: INDEX_MAX_BYTES, ...UNWRITTEN });
    if (output.exitCode !== 0) throw unlisted;
    return new TextDecoder().decode(output.stdout);
  } catch (error) {
    throw error instanceof LimitError && error.limit === 'stdoutMaxBytes' ? unlisted : error;
  }
}

async function encodeAndJoin(cut: Cut): Promise<Output> {
  const { command, jobs, plan } = cut;
  const workers = Math.min(command.workers, plan.segments.length);
  // Where a job cannot wait for its standard input, all of that is made before.
  const aheadMax = jobs.canWait ? WAITING_MAX * workers : Infinity;
  const line = new Line(plan.segments.length, aheadMax, command.filesMaxBytes);
  const failures: unknown[] = [];
  const unlessFailed = async <T>(work: Promise<T>): Promise<T | undefined> => {
    try {
      return await work;
    } catch (error) {
      // What follows from the first one is no news.
      failures.push(error);
      line.fail();
      jobs.stop();
      return undefined;
    }
  };
  const encoding = Array.from({ length: workers }, () => unlessFailed(encodeInTurn(cut, line)));
  let framesJoined = 0;
  const count = ({ frame }: Progress) => (framesJoined = frame);
  const [joined] = await Promise.all([unlessFailed(joinOf(cut, line, count)), ...encoding]);
  if (failures.length > 0 || !joined) throw failures[0];
  checkFrames(plan.isPlaylist ? framesJoined : await framesOf(cut, joined), line.frameCount);
  cut.reports?.finish(line.frameCount);
  return joined;
}

/** Encodes segments as long as there are any. */
async function encodeInTurn(cut: Cut, line: Line): Promise<void> {
  for (;;) {
    const index = await line.take();
    const segment = index === undefined ? undefined : cut.plan.segments[index];
    if (index === undefined || !segment) return;
    const encoded = await encode(cut, segment, index);
    if (segment.frames !== null && segment.frames !== encoded.frameCount) {
      throw new Unfit('decoding from a key frame on does not give all frames that the input has there');
    }
    line.put(index, encoded);
  }
}

/** Encodes a segment; once more if that fails, as what failed may pass. */
async function encode(cut: Cut, segment: Segment, index: number): Promise<Encoded> {
  const { command, jobs, files, reports } = cut;
  const options: JobOptions = { files, stdoutMaxBytes: command.filesMaxBytes };
  if (reports) options.onProgress = (progress) => reports.ofSegment(index, progress);
  const attempt = async () => {
    const passes = segment.firstPass ? await firstPass(cut, segment.firstPass) : {};
    const output = await jobs.run(['ffmpeg', ...here(segment.args)], { ...options, files: { ...files, ...passes } });
    return new Encoded(output.expectSuccess().stdout);
  };
  try {
    return await attempt();
  } catch (error) {
    const isProgram = error instanceof ProgramError || error instanceof Unfit;
    const mayPass = isProgram || (error instanceof AfmpegError && error.code === 'worker-died');
    if (mayPass) return attempt();
    // What a segment says is kept, and no output of the caller's.
    const isKept = error instanceof LimitError && error.limit === 'stdoutMaxBytes';
    throw isKept ? new LimitError('filesMaxBytes', error.allowed) : error;
  }
}

/** What the files of passes begin with: jobs have a folder in memory, and none of its own for them. */
const PASSES_HERE = 'afmpeg-passes-';

function here(args: readonly string[]): string[] {
  return args.map((word) => word.replace(`${PASSES}/`, PASSES_HERE));
}

/** The files that the first pass of a segment leaves to the second. */
async function firstPass({ jobs, files }: Cut, args: readonly string[]): Promise<Files> {
  const output = await jobs.run(['ffmpeg', ...here(args)], { files, ...UNWRITTEN });
  const written = Object.entries(output.expectSuccess().files);
  return Object.fromEntries(written.filter(([name]) => name.startsWith(PASSES_HERE)));
}

async function joinOf({ plan, jobs, target }: Cut, line: Line, count: (progress: Progress) => void): Promise<Output> {
  const first = await line.first();
  if (first === undefined) throw new Unfit('a segment has failed');
  const time = microseconds(first - OFFSET_SECONDS);
  const args = plan.join.map((word) => (word === FIRST_TIME ? time : word));
  const stdin = jobs.canWait ? line.parts() : await asBlob(line.parts());
  const options: JobOptions = { files: target.files, stdin, ...(plan.isPlaylist && { onProgress: count }) };
  const joined = (await jobs.join(['ffmpeg', ...args], options)).expectSuccess();
  // Otherwise those who encode would wait for ever.
  line.checkRead();
  return joined;
}

async function asBlob(parts: AsyncIterable<Uint8Array<ArrayBuffer>>): Promise<Blob> {
  const all: Uint8Array<ArrayBuffer>[] = [];
  for await (const part of parts) all.push(part);
  return new Blob(all);
}

/** How many frames the output has. */
async function framesOf({ plan, jobs, target }: Cut, joined: Output): Promise<number> {
  const options = '-v error -select_streams v:0 -count_packets -show_entries stream=nb_read_packets -of csv=p=0 -i';
  const args = ['ffprobe', ...options.split(' '), plan.partial];
  const output = await jobs.run(args, { files: await target.written(joined), ...UNWRITTEN });
  // A format with programs lists streams for each, and again.
  const counted = /^\s*(\d+)/.exec(new TextDecoder().decode(output.stdout))?.[1];
  if (counted === undefined) throw new Unfit('the joined output cannot be read');
  return Number(counted);
}

/** Checks that the output has the frames of the segments. */
function checkFrames(counted: number, wanted: number): void {
  if (counted !== wanted) throw new Unfit(`the joined output has ${counted} frames, and its segments have ${wanted}`);
}
