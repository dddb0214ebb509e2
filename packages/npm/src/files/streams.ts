// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

import { LimitError } from '../errors.ts';
import type { Content } from './file-system.ts';
import { MemoryContent, Room } from './memory.ts';

/** Standard input that has ended, or ended after these bytes. */
export class StdinBytes implements Content {
  readonly isStream = true;
  private at = 0;

  constructor(private readonly data: Uint8Array = new Uint8Array()) {}

  size(): number {
    return 0;
  }

  read(into: Uint8Array): number {
    const part = this.data.subarray(this.at, this.at + into.byteLength);
    into.set(part);
    this.at += part.byteLength;
    return part.byteLength;
  }
}

/** A file as standard input. */
export class StdinFile implements Content {
  readonly isStream = true;
  private at = 0;

  constructor(private readonly file: Content) {}

  size(): number {
    return 0;
  }

  read(into: Uint8Array): number | Promise<number> {
    const count = this.file.read(into, this.at);
    const advance = (count: number) => {
      this.at += count;
      return count;
    };
    return count instanceof Promise ? count.then(advance) : advance(count);
  }
}

/** What is written to a stream, kept in memory. */
export class Captured implements Content {
  readonly isStream = true;
  private readonly content = new MemoryContent(new Room(Infinity));

  constructor(private readonly maxBytes: number) {}

  size(): number {
    return 0;
  }

  read(): number {
    return 0;
  }

  write(data: Uint8Array): number {
    const at = this.content.size();
    if (at + data.byteLength > this.maxBytes) throw new LimitError('stdoutMaxBytes', this.maxBytes);
    return this.content.write(data, at);
  }

  take(): Uint8Array<ArrayBuffer> {
    return this.content.take();
  }
}

/** Lines are short; the rest of longer ones is left out. */
const LINE_SIZE_MAX_BYTES = 4096;

/** Text that is handed on by lines, as they come. FFmpeg ends lines of its status with carriage returns. */
export class Lines implements Content {
  readonly isStream = true;
  private readonly decoder = new TextDecoder();
  private line = '';

  constructor(private readonly take: (line: string) => void) {}

  size(): number {
    return 0;
  }

  read(): number {
    return 0;
  }

  write(data: Uint8Array): number {
    const text = this.line + this.decoder.decode(data, { stream: true });
    const lines = text.split(/\r\n|\n|\r/);
    this.line = (lines.pop() ?? '').slice(0, LINE_SIZE_MAX_BYTES);
    for (const line of lines) if (line !== '') this.take(line.slice(0, LINE_SIZE_MAX_BYTES));
    return data.byteLength;
  }

  /** Hands on what has no end of line. */
  end(): void {
    if (this.line !== '') this.take(this.line);
    this.line = '';
  }
}

const STDERR_SIZE_MAX_BYTES = 1 << 20;

/** Standard error: its lines as they come, and its end. */
export class Stderr implements Content {
  readonly isStream = true;
  private parts: Uint8Array[] = [];
  private sizeBytes = 0;

  constructor(private readonly lines: Lines) {}

  size(): number {
    return 0;
  }

  read(): number {
    return 0;
  }

  write(data: Uint8Array): number {
    this.parts.push(data.slice());
    this.sizeBytes += data.byteLength;
    while (this.sizeBytes > STDERR_SIZE_MAX_BYTES && this.parts.length > 1) {
      this.sizeBytes -= this.parts.shift()?.byteLength ?? 0;
    }
    return this.lines.write(data);
  }

  text(): string {
    const decoder = new TextDecoder();
    return this.parts.map((part) => decoder.decode(part, { stream: true })).join('') + decoder.decode();
  }
}
