// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

import { coreCount, hasWorkers, pause, startWorker } from '#platform';
import { AbortedError, AfmpegError, fromPlain, TimeoutError, UsageError } from './errors.ts';
import { type Caller, serve } from './files/remote.ts';
import { type Frame, FRAMES_FOLDER, type FramesWanted, makeFrames } from './frames.ts';
import { endUntaken, type Files, type FileSource, type FolderGiven, Given, type StdinSource } from './given.ts';
import { canSuspend, execute } from './job.ts';
import { compile, type ModuleSource } from './module.ts';
import { Output } from './output.ts';
import { type Command, type Jobs, runParallel } from './parallel/run.ts';
import { Places } from './places.ts';
import type { StartedWorker, WorkerHandle } from './platform/platform.ts';
import { type Probe, probeArguments, readProbe } from './probe.ts';
import type { Progress } from './progress.ts';
import { alone, ANSWERS_SIZE_BYTES, answer, type FromWorker, type JobResult, type JobSpec } from './protocol.ts';
import { unlessAborted } from './signals.ts';
import { Stop } from './wasi/host.ts';

/** What limits and stops a job. */
export interface Limits {
  /** Ends the job when it is aborted. */
  signal?: AbortSignal;
  /** Ends the job so many milliseconds after the call, even if it still waits in line. */
  timeout?: number;
  /** The most memory that the program may have, in bytes; by default 4 GiB, which is all that it can address. */
  memoryMaxBytes?: number;
  /**
   * The most bytes that the job may write to all its files together, those outside of memory included; no limit by
   * default.
   */
  writtenMaxBytes?: number;
  /** The most bytes that all files in memory may take together; 4 GiB by default. */
  filesMaxBytes?: number;
  /** The most bytes of standard output that are kept; 256 MiB by default. A job that writes more fails. */
  stdoutMaxBytes?: number;
  /** Runs the job in the calling thread instead of a worker. It can then be stopped only when it reads or writes. */
  worker?: boolean;
}

export interface RunOptions extends Limits {
  /** What the job finds in its folder, by names such as `in.mp4` or `clips/1.mp4`. It sees nothing else. */
  files?: Files;
  /** Fonts for subtitles and drawtext, by any names such as `NotoSansSC.otf`, besides the module's own. */
  fonts?: Files;
  /** Variables of the environment; there are none by default. */
  env?: Record<string, string>;
  /** Standard input, `pipe:0`; empty by default. A stream is the job's from the call on, and is cancelled at its end. */
  stdin?: StdinSource;
  /**
   * Takes standard output, `pipe:1`, as it comes; by default it is kept for the result. It is the job's from the call
   * on: closed when that succeeds, which the result waits for, and aborted when it fails, even before it begins.
   */
  stdout?: WritableStream<Uint8Array>;
  /** Called with each line of FFmpeg's messages. */
  onLog?(line: string): void;
  /** Called with each of ffmpeg's reports, about ten times a second. */
  onProgress?(progress: Progress): void;
  /** The duration of the output, in seconds, for the fraction in reports of progress, where FFmpeg does not say it. */
  durationSeconds?: number;
  /**
   * Makes a video in segments, each in a worker of its own, where the command of ffmpeg can be cut: `true` makes as many
   * at a time as jobs may run at once, a number so many, and `'require'` makes it an error, a {@link ParallelError}, if
   * it cannot be cut; otherwise it is run as one job, and {@link Output.whole} says why. The output is the same bytes
   * whatever the number. A failure of FFmpeg is thrown then, as a {@link ProgramError}. Limits of memory hold for each
   * worker; segments that wait count as files in memory.
   */
  parallel?: boolean | number | 'require';
}

export interface ProbeOptions extends Limits {
  /** Files beside the input, where it names others: a playlist does. */
  files?: Files;
}

export type FramesOptions = FramesWanted & ProbeOptions;

export interface RuntimeOptions {
  /** The number of jobs that run at once; others wait in line. By default as many as there are cores. */
  jobsMax?: number;
  /**
   * The most memory that the program of any job may have, in bytes. The engine keeps it whatever the program does, as the
   * module is compiled with it; a job can be given less by its own `memoryMaxBytes`.
   */
  memoryMaxBytes?: number;
}

const PROGRAMS = ['ffmpeg', 'ffprobe'];
const ADDRESSABLE_BYTES = 2 ** 32;
const FILES_MAX_BYTES = 2 ** 32;
const WORKERS_MAX = 2 ** 16;

/** A compiled module, on which any number of jobs run, each in a worker of its own. */
export class Runtime {
  private readonly places: Places;
  private readonly jobs = new Set<(error: AfmpegError) => void>();
  /** Workers that have started and wait for jobs. */
  private readonly spares: StartedWorker[] = [];
  /** How many jobs run in workers, and the most that did at the same time. */
  private running = 0;
  private runningMost = 0;
  private isClosed = false;
  private readonly memoryMaxBytes: number;
  private readonly jobsMax: number;

  private constructor(
    /** The compiled module, which can be sent to workers and given to other runtimes. */
    readonly module: WebAssembly.Module,
    { jobsMax = coreCount(), memoryMaxBytes }: RuntimeOptions,
  ) {
    this.memoryMaxBytes = memoryMaxBytes ?? ADDRESSABLE_BYTES;
    this.jobsMax = Math.max(1, jobsMax);
    this.places = new Places(this.jobsMax);
  }

  /** Compiles a module, once in a page or process. Without a source it is the one that is installed, in node. */
  static async load(source?: ModuleSource, options: RuntimeOptions = {}): Promise<Runtime> {
    checkLimit('memoryMaxBytes', options.memoryMaxBytes);
    // The first job's worker starts while the module is compiled.
    const started = hasWorkers() ? startWorker() : undefined;
    // Why it could not be started is told by a job that needs one.
    started?.ready.catch(() => undefined);
    try {
      const runtime = new Runtime(await compile(source, options.memoryMaxBytes), options);
      if (started) runtime.keepSpare(started);
      return runtime;
    } catch (error) {
      if (started) endStarted(started);
      throw error;
    }
  }

  /**
   * Runs one of FFmpeg's programs: the first argument is `ffmpeg` or `ffprobe`. Its exit code is part of the result;
   * what kept it from coming to its own end is thrown.
   */
  async run(args: readonly string[], options: RunOptions = {}): Promise<Output> {
    const { parallel = false } = options;
    return parallel === false ? this.runAmong([], args, options) : this.runCut(args, options, parallel);
  }

  /** Runs a command that may be cut. Its jobs have one timeout, and the first failure ends all. */
  private async runCut(
    args: readonly string[],
    options: RunOptions,
    parallel: true | number | 'require',
  ): Promise<Output> {
    const { signal, stop } = this.beginCall(args, options);
    const { stdin, stdout, onLog, onProgress, durationSeconds, timeout, parallel: _, ...given } = options;
    // What ends because another of the parts has failed leaves the job as a whole.
    const parts = this.begin({ signal });
    const limits = { ...given, signal: parts.signal };
    // Only the last job is the caller's to see.
    const seen = { ...limits, ...(stdout && { stdout }), ...(onLog && { onLog }) };
    const { stdoutMaxBytes: _ofLast, ...ofOthers } = limits;
    let isWhole = false;
    const jobs: Jobs = {
      run: (args, own) => this.runAmong([], args, { ...ofOthers, ...own }),
      join: (args, own) => this.runAmong([], args, { ...seen, ...own }, true),
      whole: () => {
        isWhole = true;
        return this.runAmong([], args, { ...options, signal });
      },
      stop: () => parts.stop(new AbortedError('another of the jobs has failed')),
      canWait: canSuspend() || typeof SharedArrayBuffer === 'function',
    };
    const command: Command = {
      args: args.slice(1),
      files: options.files ?? {},
      workers: typeof parallel === 'number' ? parallel : this.jobsMax,
      isRequired: parallel === 'require',
      whole: options.worker === false || !hasWorkers() ? 'jobs have no workers here' : undefined,
      filesMaxBytes: options.filesMaxBytes ?? FILES_MAX_BYTES,
      onProgress,
    };
    let failure: unknown;
    try {
      return await runParallel(command, jobs);
    } catch (error) {
      failure = error;
      throw error;
    } finally {
      parts.stop();
      stop();
      // A job that runs the command as a whole ends both, and the one that joins has taken standard output at most.
      if (!isWhole) void endUntaken({ stdin, stdout }, failure);
    }
  }

  /** @internal Runs a job that finds these folders besides its files, which may be empty; in its turn, or beside others. */
  async runAmong(
    folders: readonly FolderGiven[],
    args: readonly string[],
    options: RunOptions,
    isBeside = false,
  ): Promise<Output> {
    const { signal, stop } = this.beginCall(args, options);
    const given = new Given({ isWorker: options.worker !== false && hasWorkers(), signal });
    let failure: unknown;
    try {
      // From the call on they end with the job, even if it never gets its place.
      given.setStreams(options);
      const free = isBeside ? () => undefined : await this.places.take(signal);
      try {
        return await this.runNow(args, options, folders, given);
      } finally {
        free();
      }
    } catch (error) {
      failure = signal.aborted ? signal.reason : error;
      throw failure;
    } finally {
      await given.end(failure).finally(stop);
    }
  }

  /** Checks a call, and begins it; ends its streams if it is wrong. */
  private beginCall(args: readonly string[], options: RunOptions): ReturnType<Runtime['begin']> {
    try {
      checkArguments(args, options);
      return this.begin(options);
    } catch (error) {
      void endUntaken(options, error);
      throw error;
    }
  }

  /** One signal for all that may end a job from outside, whose reason is the error to throw. */
  private begin({ signal, timeout }: Limits): { signal: AbortSignal; stop: (reason?: AfmpegError) => void } {
    if (this.isClosed) throw new UsageError('closed', 'the runtime is closed; load another one');
    const controller = new AbortController();
    const end = (error: AfmpegError) => controller.abort(error);
    const abort = () => {
      const reason: unknown = signal?.reason;
      end(reason instanceof AfmpegError ? reason : new AbortedError(reason));
    };
    if (signal?.aborted) abort();
    signal?.addEventListener('abort', abort);
    this.jobs.add(end);
    const timer = timeout === undefined ? undefined : setTimeout(() => end(new TimeoutError(timeout)), timeout);
    const stop = (reason?: AfmpegError) => {
      if (reason) end(reason);
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      this.jobs.delete(end);
    };
    return { signal: controller.signal, stop };
  }

  private async runNow(
    args: readonly string[],
    options: RunOptions,
    folders: readonly FolderGiven[],
    given: Given,
  ): Promise<Output> {
    const started = performance.now();
    const { isWorker, signal } = given.where;
    signal.throwIfAborted();
    for (const [name, source] of Object.entries(options.files ?? {})) await given.add(name, source);
    for (const [name, source] of Object.entries(options.fonts ?? {}))
      await given.add(`usr/share/fonts/${name}`, source);
    for (const folder of folders) given.addFolder(folder);
    const spec = specOf(args, options, given, this.memoryMaxBytes);
    signal.throwIfAborted();
    const result = isWorker
      ? await this.inWorker(spec, given, options, signal)
      : await this.here(spec, given, options, signal, started);
    return new Output(result);
  }

  /** Runs a job in a worker, which ends with it: so all its memory is free at once. */
  private async inWorker(spec: JobSpec, given: Given, options: RunOptions, signal: AbortSignal): Promise<JobResult> {
    const worker = await this.takeWorker(signal);
    this.running++;
    this.runningMost = Math.max(this.runningMost, this.running);
    try {
      const answers = given.served.length > 0 ? sharedAnswers() : undefined;
      return await new Promise<JobResult>((resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
        const died = (reason: string) => reject(workerDied(reason));
        worker.listen((message) => {
          this.hear(message, worker, given, answers, options, resolve, reject);
        }, died);
        worker.post({ type: 'start', module: this.module, spec, answers });
      });
    } finally {
      worker.terminate();
      this.running--;
      // The next jobs find workers that run: as many as ran at the same time, and one more.
      const wanted = Math.min(this.jobsMax, this.runningMost + 1) - this.running;
      while (!this.isClosed && this.spares.length < wanted) this.keepSpare(startWorker());
    }
  }

  private hear(
    message: FromWorker,
    worker: WorkerHandle,
    given: Given,
    answers: SharedArrayBuffer | undefined,
    options: RunOptions,
    resolve: (result: JobResult) => void,
    reject: (error: unknown) => void,
  ): void {
    const tell = <T>(call: ((value: T) => void) | undefined, value: T) => {
      try {
        call?.(value);
      } catch (error) {
        reject(error);
      }
    };
    switch (message.type) {
      case 'log':
        return tell(options.onLog, message.line);
      case 'progress':
        return tell(options.onProgress, message.progress);
      case 'call':
        void serve(given.served, message.request).then((reply) => {
          if (answers) answer(answers, reply);
          else worker.post({ type: 'reply', reply: 'data' in reply ? { data: alone(reply.data) } : reply });
        });
        return;
      case 'done':
        return resolve(message.result);
      case 'failed':
        return reject(fromPlain(message.error));
      case 'ready':
      case 'compiled':
        return;
    }
  }

  /** A worker that has started, or starts now. A job that is ended before leaves it to the next. */
  private async takeWorker(signal: AbortSignal): Promise<WorkerHandle> {
    const started = this.spares.shift() ?? startWorker();
    started.hold(true);
    try {
      return await unlessAborted(started.ready, signal);
    } catch (error) {
      started.hold(false);
      if (signal.aborted) this.keepSpare(started);
      throw error;
    }
  }

  private keepSpare(started: StartedWorker): void {
    if (this.isClosed || this.spares.length >= this.jobsMax) {
      endStarted(started);
      return;
    }
    this.spares.push(started);
    // One that could not be started is no use to anybody; the next job tells what is wrong.
    started.ready.catch(() => {
      const at = this.spares.indexOf(started);
      if (at >= 0) this.spares.splice(at, 1);
    });
  }

  private async here(
    spec: JobSpec,
    given: Given,
    options: RunOptions,
    signal: AbortSignal,
    started: number,
  ): Promise<JobResult> {
    const caller: Caller | undefined = canSuspend() ? (request) => serve(given.served, request) : undefined;
    const check = () => {
      if (signal.aborted) throw new Stop(signal.reason as AfmpegError);
      const { timeout } = options;
      // The timer's turn does not come while this thread computes.
      if (timeout !== undefined && performance.now() - started > timeout) throw new Stop(new TimeoutError(timeout));
    };
    return await execute(this.module, spec, {
      log: (line) => options.onLog?.(line),
      progress: (progress) => options.onProgress?.(progress),
      caller,
      suspends: caller !== undefined,
      pause,
      sleep: undefined,
      check,
    });
  }

  /** Describes a media file by ffprobe. A string names one of `files`. */
  async probe(input: FileSource | string, options: ProbeOptions = {}): Promise<Probe> {
    const [name, files] = named(input, options.files);
    return readProbe((await this.run(probeArguments(name), { ...options, files })).expectSuccess());
  }

  /**
   * Makes pictures of a video, by default one of its beginning. The jobs for it run in parallel, under one timeout, and
   * the first failure ends the others. A string names one of `files`.
   */
  async frames(input: FileSource | string, options: FramesOptions = {}): Promise<Frame[]> {
    const [name, files] = named(input, options.files);
    const { timeout: _, ...limits } = options;
    const { signal, stop } = this.begin(options);
    const run = (args: string[], added: Files = {}) =>
      this.runAmong([{ name: FRAMES_FOLDER, isReadOnly: false }], args, { ...limits, signal, files: { ...files, ...added } });
    try {
      return await makeFrames(run, name, options);
    } finally {
      // What still runs is for nothing once one has failed.
      stop(new AbortedError('another of the jobs has failed'));
    }
  }

  /** Ends all jobs, each with an {@link AbortedError}. */
  close(): void {
    this.isClosed = true;
    for (const end of this.jobs) end(new AbortedError('the runtime was closed'));
    for (const spare of this.spares.splice(0)) endStarted(spare);
  }
}

/** An input as one of a job's files. */
function named(input: FileSource | string, files: Files = {}): [name: string, files: Files] {
  if (typeof input === 'string') return [input, files];
  // The end of a file's name helps to tell its format.
  const end = /\.[A-Za-z0-9]{1,8}$/.exec(nameOf(input))?.[0] ?? '';
  const name = `.afmpeg-input${end}`;
  return [name, { ...files, [name]: input }];
}

function nameOf(input: FileSource): string {
  if (input instanceof URL) return input.pathname;
  if ('name' in input) return String(input.name);
  return 'path' in input ? input.path : '';
}

function endStarted({ ready }: StartedWorker): void {
  ready.then((worker) => worker.terminate()).catch(() => undefined);
}

function workerDied(reason: string): AfmpegError {
  const message = `the worker of the job died: ${reason}; there was probably no memory for it: run fewer jobs at once`;
  return new AfmpegError('worker-died', message);
}

/** Shared memory for answers, where the engine has it: a page has it only when it is cross-origin isolated. */
function sharedAnswers(): SharedArrayBuffer | undefined {
  return typeof SharedArrayBuffer === 'function' ? new SharedArrayBuffer(ANSWERS_SIZE_BYTES) : undefined;
}

const LIMITS = ['memoryMaxBytes', 'writtenMaxBytes', 'filesMaxBytes', 'stdoutMaxBytes'] as const;

function checkLimit(name: string, value: number | undefined): void {
  if (value === undefined || value >= 0) return;
  throw new UsageError('bad-limit', `${name} is a number of bytes, not ${value}`);
}

function checkArguments(args: readonly string[], options: RunOptions): void {
  const { timeout } = options;
  if (!Array.isArray(args) || args.some((arg) => typeof arg !== 'string' || arg.includes('\0'))) {
    throw new UsageError('bad-arguments', 'arguments are strings without zero characters, in an array');
  }
  if (!PROGRAMS.includes(args[0] ?? '')) {
    const message =
      `the first argument is the program, ffmpeg or ffprobe: run(['ffmpeg', '-i', …]), not ` + `\`${args[0]}\``;
    throw new UsageError('no-program', message);
  }
  for (const name of LIMITS) checkLimit(name, options[name]);
  if (timeout !== undefined && !(timeout >= 0 && timeout < 2 ** 31)) {
    throw new UsageError('bad-timeout', 'a timeout is a number of milliseconds, less than 2^31');
  }
  checkParallel(args, options);
}

function checkParallel([program]: readonly string[], { parallel = false }: RunOptions): void {
  if (parallel === false) return;
  const isCount = Number.isInteger(parallel) && Number(parallel) >= 1 && Number(parallel) <= WORKERS_MAX;
  if (parallel !== true && parallel !== 'require' && !isCount) {
    const message = `parallel is true, a number of segments at a time, or 'require', not ${String(parallel)}`;
    throw new UsageError('bad-parallel', message);
  }
  if (program !== 'ffmpeg') throw new UsageError('bad-parallel', 'parallel is for ffmpeg alone; leave it out');
}

function specOf(args: readonly string[], options: RunOptions, given: Given, memoryMaxBytes: number): JobSpec {
  const env = Object.entries(options.env ?? {});
  if (env.some(([name, value]) => `${name}${value}`.includes('\0') || name.includes('='))) {
    throw new UsageError('bad-environment', 'names and values of variables have no zero characters, and names no `=`');
  }
  return {
    args: [...args],
    env: Object.fromEntries(env),
    files: given.files,
    stdin: given.stdin,
    stdout: given.stdout,
    memoryMaxBytes: Math.min(options.memoryMaxBytes ?? memoryMaxBytes, memoryMaxBytes),
    isMemoryBound: memoryMaxBytes < ADDRESSABLE_BYTES,
    writtenMaxBytes: options.writtenMaxBytes ?? Number.MAX_SAFE_INTEGER,
    filesMaxBytes: options.filesMaxBytes ?? FILES_MAX_BYTES,
    stdoutMaxBytes: options.stdoutMaxBytes ?? 2 ** 28,
    durationSeconds: options.durationSeconds,
    wantsProgress: options.onProgress !== undefined,
    wantsLog: options.onLog !== undefined,
  };
}
