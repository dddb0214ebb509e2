// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

import { SourceError } from '../errors.ts';
import type { Awaitable, Content } from './file-system.ts';
import { ReadAhead } from './read-ahead.ts';

/** What workers of browsers have, and TypeScript's library for pages has not. */
declare class FileReaderSync {
  readAsArrayBuffer(blob: Blob): ArrayBuffer;
}

export function unreadable(name: string, cause: unknown): SourceError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  const message =
    `\`${name}\` cannot be read: ${reason}; it was probably changed or moved since it was chosen: give it ` + `again`;
  return new SourceError('unreadable', message, { cause });
}

/** A Blob or File, read in place, in a worker of a browser. */
export class BlobContent implements Content {
  private readonly reader: ReadAhead;
  readonly modified: number;

  constructor(name: string, blob: Blob) {
    this.modified = 'lastModified' in blob ? (blob as File).lastModified : 0;
    this.reader = new ReadAhead(name, blob.size, (offset, length) => {
      try {
        return new Uint8Array(new FileReaderSync().readAsArrayBuffer(blob.slice(offset, offset + length)));
      } catch (error) {
        throw unreadable(name, error);
      }
    });
  }

  size(): number {
    return this.reader.size();
  }

  read(into: Uint8Array, offset: number): Awaitable<number> {
    return this.reader.read(into, offset);
  }
}
