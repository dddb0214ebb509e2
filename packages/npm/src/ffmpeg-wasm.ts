// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

/**
 * The interface of `@ffmpeg/ffmpeg` 0.12 and `@ffmpeg/util`, for programs that were written for ffmpeg.wasm.
 *
 * @module
 */

import { READS_BLOBS, readLocal } from '#platform';
import { AfmpegError, TimeoutError } from './errors.ts';
import type { Files } from './given.ts';
import { type ModuleSource, resolveAddress } from './module.ts';
import { Runtime } from './runtime.ts';

export type FileData = Uint8Array | string;

export interface FSNode {
  name: string;
  isDir: boolean;
}

export interface LogEvent {
  type: string;
  message: string;
}

export interface ProgressEvent {
  /** From 0 to 1. */
  progress: number;
  /** The duration of the output so far, in microseconds. */
  time: number;
}

export type LogEventCallback = (event: LogEvent) => void;
export type ProgressEventCallback = (event: ProgressEvent) => void;

export enum FFFSType {
  MEMFS = 'MEMFS',
  NODEFS = 'NODEFS',
  NODERAWFS = 'NODERAWFS',
  IDBFS = 'IDBFS',
  WORKERFS = 'WORKERFS',
  PROXYFS = 'PROXYFS',
}

export interface WorkerFSMountData {
  blobs?: { name: string; data: Blob }[];
  files?: File[];
}

export interface LoadConfig {
  /**
   * Where our module comes from; by default the one that was set by {@link setModule}, or in node the one that is
   * installed.
   */
  module?: ModuleSource;
  /**
   * The address of our module, where none was set. Otherwise this and what follows is not needed, and left out of
   * account.
   */
  wasmURL?: string;
  coreURL?: string;
  workerURL?: string;
  classWorkerURL?: string;
  thread?: boolean;
}

interface Options {
  signal?: AbortSignal;
}

let moduleOfAll: ModuleSource | undefined;

/**
 * Sets the module that every FFmpeg loads that is given none. The packages of modules do so in
 * `@afmpeg/NAME/ffmpeg.wasm`.
 */
export function setModule(module: ModuleSource): void {
  moduleOfAll = module;
}

const NOT_LOADED = 'ffmpeg is not loaded, call `await ffmpeg.load()` first';
const TERMINATED = 'called FFmpeg.terminate()';

/** Folders that programs find there at first, as in a file system of Emscripten. */
const FIRST_FOLDERS = ['tmp', 'home', 'dev', 'proc'];

/** An error of the file system, by the name that Emscripten's have. */
function fault(message: string): Error {
  const error = new Error(`FS error: ${message}`);
  error.name = 'ErrnoError';
  return error;
}

/** Files and folders that stay from one command to the next. */
class Kept {
  readonly files = new Map<string, Uint8Array | Blob>();
  readonly folders = new Set<string>(FIRST_FOLDERS);
  readonly mounts = new Map<string, Map<string, Blob>>();

  /** A path from the root, without slashes at its ends. */
  static path(path: string): string {
    const parts: string[] = [];
    for (const part of path.split('/')) {
      if (part === '..') parts.pop();
      else if (part !== '' && part !== '.') parts.push(part);
    }
    return parts.join('/');
  }

  isFolder(path: string): boolean {
    return path === '' || this.folders.has(path) || this.mounts.has(path);
  }

  checkParent(path: string): void {
    const parent = Kept.path(`${path}/..`);
    if (path === '' || !this.isFolder(parent)) throw fault(`there is no folder /${parent}`);
  }

  /** Everything in it by path, the files of mounted folders included. */
  all(): Files {
    const files: Files = Object.fromEntries(this.files);
    for (const [folder, blobs] of this.mounts) {
      for (const [name, blob] of blobs) files[`${folder}/${name}`] = blob;
    }
    return files;
  }

  names(folder: string): Set<string> {
    const start = folder === '' ? '' : `${folder}/`;
    const paths = [...Object.keys(this.all()), ...this.folders, ...this.mounts.keys()];
    const below = paths.filter((path) => path.startsWith(start) && path !== folder);
    return new Set(below.map((path) => path.slice(start.length).split('/')[0] ?? ''));
  }

  /** With the folders that it lies in, which a command may have made. */
  set(path: string, data: Uint8Array): void {
    this.files.set(path, keep(data));
    for (let folder = Kept.path(`${path}/..`); !this.isFolder(folder); folder = Kept.path(`${folder}/..`)) {
      this.folders.add(folder);
    }
  }
}

/** In a form that commands read without a copy of it: a Blob where workers read them, otherwise shared memory. */
function keep(data: Uint8Array): Uint8Array | Blob {
  if (READS_BLOBS) return new Blob([data as Uint8Array<ArrayBuffer>]);
  const shared = new Uint8Array(new SharedArrayBuffer(data.byteLength));
  shared.set(data);
  return shared;
}

/** ffmpeg.wasm's class: commands run one after the other, on files that stay. */
export class FFmpeg {
  loaded = false;
  private runtime: Runtime | undefined;
  /** The load that goes on, which all calls of `load` wait for. */
  private loading: Promise<void> | undefined;
  private kept = new Kept();
  private logs: LogEventCallback[] = [];
  private progresses: ProgressEventCallback[] = [];
  /** Ends what waits or runs, when `terminate` is called. */
  private ending = new AbortController();
  private last: Promise<unknown> = Promise.resolve();

  on(event: 'log', callback: LogEventCallback): void;
  on(event: 'progress', callback: ProgressEventCallback): void;
  on(event: 'log' | 'progress', callback: LogEventCallback | ProgressEventCallback): void {
    if (event === 'log') this.logs.push(callback as LogEventCallback);
    else if (event === 'progress') this.progresses.push(callback as ProgressEventCallback);
  }

  off(event: 'log', callback: LogEventCallback): void;
  off(event: 'progress', callback: ProgressEventCallback): void;
  off(event: 'log' | 'progress', callback: LogEventCallback | ProgressEventCallback): void {
    if (event === 'log') this.logs = this.logs.filter((other) => other !== callback);
    else if (event === 'progress') this.progresses = this.progresses.filter((other) => other !== callback);
  }

  /** Gives true when it is loaded for the first time; calls that come meanwhile wait for the same load, and give false. */
  readonly load = async (config: LoadConfig = {}, { signal }: Options = {}): Promise<boolean> => {
    signal?.throwIfAborted();
    if (this.runtime) return false;
    const isFirst = this.loading === undefined;
    await (this.loading ??= this.loadRuntime(config));
    return isFirst;
  };

  private async loadRuntime(config: LoadConfig): Promise<void> {
    const { ending } = this;
    try {
      const runtime = await Runtime.load(config.module ?? moduleOfAll ?? config.wasmURL);
      if (ending.signal.aborted) {
        runtime.close();
        throw ending.signal.reason;
      }
      this.runtime = runtime;
      this.loaded = true;
    } finally {
      // After `terminate` it may be another's.
      if (!ending.signal.aborted) this.loading = undefined;
    }
  }

  /** Runs ffmpeg with these arguments, after `-nostdin -y`; gives its exit code, or 1 if the time was over. */
  readonly exec = (args: string[], timeout = -1, options: Options = {}): Promise<number> =>
    this.queue((signal) => this.run(['ffmpeg', '-y', ...args], timeout, signal), options);

  readonly ffprobe = (args: string[], timeout = -1, options: Options = {}): Promise<number> =>
    this.queue((signal) => this.run(['ffprobe', ...args], timeout, signal), options);

  private async run(args: string[], timeout: number, signal: AbortSignal): Promise<number> {
    const { runtime, kept } = this;
    if (!runtime) throw new Error(NOT_LOADED);
    const given = (names: Iterable<string>, isReadOnly: boolean) => [...names].map((name) => ({ name, isReadOnly }));
    // A program that writes to a mounted file fails, as in ffmpeg.wasm.
    const folders = [...given(kept.folders, false), ...given(kept.mounts.keys(), true)];
    try {
      const output = await runtime.runAmong(folders, args, {
        files: kept.all(),
        signal,
        ...(timeout < 0 ? {} : { timeout }),
        onLog: (message) => this.log('stderr', message),
        onProgress: ({ fraction = 0, time }) => {
          for (const callback of this.progresses) callback({ progress: fraction, time: Math.round(time * 1e6) });
        },
      });
      const said = new TextDecoder().decode(output.stdout);
      if (said !== '') for (const line of said.replace(/\n$/, '').split('\n')) this.log('stdout', line);
      for (const [name, data] of Object.entries(output.files)) kept.set(name, data);
      return output.exitCode;
    } catch (error) {
      if (error instanceof TimeoutError) return 1;
      throw error;
    }
  }

  private log(type: string, message: string): void {
    for (const callback of this.logs) callback({ type, message });
  }

  /** Does one thing after the other, as ffmpeg.wasm's worker does. */
  private queue<T>(act: (signal: AbortSignal) => T | Promise<T>, { signal }: Options = {}): Promise<T> {
    if (!this.runtime) return Promise.reject(new Error(NOT_LOADED));
    const controller = new AbortController();
    const end = this.ending.signal;
    return new Promise<T>((resolve, reject) => {
      const terminate = () => {
        controller.abort();
        reject(end.reason);
      };
      const abort = () => {
        controller.abort();
        reject(new DOMException('the command was aborted', 'AbortError'));
      };
      if (signal?.aborted) abort();
      end.addEventListener('abort', terminate, { once: true });
      signal?.addEventListener('abort', abort, { once: true });
      const inTurn = async () => {
        if (!controller.signal.aborted) resolve(await act(controller.signal));
      };
      this.last = this.last.then(inTurn).catch(reject);
      void this.last.then(() => {
        end.removeEventListener('abort', terminate);
        signal?.removeEventListener('abort', abort);
      });
    });
  }

  /** Ends everything at once, and forgets all files. `load` is to be called again before anything else. */
  readonly terminate = (): void => {
    this.ending.abort(new Error(TERMINATED));
    this.ending = new AbortController();
    this.runtime?.close();
    this.runtime = undefined;
    this.loading = undefined;
    this.loaded = false;
    this.kept = new Kept();
    this.last = Promise.resolve();
  };

  readonly writeFile = (path: string, data: FileData, options: Options = {}): Promise<boolean> =>
    this.queue(() => {
      const place = Kept.path(path);
      this.kept.checkParent(place);
      if (this.kept.isFolder(place)) throw fault(`/${place} is a folder`);
      this.kept.set(place, typeof data === 'string' ? new TextEncoder().encode(data) : data);
      return true;
    }, options);

  readonly readFile = (path: string, encoding = 'binary', options: Options = {}): Promise<FileData> =>
    this.queue(async () => {
      const place = Kept.path(path);
      const data = this.kept.all()[place];
      if (data === undefined) throw fault(`there is no file /${place}`);
      const bytes = data instanceof Blob ? new Uint8Array(await data.arrayBuffer()) : (data as Uint8Array).slice();
      // What lies in shared memory is not to be handed out: most functions of browsers refuse it.
      const own = bytes.buffer instanceof ArrayBuffer ? bytes : Uint8Array.from(bytes);
      return encoding === 'utf8' ? new TextDecoder().decode(own) : own;
    }, options);

  readonly deleteFile = (path: string, options: Options = {}): Promise<boolean> =>
    this.queue(() => {
      if (!this.kept.files.delete(Kept.path(path))) throw fault(`there is no file ${path}`);
      return true;
    }, options);

  readonly rename = (oldPath: string, newPath: string, options: Options = {}): Promise<boolean> =>
    this.queue(() => {
      const { kept } = this;
      const [from, to] = [Kept.path(oldPath), Kept.path(newPath)];
      kept.checkParent(to);
      const file = kept.files.get(from);
      if (file !== undefined) {
        if (kept.isFolder(to)) throw fault(`/${to} is a folder`);
        kept.files.delete(from);
        kept.files.set(to, file);
        return true;
      }
      if (!kept.folders.has(from) || to === from || to.startsWith(`${from}/`))
        throw fault(`/${from} cannot be renamed`);
      if (kept.files.has(to) || kept.names(to).size > 0) throw fault(`/${to} is there already`);
      const moved = (path: string) =>
        path === from || path.startsWith(`${from}/`) ? to + path.slice(from.length) : path;
      for (const folder of [...kept.folders]) {
        kept.folders.delete(folder);
        kept.folders.add(moved(folder));
      }
      for (const [path, data] of [...kept.files]) {
        kept.files.delete(path);
        kept.files.set(moved(path), data);
      }
      return true;
    }, options);

  readonly createDir = (path: string, options: Options = {}): Promise<boolean> =>
    this.queue(() => {
      const place = Kept.path(path);
      this.kept.checkParent(place);
      if (this.kept.isFolder(place) || this.kept.files.has(place)) throw fault(`/${place} is there already`);
      this.kept.folders.add(place);
      return true;
    }, options);

  readonly listDir = (path: string, options: Options = {}): Promise<FSNode[]> =>
    this.queue(() => {
      const place = Kept.path(path);
      if (!this.kept.isFolder(place)) throw fault(`there is no folder /${place}`);
      const start = place === '' ? '' : `${place}/`;
      const nodes = [...this.kept.names(place)].map((name) => ({ name, isDir: this.kept.isFolder(start + name) }));
      return [{ name: '.', isDir: true }, { name: '..', isDir: true }, ...nodes];
    }, options);

  readonly deleteDir = (path: string, options: Options = {}): Promise<boolean> =>
    this.queue(() => {
      const place = Kept.path(path);
      if (!this.kept.folders.has(place)) throw fault(`there is no folder /${place}`);
      if (this.kept.names(place).size > 0) throw fault(`/${place} is not empty`);
      this.kept.folders.delete(place);
      return true;
    }, options);

  /** Mounts Files and Blobs, which are read in place: only WORKERFS; gives false for what else there is. */
  readonly mount = (fsType: FFFSType | string, options: WorkerFSMountData, mountPoint: string): Promise<boolean> =>
    this.queue(() => {
      if (fsType !== FFFSType.WORKERFS) return false;
      const place = Kept.path(mountPoint);
      this.kept.checkParent(place);
      if (this.kept.mounts.has(place) || this.kept.names(place).size > 0) throw fault(`/${place} is in use`);
      const named = [
        ...(options.files ?? []).map((file): [string, Blob] => [file.name, file]),
        ...(options.blobs ?? []).map(({ name, data }): [string, Blob] => [name, data]),
      ];
      this.kept.mounts.set(place, new Map(named));
      return true;
    });

  readonly unmount = (mountPoint: string): Promise<boolean> =>
    this.queue(() => {
      const place = Kept.path(mountPoint);
      if (!this.kept.mounts.delete(place)) throw fault(`nothing is mounted at /${place}`);
      this.kept.folders.add(place);
      return true;
    });
}

/** What is in a file: of an address, of data in base 64, of a File or Blob, and in node of a path. */
export async function fetchFile(file?: string | URL | File | Blob): Promise<Uint8Array> {
  if (file === undefined || file === null) return new Uint8Array();
  if (file instanceof Blob) return new Uint8Array(await file.arrayBuffer());
  const url = resolveAddress(file);
  const bytes = await readLocal(url);
  if (bytes) return bytes;
  const response = await fetch(url);
  // ffmpeg.wasm gives what a server says of its failure as if it was the file.
  if (!response.ok)
    throw new AfmpegError('unreachable', `the server of ${url} answers ${response.status}; see whether it is there`);
  return new Uint8Array(await response.arrayBuffer());
}

export interface DownloadProgress {
  url: string | URL;
  total: number;
  received: number;
  delta: number;
  done: boolean;
}

/** The bytes of an address, with a report of each part that comes. `total` is -1 where the server does not say it. */
export async function downloadWithProgress(
  url: string | URL,
  report?: (progress: DownloadProgress) => void,
): Promise<ArrayBuffer> {
  const response = await fetch(url);
  const total = Number.parseInt(response.headers.get('Content-Length') ?? '-1');
  let received = 0;
  const counted = new TransformStream<Uint8Array, Uint8Array>({
    transform: (part, controller) => {
      received += part.byteLength;
      report?.({ url, total, received, delta: part.byteLength, done: false });
      controller.enqueue(part);
    },
    flush: () => report?.({ url, total, received, delta: 0, done: true }),
  });
  return new Response(response.body?.pipeThrough(counted as never)).arrayBuffer();
}

/**
 * Fetches an address, and gives one of a Blob with what came. Files of @ffmpeg/core, of which nothing is needed here,
 * are not fetched: their address comes back as it is.
 */
export async function toBlobURL(
  url: string,
  mimeType: string,
  progress = false,
  report?: (progress: DownloadProgress) => void,
): Promise<string> {
  if (/\/ffmpeg-core(\.worker)?\.(js|wasm)$/.test(url)) return url;
  const data = progress ? await downloadWithProgress(url, report) : await (await fetch(url)).arrayBuffer();
  return URL.createObjectURL(new Blob([data], { type: mimeType }));
}
