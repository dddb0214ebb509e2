// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// What the calling thread and a worker say to each other.

import type { PlainError } from './errors.ts';
import type { Found } from './files/http.ts';
import type { Reply, Request } from './files/remote.ts';
import type { MovableSource } from './module.ts';
import type { Progress } from './progress.ts';

/** A file or folder as a worker is told of it. */
export type Place =
  | { kind: 'bytes'; data: Uint8Array }
  | { kind: 'blob'; blob: Blob }
  | { kind: 'http'; found: Found }
  | { kind: 'remote'; id: number; sizeBytes: number; isWritable: boolean }
  | { kind: 'opfs-file'; handle: FileSystemFileHandle }
  | { kind: 'opfs-folder'; handle: FileSystemDirectoryHandle; isWritable: boolean }
  | { kind: 'path'; path: string; isWritable: boolean }
  | { kind: 'folder'; path: string; isWritable: boolean }
  | { kind: 'empty-folder'; isReadOnly: boolean };

export type StdinPlace = { kind: 'none' } | { kind: 'stream'; id: number } | Extract<Place, { kind: 'bytes' | 'blob' }>;

/** A job, as it can be handed to another thread. */
export interface JobSpec {
  args: string[];
  env: Record<string, string>;
  files: [name: string, place: Place][];
  stdin: StdinPlace;
  /** The number of the stream that standard output goes to, or nothing where it is kept. */
  stdout: number | undefined;
  memoryMaxBytes: number;
  /** The engine keeps the program from more memory than that: it finds none, and says so. */
  isMemoryBound: boolean;
  writtenMaxBytes: number;
  filesMaxBytes: number;
  stdoutMaxBytes: number;
  /** In seconds, where it is known. */
  durationSeconds: number | undefined;
  wantsProgress: boolean;
  wantsLog: boolean;
}

/** What came of a job. */
export interface JobResult {
  exitCode: number;
  stdout: Uint8Array<ArrayBuffer>;
  stderr: string;
  files: [name: string, data: Uint8Array<ArrayBuffer>][];
}

export interface Start {
  type: 'start';
  module: WebAssembly.Module;
  spec: JobSpec;
  /** Shared memory for answers, where the worker can wait in it. */
  answers: SharedArrayBuffer | undefined;
}

export interface Compile {
  type: 'compile';
  source: MovableSource;
  memoryMaxBytes: number | undefined;
}

export type ToWorker = Start | { type: 'reply'; reply: Reply } | Compile;

export type FromWorker =
  | { type: 'ready' }
  | { type: 'compiled'; module: WebAssembly.Module }
  | { type: 'log'; line: string }
  | { type: 'progress'; progress: Progress }
  | { type: 'call'; request: Request }
  | { type: 'done'; result: JobResult }
  | { type: 'failed'; error: PlainError };

/** Bytes that a message takes along alone: with a view it takes all memory that it is a part of. */
export function alone(data: Uint8Array): Uint8Array {
  const isPart = data.buffer instanceof ArrayBuffer && data.byteLength !== data.buffer.byteLength;
  // `slice` of a Buffer is a view again.
  return isPart ? new Uint8Array(data) : data;
}

/** One end of the connection between the threads. */
export interface Port<In, Out> {
  post(message: Out, transfer?: ArrayBuffer[]): void;
  listen(take: (message: In) => void): void;
}

// Answers in shared memory: what happened, how many bytes came, and the bytes.
const STATE = 0;
const LENGTH = 1;
const HEAD_SIZE_BYTES = 8;
const WAITING = 0;
const DATA = 1;
const ERROR = 2;
const LATE = 3;

export const ANSWERS_SIZE_BYTES = HEAD_SIZE_BYTES + (1 << 20) + (1 << 16);

/** Writes an answer, and wakes the worker that waits for it. */
export function answer(shared: SharedArrayBuffer, reply: Reply): void {
  const head = new Int32Array(shared, 0, 2);
  const isError = 'error' in reply;
  const isLate = 'isLate' in reply;
  const room = shared.byteLength - HEAD_SIZE_BYTES;
  const data = isError
    ? new TextEncoder().encode(JSON.stringify(reply.error))
    : isLate
      ? new Uint8Array()
      : reply.data;
  const part = data.subarray(0, room);
  new Uint8Array(shared, HEAD_SIZE_BYTES).set(part);
  head[LENGTH] = part.byteLength;
  Atomics.store(head, STATE, isError ? ERROR : isLate ? LATE : DATA);
  Atomics.notify(head, STATE);
}

/** Has a request sent, and waits for its answer. */
export function ask(shared: SharedArrayBuffer, send: () => void): Reply {
  const head = new Int32Array(shared, 0, 2);
  Atomics.store(head, STATE, WAITING);
  send();
  Atomics.wait(head, STATE, WAITING);
  const bytes = new Uint8Array(shared, HEAD_SIZE_BYTES, head[LENGTH] ?? 0).slice();
  const state = Atomics.load(head, STATE);
  if (state === DATA) return { data: bytes };
  if (state === LATE) return { isLate: true };
  return { error: JSON.parse(new TextDecoder().decode(bytes)) as PlainError };
}
