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
    this.stdout = result.stdout;
    this.stderr = result.stderr;
    this.files = {};
    for (const [name, value] of result.files) {
      // Also where the name is `__proto__`.
      Object.defineProperty(this.files, name, { value, enumerable: true, configurable: true, writable: true });
    }
  }

  /** The cause of a failure: the last of FFmpeg's messages that is not printed after every failure. */
  get errorMessage(): string {
    const lines = this.stderr.split(/[\r\n]/).map((line) => line.trim());
    const said = lines.filter((line) => line !== '');
    const isTelling = (line: string) =>
      !AFTER_EVERY_FAILURE.some((start) => line.startsWith(start)) &&
      !CONSEQUENCES.some((words) => line.includes(words));
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
