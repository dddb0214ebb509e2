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

/** What a command that might be cut was made of. */
interface Made {
  segments?: number;
  whole?: string;
  files?: Record<string, Uint8Array<ArrayBuffer>>;
}

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
  /** With `parallel`, how many segments the output was made of. */
  readonly segments: number;
  /** With `parallel`, why it was made by one job, if it was. */
  readonly whole: string | undefined;

  constructor(result: JobResult, { segments = 1, whole }: Omit<Made, 'files'> = {}) {
    this.segments = segments;
    this.whole = whole;
    this.exitCode = result.exitCode;
    this.stdout = result.stdout;
    this.stderr = result.stderr;
    this.files = {};
    for (const [name, value] of result.files) {
      // Also where the name is `__proto__`.
      Object.defineProperty(this.files, name, { value, enumerable: true, configurable: true, writable: true });
    }
  }

  /** @internal The same, with what it was made of. */
  as({ files = this.files, ...made }: Made): Output {
    const { exitCode, stdout, stderr } = this;
    return new Output({ exitCode, stdout, stderr, files: Object.entries(files) }, made);
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
