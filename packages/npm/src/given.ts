// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// What a job is given, made ready for the thread that runs it.

import { local, READS_BLOBS } from '#platform';
import { AfmpegError, SourceError, UsageError } from './errors.ts';
import { unreadable } from './files/blob.ts';
import { find, read } from './files/http.ts';
import type { Served } from './files/remote.ts';
import { alone, type Place, type StdinPlace } from './protocol.ts';
import { unlessAborted } from './signals.ts';

/** A file of the caller's own making, read (and written, if it can be) at offsets. */
export interface RandomAccess {
  /** In bytes. */
  size: number;
  /** Gives the bytes at an offset: as many as were asked for, as long as the file has them. */
  read(offset: number, length: number): Uint8Array | Promise<Uint8Array>;
  write?(offset: number, data: Uint8Array): void | Promise<void>;
}

export interface Access {
  /** The job may change it; otherwise it is only read. */
  write?: boolean;
}

/** A file or folder of the machine: see {@link path} and {@link folder}. */
export class OnMachine {
  constructor(
    readonly kind: 'path' | 'folder',
    readonly path: string,
    readonly access: Access,
  ) {}
}

/** A file or folder of the origin private file system that a job may change: see {@link opfs}. */
export class InOpfs {
  constructor(
    readonly handle: FileSystemFileHandle | FileSystemDirectoryHandle,
    readonly access: Access,
  ) {}
}

/** A file of the machine, in node, Deno and Bun. With `write` it is made if it is not there. */
export function path(path: string | URL, access: Access = {}): OnMachine {
  return new OnMachine('path', toPath(path), access);
}

/** A folder of the machine, in node, Deno and Bun. Links in it are not followed. */
export function folder(path: string | URL, access: Access = {}): OnMachine {
  return new OnMachine('folder', toPath(path), access);
}

/** A file or folder of the origin private file system, in browsers. */
export function opfs(handle: FileSystemFileHandle | FileSystemDirectoryHandle, access: Access = {}): InOpfs {
  return new InOpfs(handle, access);
}

function toPath(path: string | URL): string {
  if (typeof path === 'string') return path;
  if (path.protocol !== 'file:')
    throw new UsageError('not-a-path', `${path} is no file of this machine; give the URL itself`);
  const decoded = decodeURIComponent(path.pathname);
  return /^\/[A-Za-z]:\//.test(decoded) ? decoded.slice(1) : decoded;
}

/** What a job finds under one name: a file, or a folder. */
export type FileSource =
  | Uint8Array
  | ArrayBuffer
  | Blob
  | URL
  | RandomAccess
  | OnMachine
  | InOpfs
  | FileSystemFileHandle
  | FileSystemDirectoryHandle;

export type Files = Record<string, FileSource>;

/** Standard input: bytes, a Blob, or a stream of any length. */
export type StdinSource = Uint8Array | Blob | ReadableStream<Uint8Array> | AsyncIterable<Uint8Array>;

/** The streams of a job that are its caller's. */
export interface Streams {
  stdin?: StdinSource | undefined;
  stdout?: WritableStream<Uint8Array> | undefined;
}

/** A folder that a job finds beside its files. In one that is only read it changes none of them, and makes none. */
export interface FolderGiven {
  name: string;
  isReadOnly: boolean;
}

/** Where a job runs: what it can read itself depends on that. */
export interface Where {
  isWorker: boolean;
  signal: AbortSignal;
}

/** What a job is given: what its thread is told, and what this thread serves. */
export class Given {
  readonly files: [name: string, place: Place][] = [];
  readonly served: Served[] = [];
  stdin: StdinPlace = { kind: 'none' };
  stdout: number | undefined;

  constructor(readonly where: Where) {}

  private serve(served: Served): number {
    return this.served.push(served) - 1;
  }

  async add(name: string, source: FileSource): Promise<void> {
    this.files.push([checkName(name), await this.place(name, source)]);
  }

  addFolder({ name, isReadOnly }: FolderGiven): void {
    this.files.push([checkName(name), { kind: 'empty-folder', isReadOnly }]);
  }

  private async place(name: string, source: FileSource): Promise<Place> {
    if (source instanceof Uint8Array) return this.bytes(source);
    if (source instanceof ArrayBuffer) return this.bytes(new Uint8Array(source));
    if (source instanceof Blob) return this.blob(name, source);
    if (source instanceof URL) return this.address(source);
    if (source instanceof OnMachine) {
      local();
      return { kind: source.kind, path: source.path, isWritable: source.access.write === true };
    }
    if (source instanceof InOpfs) return this.inOpfs(name, source.handle, source.access.write === true);
    if (isHandle(source)) return this.inOpfs(name, source, false);
    if (typeof source === 'object' && typeof source?.read === 'function') return this.randomAccess(name, source);
    const message =
      `the file \`${name}\` is none: give bytes, a Blob, a URL, path(…), folder(…), opfs(…), a handle, or an ` +
      `object with ` +
      '`size` and `read(offset, length)`';
    throw new UsageError('not-a-file', message);
  }

  private bytes(data: Uint8Array): Extract<Place, { kind: 'bytes' }> {
    return { kind: 'bytes', data: this.where.isWorker ? alone(data) : data };
  }

  private blob(name: string, blob: Blob): Place {
    if (READS_BLOBS && this.where.isWorker) return { kind: 'blob', blob };
    const id = this.serve({ read: readerOf(name, blob) });
    return { kind: 'remote', id, sizeBytes: blob.size, isWritable: false };
  }

  private async address(url: URL): Promise<Place> {
    if (url.protocol === 'file:') return { kind: 'path', path: path(url).path, isWritable: false };
    const { signal } = this.where;
    const found = await find(url.href, signal);
    if (READS_BLOBS && this.where.isWorker) return { kind: 'http', found };
    const id = this.serve({ read: (offset, length) => read(found, offset, length, signal) });
    return { kind: 'remote', id, sizeBytes: found.sizeBytes, isWritable: false };
  }

  private async inOpfs(name: string, handle: FileSystemHandle, isWritable: boolean): Promise<Place> {
    if (handle.kind === 'file' && !isWritable) {
      const file = await (handle as FileSystemFileHandle).getFile().catch((cause: unknown) => {
        throw unreadable(name, cause);
      });
      return this.blob(name, file);
    }
    if (!this.where.isWorker) {
      const message =
        `\`${name}\` of OPFS can be read and written in a worker only; run the job without \`worker: ` + `false\``;
      throw new UsageError('needs-worker', message);
    }
    if (handle.kind === 'file') return { kind: 'opfs-file', handle: handle as FileSystemFileHandle };
    return { kind: 'opfs-folder', handle: handle as FileSystemDirectoryHandle, isWritable };
  }

  private randomAccess(name: string, source: RandomAccess): Place {
    if (!(Number.isSafeInteger(source.size) && source.size >= 0)) {
      throw new UsageError('not-a-file', `the file \`${name}\` has no size; give its number of bytes as \`size\``);
    }
    const served: Served = {
      read: async (offset, length) => {
        const data = await given(name, () => source.read(offset, length));
        if (data instanceof Uint8Array) return data;
        throw new SourceError('unreadable', `\`${name}\` did not give bytes; its \`read\` must give a Uint8Array`);
      },
    };
    if (source.write) served.write = async (offset, data) => given(name, () => source.write?.(offset, data));
    const id = this.serve(served);
    return { kind: 'remote', id, sizeBytes: source.size, isWritable: source.write !== undefined };
  }

  /** Takes the caller's streams, which end with the job from then on. */
  setStreams({ stdin, stdout }: Streams): void {
    try {
      if (stdout) this.setStdout(stdout);
    } finally {
      // One that is wrong does not leave the other open.
      if (stdin) this.setStdin(stdin);
    }
  }

  private setStdin(source: StdinSource): void {
    if (source instanceof Uint8Array) {
      this.stdin = this.bytes(source);
    } else if (source instanceof Blob && READS_BLOBS && this.where.isWorker) {
      this.stdin = { kind: 'blob', blob: source };
    } else {
      const stream = source instanceof Blob ? (source.stream() as ReadableStream<Uint8Array>) : source;
      this.stdin = { kind: 'stream', id: this.serve(input(stream)) };
    }
  }

  private setStdout(target: WritableStream<Uint8Array>): void {
    this.stdout = this.serve(output(target));
  }

  /** Ends streams, when the job has ended; they can be waited for as long as the job may run. */
  async end(error?: unknown): Promise<void> {
    try {
      for (const served of this.served) {
        const ended = served.end?.(error);
        if (ended) await (error === undefined ? unlessAborted(ended, this.where.signal) : ended);
      }
    } catch (failure) {
      for (const served of this.served) void served.end?.(failure);
      throw failure;
    }
  }
}

/** Ends the streams of a call that no job has taken; others are left as they are. */
export async function endUntaken(streams: Streams, error?: unknown): Promise<void> {
  const given = new Given({ isWorker: false, signal: new AbortController().signal });
  try {
    given.setStreams(streams);
  } catch {
    // It is another's, or none.
  }
  await given.end(error).catch(() => undefined);
}

async function given<T>(name: string, call: () => T | Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (cause) {
    if (cause instanceof AfmpegError) throw cause;
    throw unreadable(name, cause);
  }
}

function isHandle(source: object): source is FileSystemFileHandle | FileSystemDirectoryHandle {
  return typeof FileSystemHandle === 'function' && source instanceof FileSystemHandle;
}

function readerOf(name: string, blob: Blob): (offset: number, length: number) => Promise<Uint8Array> {
  return async (offset, length) =>
    new Uint8Array(await given(name, () => blob.slice(offset, offset + length).arrayBuffer()));
}

/** A name leads to a place below the job's folder. */
export function checkName(name: string): string {
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.length > 0 && !parts.includes('..') && !name.includes('\0')) return parts.join('/');
  const message =
    `\`${name}\` is not the name of a file below the job's folder; write it as \`in.mp4\` or ` + `\`clips/1.mp4\``;
  throw new UsageError('bad-name', message);
}

function streamFailed(name: string, cause: unknown): SourceError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new SourceError('stream-failed', `the stream at ${name} failed: ${reason}; start the job again with another`, {
    cause,
  });
}

/** A stream as standard input: the next part is asked for when the program has read the last. */
function input(stream: ReadableStream<Uint8Array> | AsyncIterable<Uint8Array>): Served {
  const iterator = iterate(stream);
  let rest = new Uint8Array() as Uint8Array;
  let isAtEnd = false;
  let filling: Promise<void> | undefined;
  const next = async () => {
    try {
      return await iterator.next();
    } catch (cause) {
      throw streamFailed('stdin', cause);
    }
  };
  const fill = async () => {
    while (rest.byteLength === 0 && !isAtEnd) {
      const { done, value } = await next();
      if (done) isAtEnd = true;
      else if (value instanceof Uint8Array) rest = value;
      else throw streamFailed('stdin', 'it gave something else than a Uint8Array');
    }
  };
  return {
    isReady: async (milliseconds) => {
      if (rest.byteLength > 0 || isAtEnd) return true;
      filling ??= fill();
      const filled = filling.then(
        () => true,
        () => true,
      );
      if (milliseconds === undefined) return filled;
      if (milliseconds < 1) return Promise.race([filled, soon()]);
      let timer: ReturnType<typeof setTimeout> | undefined;
      const late = new Promise<boolean>((resolve) => {
        timer = setTimeout(() => resolve(false), milliseconds);
      });
      const isReady = await Promise.race([filled, late]);
      clearTimeout(timer);
      return isReady;
    },
    read: async (_offset, length) => {
      filling ??= fill();
      await filling;
      filling = undefined;
      const part = rest.subarray(0, length);
      rest = rest.subarray(length);
      return part;
    },
    end: async () => {
      if (isAtEnd) return;
      isAtEnd = true;
      // A source that waits for its own data must not hold up the end of the job.
      const stop = async () => iterator.return?.();
      void stop().catch(() => undefined);
    },
  };
}

/** Not ready, after what is there already has had its turn: a timer takes milliseconds. */
async function soon(): Promise<boolean> {
  for (let turn = 0; turn < 16; turn++) await undefined;
  return false;
}

function iterate(stream: ReadableStream<Uint8Array> | AsyncIterable<Uint8Array>): AsyncIterator<Uint8Array> {
  if (typeof stream !== 'object' || !(Symbol.asyncIterator in stream || 'getReader' in stream)) {
    const message = `stdin takes bytes, a Blob, a ReadableStream or an async iterable, not ${kindOf(stream)}`;
    throw new UsageError('not-a-stream', message);
  }
  if ('locked' in stream && stream.locked) throw locked('stdin');
  if (Symbol.asyncIterator in stream) return stream[Symbol.asyncIterator]();
  const reader = (stream as ReadableStream<Uint8Array>).getReader();
  return {
    next: async () => (await reader.read()) as IteratorResult<Uint8Array>,
    return: async () => {
      await reader.cancel();
      return { done: true, value: undefined };
    },
  };
}

function kindOf(value: unknown): string {
  return typeof value === 'object' ? 'another object' : `a ${typeof value}`;
}

function locked(name: string): UsageError {
  return new UsageError('locked', `the stream at ${name} is locked: something else uses it; give the job its own`);
}

/** A stream as standard output: the program waits until it takes more. */
function output(target: WritableStream<Uint8Array>): Served {
  if (typeof target?.getWriter !== 'function') {
    throw new UsageError('not-a-stream', `stdout takes a WritableStream, not ${kindOf(target)}`);
  }
  if (target.locked) throw locked('stdout');
  const writer = target.getWriter();
  return {
    write: async (_offset, data) => {
      try {
        await writer.ready;
        await writer.write(data);
      } catch (cause) {
        throw streamFailed('stdout', cause);
      }
    },
    end: async (error) => {
      if (error === undefined) {
        await writer.close().catch((cause: unknown) => {
          throw streamFailed('stdout', cause);
        });
      } else {
        // A target that takes long to end must not hold up the end of the job.
        void writer.abort(error).catch(() => undefined);
      }
    },
  };
}
