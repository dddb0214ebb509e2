// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

/** What came of a job. */
export interface Result {
  /** The program's own exit code: 0 is success, and a failure is no exception. */
  exitCode: number;
  /** What it wrote to standard output, such as what ffprobe says, or a file sent to `pipe:1`. */
  stdout: Uint8Array;
  /** Its messages. */
  stderr: string;
  /** The files that it wrote, by name. */
  files: Record<string, Uint8Array>;
}

/** Files that a job finds in its folder, by names such as `in.mp4` or `clips/1.mp4`. */
export type Files = Record<string, Uint8Array>;

export interface Options {
  /**
   * Fonts for subtitles and drawtext, by any names such as `NotoSansSC.otf`, besides the module's own, DejaVu Sans. The
   * program takes them by the names that they have themselves, and for characters that its own font lacks.
   */
  fonts?: Files;
}

/**
 * Runs FFmpeg's ffmpeg with these arguments. It sees these files and nothing else, and computes in the calling thread until
 * it is done: a service runs it in a worker.
 */
export function ffmpeg(args: string[], files?: Files, options?: Options): Promise<Result>;

/** Runs FFmpeg's ffprobe with these arguments. */
export function ffprobe(args: string[], files?: Files, options?: Options): Promise<Result>;
