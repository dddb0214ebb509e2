// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// Files and streams that the calling thread reads and writes for a job: those that only give promises.

import { fromPlain, type PlainError, toPlain, UnsupportedError } from '../errors.ts';
import type { Awaitable, Content } from './file-system.ts';
import { ReadAhead } from './read-ahead.ts';

export type Request =
  | { op: 'read'; id: number; offset: number; length: number }
  /** Reads from a stream, unless nothing comes in this time; without one, however long it takes. */
  | { op: 'await'; id: number; length: number; milliseconds: number | undefined }
  | { op: 'write'; id: number; offset: number; data: Uint8Array<ArrayBuffer> };

export type Reply = { data: Uint8Array } | { error: PlainError } | { isLate: true };

/** Asks the calling thread, and waits as this thread can. */
export type Caller = (request: Request) => Awaitable<Reply>;

/** What the calling thread has for a job. */
export interface Served {
  read?(offset: number, length: number): Promise<Uint8Array>;
  write?(offset: number, data: Uint8Array<ArrayBuffer>): Promise<void>;
  /** Whether there is something to read, after this time at most. */
  isReady?(milliseconds: number | undefined): Promise<boolean>;
  /** Called when the job has ended, with the error if it failed. */
  end?(error?: unknown): Promise<void>;
}

/** The most that one call moves. */
export const CALL_SIZE_MAX_BYTES = 1 << 20;

const NOTHING = new Uint8Array();

export async function serve(served: readonly Served[], request: Request): Promise<Reply> {
  try {
    const found = served[request.id];
    if (request.op === 'write') {
      await found?.write?.(request.offset, request.data);
      return { data: NOTHING };
    }
    if (request.op === 'await' && found?.isReady && !(await found.isReady(request.milliseconds))) {
      return { isLate: true };
    }
    const offset = request.op === 'read' ? request.offset : 0;
    const data = (await found?.read?.(offset, request.length)) ?? NOTHING;
    return { data: data.subarray(0, Math.min(request.length, CALL_SIZE_MAX_BYTES)) };
  } catch (error) {
    return { error: toPlain(error) };
  }
}

function unwrap(reply: Reply): Uint8Array {
  if ('error' in reply) throw fromPlain(reply.error);
  return 'data' in reply ? reply.data : NOTHING;
}

function call(caller: Caller | undefined, name: string, request: Request): Awaitable<Uint8Array> {
  if (!caller) throw cannotWait(name);
  const reply = caller(request);
  return reply instanceof Promise ? reply.then(unwrap) : unwrap(reply);
}

export function cannotWait(name: string): UnsupportedError {
  return new UnsupportedError(
    'cannot-wait',
    `\`${name}\` gives its data by promises, and this engine cannot wait for them here: it has no JavaScript Promise ` +
      `Integration, and the page is not cross-origin isolated; give bytes, a Blob, a URL or a file of OPFS in a worker`,
  );
}

/** A file of the calling thread, with positions. */
export class RemoteFile implements Content {
  private readonly reader: ReadAhead;

  constructor(
    private readonly name: string,
    private readonly id: number,
    private readonly sizeBytes: number,
    private readonly caller: Caller | undefined,
  ) {
    this.reader = new ReadAhead(name, sizeBytes, (offset, length) => this.fetch(offset, length));
  }

  private fetch(offset: number, length: number): Awaitable<Uint8Array> {
    return call(this.caller, this.name, { op: 'read', id: this.id, offset, length });
  }

  size(): number {
    return this.sizeBytes;
  }

  read(into: Uint8Array, offset: number): Awaitable<number> {
    return this.reader.read(into, offset);
  }
}

/** A file that the calling thread also writes: nothing of it is kept here. */
export class RemoteWritableFile implements Content {
  constructor(
    private readonly name: string,
    private readonly id: number,
    private sizeBytes: number,
    private readonly caller: Caller | undefined,
  ) {}

  size(): number {
    return this.sizeBytes;
  }

  read(into: Uint8Array, offset: number): Awaitable<number> {
    const length = Math.min(into.byteLength, CALL_SIZE_MAX_BYTES, Math.max(0, this.sizeBytes - offset));
    if (length === 0) return 0;
    const take = (data: Uint8Array) => {
      into.set(data);
      return data.byteLength;
    };
    const data = call(this.caller, this.name, { op: 'read', id: this.id, offset, length });
    return data instanceof Promise ? data.then(take) : take(data);
  }

  write(data: Uint8Array, offset: number): Awaitable<number> {
    const part = data.slice(0, CALL_SIZE_MAX_BYTES);
    const { byteLength } = part;
    const take = () => {
      this.sizeBytes = Math.max(this.sizeBytes, offset + byteLength);
      return byteLength;
    };
    const done = call(this.caller, this.name, { op: 'write', id: this.id, offset, data: part });
    return done instanceof Promise ? done.then(take) : take();
  }

  resize(sizeBytes: number): void {
    // What was there before is written over; its owner sees only writes.
    this.sizeBytes = sizeBytes;
  }
}

/** A stream of the calling thread, which waits for its other end. */
export class RemoteStream implements Content {
  readonly isStream = true;
  /** Read when the program asked whether there is something; empty at the end. */
  private ahead: Uint8Array | undefined;
  private error: unknown;

  constructor(
    private readonly name: string,
    private readonly id: number,
    private readonly caller: Caller | undefined,
  ) {}

  size(): number {
    return 0;
  }

  read(into: Uint8Array): Awaitable<number> {
    if (this.error !== undefined) throw this.error;
    if (this.ahead) {
      const part = this.ahead.subarray(0, into.byteLength);
      into.set(part);
      // The end stays the end.
      if (part.byteLength > 0) {
        const rest = this.ahead.subarray(part.byteLength);
        this.ahead = rest.byteLength > 0 ? rest : undefined;
      }
      return part.byteLength;
    }
    const length = Math.min(into.byteLength, CALL_SIZE_MAX_BYTES);
    const take = (data: Uint8Array) => {
      into.set(data);
      return data.byteLength;
    };
    const data = call(this.caller, this.name, { op: 'read', id: this.id, offset: 0, length });
    return data instanceof Promise ? data.then(take) : take(data);
  }

  isReady(milliseconds: number | undefined): Awaitable<boolean> {
    if (this.ahead || this.error !== undefined || !this.caller) return true;
    const take = (reply: Reply) => {
      // An error is that of the read.
      if ('error' in reply) this.error = fromPlain(reply.error);
      else if ('data' in reply) this.ahead = reply.data;
      return !('isLate' in reply);
    };
    const reply = this.caller({ op: 'await', id: this.id, length: CALL_SIZE_MAX_BYTES, milliseconds });
    return reply instanceof Promise ? reply.then(take) : take(reply);
  }

  write(data: Uint8Array): Awaitable<number> {
    const part = data.slice(0, CALL_SIZE_MAX_BYTES);
    const { byteLength } = part;
    const done = call(this.caller, this.name, { op: 'write', id: this.id, offset: 0, data: part });
    return done instanceof Promise ? done.then(() => byteLength) : byteLength;
  }
}
