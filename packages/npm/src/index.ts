// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

/**
 * FFmpeg's own command line in WebAssembly, in browsers, node, Deno, Bun and edge runtimes.
 *
 * @module
 */

export {
  AbortedError,
  AfmpegError,
  type Limit,
  LimitError,
  ModuleError,
  ParallelError,
  ProgramError,
  type Said,
  SourceError,
  TimeoutError,
  TrapError,
  UnsupportedError,
  UsageError,
} from './errors.ts';
export {
  type Access,
  type Files,
  type FileSource,
  folder,
  InOpfs,
  OnMachine,
  opfs,
  path,
  type RandomAccess,
  type StdinSource,
} from './given.ts';
export { hasSimd, type ModuleDescription, type ModuleSource, VARIANTS } from './module.ts';
export type { Frame, FramesWanted } from './frames.ts';
export { Output } from './output.ts';
export type { Chapter, Format, MediaType, Probe, Rational, Stream, StreamGroup, TileGrid } from './probe.ts';
export type { Progress } from './progress.ts';
export {
  type FramesOptions,
  type Limits,
  type ProbeOptions,
  type RunOptions,
  Runtime,
  type RuntimeOptions,
} from './runtime.ts';
