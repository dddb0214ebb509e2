// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

import { ProgramError } from './errors.ts';
import type { JobResult } from './protocol.ts';

const AFTER_EVERY_FAILURE = ['Conversion failed!', 'Exiting', 'frame=', 'size=', 'video:'];
const CONSEQUENCES = [
  'Cannot determine format of input',
  'Could not open encoder before EOF',
  'Nothing was written into output',
  'Task finished with',
  'Terminating thread',
];

/** What came of a job. */
export class Output {
  /** The program's own exit code: 0 is success, and a failure is no exception. */
  readonly exitCode: number;
  /** What it wrote to standard output, such as what ffprobe says, or a file sent to `pipe:1`. */
  readonly stdout: Uint8Array<ArrayBuffer>;
  /** The end of its messages, up to 1 MiB. */
  readonly stderr: string;
  /** The files in memory that it wrote, by name. */
  readonly files: Record<string, Uint8Array<ArrayBuffer>>;

  constructor(result: JobResult) {
    this.exitCode = result.exitCode;
    this.stdout = join(result.stdout);
    this.stderr = result.stderr;
    this.files = {};
    for (const [name, parts] of result.files) {
      Object.defineProperty(this.files, name, { value: join(parts), enumerable: true, configurable: true, writable: true });
    }
  }

  /** The cause of a failure: the last of FFmpeg's messages that is not printed after every failure. */
  get errorMessage(): string {
    const lines = this.stderr.split(/[\r\n]/).map((line) => line.trim());
    const said = lines.filter((line) => line !== '');
    const isTelling = (line: string) =>
      !AFTER_EVERY_FAILURE.some((start) => line.startsWith(start)) && !CONSEQUENCES.some((words) => line.includes(words));
    return said.findLast(isTelling) ?? said.at(-1) ?? 'the program said nothing';
  }

  /** Gives this output if the program succeeded, and throws a {@link ProgramError} with its message otherwise. */
  expectSuccess(): this {
    if (this.exitCode === 0) return this;
    const error = new ProgramError(this.errorMessage, this.exitCode);
    error.output = { stderr: this.stderr };
    throw error;
  }
}

/** Joins the parts of a file, and lets go of each as soon as it is copied: together they are as large as memory may be. */
function join(parts: Uint8Array<ArrayBuffer>[]): Uint8Array<ArrayBuffer> {
  const [first] = parts;
  if (first && parts.length === 1) return first;
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let at = 0;
  for (const part of parts.splice(0)) {
    whole.set(part, at);
    at += part.byteLength;
    detach(part.buffer);
  }
  return whole;
}

function detach(buffer: ArrayBuffer): void {
  // Older engines leave it to the garbage collection.
  (buffer as ArrayBuffer & { transfer?(sizeBytes: number): ArrayBuffer }).transfer?.(0);
}
