// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// A job, in the thread that computes it.

import { AfmpegError, LimitError, ModuleError, SourceError, TrapError, UnsupportedError } from './errors.ts';
import { BlobContent } from './files/blob.ts';
import type { Content } from './files/file-system.ts';
import { httpContent } from './files/http.ts';
import { BytesContent, Room, Tree } from './files/memory.ts';
import { type Finish, openFile, OpfsFolder } from './files/opfs.ts';
import { type Caller, RemoteFile, RemoteStream, RemoteWritableFile } from './files/remote.ts';
import { Captured, Lines, Stderr, StdinBytes, StdinFile } from './files/streams.ts';
import { local } from '#platform';
import { type Progress, ProgressReader } from './progress.ts';
import type { JobResult, JobSpec, Place } from './protocol.ts';
import { Errno } from './wasi/abi.ts';
import { Exit, Host, type Sleep, Stop, WAITING } from './wasi/host.ts';

/** What a job has of the thread that it runs in. */
export interface Surroundings {
  log(line: string): void;
  progress(progress: Progress): void;
  /** Missing where nothing can be waited for. */
  caller: Caller | undefined;
  /** Calls give promises, which the engine has to wait for. */
  suspends: boolean;
  sleep: Sleep | undefined;
  /** Throws what is to end the job. */
  check(): void;
  /** Lets the thread do what else it has to, where calls may give promises. */
  pause?: (() => Promise<void>) | undefined;
}

interface SuspendingEngine {
  Suspending: new (call: (...args: never[]) => unknown) => WebAssembly.ImportValue;
  promising(start: () => void): () => Promise<void>;
}

/** Whether the engine can wait for promises in the midst of a module. */
export function canSuspend(): boolean {
  return 'Suspending' in WebAssembly && 'promising' in WebAssembly;
}

const PROGRESS_FOLDER = 'afmpeg';

/** Runs a job to its end. */
export async function execute(module: WebAssembly.Module, spec: JobSpec, around: Surroundings): Promise<JobResult> {
  const reader = new ProgressReader(spec.args, spec.durationSeconds);
  const lines = new Lines((line) => {
    reader.readLog(line);
    if (spec.wantsLog) around.log(line);
  });
  const stderr = new Stderr(lines);
  const stdout = spec.stdout === undefined ? new Captured(spec.stdoutMaxBytes) : undefined;
  const finishes: Finish[] = [];
  let host: Host | undefined;
  try {
    const files = await place(spec, around.caller, finishes);
    const reports = new Tree(new Room(0));
    const report = new Lines((line) => {
      const progress = reader.readReport(line);
      if (progress) around.progress(progress);
    });
    reports.add('progress', report);
    host = new Host({
      args: withProgress(spec),
      env: spec.env,
      folders: [
        ['/', files],
        [`/${PROGRESS_FOLDER}`, reports],
      ],
      stdin: stdin(spec, around.caller),
      stdout: stdout ?? new RemoteStream('stdout', spec.stdout ?? 0, around.caller),
      stderr,
      sleep: around.sleep,
      memoryMaxBytes: spec.memoryMaxBytes,
      writtenMaxBytes: spec.writtenMaxBytes,
      check: () => around.check(),
      pause: around.suspends ? around.pause : undefined,
    });
    const exitCode = await start(module, host, around.suspends);
    lines.end();
    if (host.failure) throw host.failure;
    // ffprobe says nothing of what it could not write to standard output, and succeeds.
    if (host.lost) throw host.lost;
    if (host.exceeded && exitCode !== 0) throw host.exceeded;
    if (spec.isMemoryBound && OUT_OF_MEMORY.test(stderr.text())) {
      throw new LimitError('memoryMaxBytes', spec.memoryMaxBytes);
    }
    host.close();
    for (const finish of finishes.splice(0)) await finish();
    const changed: JobResult['files'] = [...files.changes()].map(([name, content]) => [name, content.take()]);
    return { exitCode, stdout: stdout?.take() ?? new Uint8Array(), stderr: stderr.text(), files: changed };
  } catch (error) {
    host?.close();
    // What was begun is left as it is; the first error is what counts.
    for (const finish of finishes) await Promise.resolve(finish()).catch(() => undefined);
    const shown = error instanceof AfmpegError ? error : new AfmpegError('internal', internal(error), { cause: error });
    shown.output = { stderr: stderr.text() };
    throw shown;
  }
}

/** FFmpeg's words for it, at the end of a line; in what it lists of a file, a blank comes before the colon. */
const OUT_OF_MEMORY = /\S: (?:Out of memory|Cannot allocate memory)\r?$/m;

function internal(error: unknown): string {
  const reason = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return `the job could not be run: ${reason}; this is a fault of afmpeg`;
}

/** The command line, with what has ffmpeg report and keeps it from asking. */
function withProgress({ args, wantsProgress }: JobSpec): string[] {
  const [program = '', ...rest] = args;
  if (program !== 'ffmpeg') return args;
  const reports = ['-progress', `/${PROGRESS_FOLDER}/progress`, '-stats_period', '0.1'];
  return [program, '-nostdin', ...(wantsProgress ? reports : []), ...rest];
}

function stdin({ stdin }: JobSpec, caller: Caller | undefined): Content {
  switch (stdin.kind) {
    case 'none':
      return new StdinBytes();
    case 'bytes':
      return new StdinBytes(stdin.data);
    case 'blob':
      return new StdinFile(new BlobContent('stdin', stdin.blob));
    case 'stream':
      return new RemoteStream('stdin', stdin.id, caller);
  }
}

/** Puts everything that the job was given in its place. */
async function place(spec: JobSpec, caller: Caller | undefined, finishes: Finish[]): Promise<Tree> {
  const tree = new Tree(new Room(spec.filesMaxBytes));
  for (const [name, place] of spec.files) {
    switch (place.kind) {
      case 'empty-folder':
        tree.addFolder(name).isReadOnly = place.isReadOnly;
        break;
      case 'path': {
        // A job may close it and open it again.
        const { content, finish } = local().file(name, place.path, place.isWritable);
        finishes.push(finish);
        tree.add(name, content);
        break;
      }
      case 'folder':
        tree.mount(name, local().folder(name, place.path, place.isWritable));
        break;
      case 'opfs-folder': {
        const folder = await OpfsFolder.open(name, place.handle, place.isWritable);
        finishes.push(() => folder.finish());
        tree.mount(name, folder);
        break;
      }
      case 'opfs-file': {
        const { content, finish } = await openFile(name, place.handle);
        finishes.push(finish);
        tree.add(name, content);
        break;
      }
      default:
        tree.add(name, content(name, place, caller));
    }
  }
  return tree;
}

type File = Exclude<Place, { kind: 'empty-folder' | 'folder' | 'opfs-folder' | 'opfs-file' | 'path' }>;

function content(name: string, place: File, caller: Caller | undefined): Content {
  switch (place.kind) {
    case 'bytes':
      return new BytesContent(place.data);
    case 'blob':
      return new BlobContent(name, place.blob);
    case 'http':
      return httpContent(place.found);
    case 'remote': {
      const Remote = place.isWritable ? RemoteWritableFile : RemoteFile;
      return new Remote(name, place.id, place.sizeBytes, caller);
    }
  }
}

async function start(module: WebAssembly.Module, host: Host, suspends: boolean): Promise<number> {
  const imports: WebAssembly.ModuleImports = host.imports() as WebAssembly.ModuleImports;
  const engine = WebAssembly as unknown as SuspendingEngine;
  if (suspends) {
    for (const name of WAITING) imports[name] = new engine.Suspending(imports[name] as () => number);
  }
  const instance = await instantiate(module, imports);
  const { memory, _start: run } = instance.exports as { memory: WebAssembly.Memory; _start(): void };
  host.attach(memory);
  try {
    if (suspends) await engine.promising(run)();
    else run();
    return 0;
  } catch (error) {
    if (error instanceof Exit) return error.code;
    if (error instanceof Stop) throw error.error;
    throw trap(error) ?? error;
  }
}

async function instantiate(
  module: WebAssembly.Module,
  imports: WebAssembly.ModuleImports,
): Promise<WebAssembly.Instance> {
  try {
    return await WebAssembly.instantiate(module, { wasi_snapshot_preview1: imports });
  } catch (cause) {
    if (cause instanceof RangeError) {
      const message = `there is no memory for another job: ${cause.message}; wait until one that runs has ended`;
      throw new UnsupportedError('no-memory', message, { cause });
    }
    const reason = cause instanceof Error ? cause.message : String(cause);
    const message = `the module cannot be run: ${reason}; take one that was made for this version of afmpeg`;
    throw new ModuleError('module-invalid', message, { cause });
  }
}

/** What the engine says of a crash: of a fault in the module, and of calls without end. */
function trap(error: unknown): TrapError | undefined {
  const isTrap = error instanceof WebAssembly.RuntimeError || error instanceof RangeError || isInternal(error);
  if (!isTrap || error instanceof Errno || error instanceof SourceError) return undefined;
  const { message, stack } = error as Error;
  const where = /wasm-function\[(\d+)\]/.exec(stack ?? '')?.[1];
  return new TrapError(message, where);
}

/** Firefox tells of calls without end by an error of its own. */
function isInternal(error: unknown): boolean {
  return error instanceof Error && error.name === 'InternalError';
}
