// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

/** The limits of a job, by the names of the options that set them. */
export type Limit = 'memoryMaxBytes' | 'writtenMaxBytes' | 'filesMaxBytes' | 'stdoutMaxBytes' | 'names' | 'openFiles';

/** What a job had said when it ended. */
export interface Said {
  /** The end of what it wrote to standard error: FFmpeg's own messages. */
  stderr: string;
}

/** The base of all errors of this package. The message says what to do next. */
export class AfmpegError extends Error {
  override name = 'AfmpegError';
  /** Names the cause for programs: it stays the same when the message is reworded. */
  readonly code: string;
  /** What the job had said, if it had begun. */
  output: Said | undefined;

  constructor(code: string, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** The call itself is wrong. */
export class UsageError extends AfmpegError {
  override name = 'UsageError';
}

/** There is no module, or it cannot be used. */
export class ModuleError extends AfmpegError {
  override name = 'ModuleError';
}

/** A file, stream or address that the job was given cannot be read or written. */
export class SourceError extends AfmpegError {
  override name = 'SourceError';
}

/** This engine, or this way of running, cannot do what was asked. */
export class UnsupportedError extends AfmpegError {
  override name = 'UnsupportedError';
}

/** The job's signal was aborted; `cause` is the signal's reason. */
export class AbortedError extends AfmpegError {
  override name = 'AbortError';

  constructor(cause?: unknown) {
    super('aborted', 'the job was aborted; nothing of it is left, and the runtime can run others', { cause });
  }
}

/** The job was still running when its time was over. */
export class TimeoutError extends AfmpegError {
  override name = 'TimeoutError';

  constructor(timeout: number) {
    super('timeout', `the job was still running after ${timeout} ms; give it more by \`timeout\`, or less to do`);
  }
}

/** The job wanted more than it may have. */
export class LimitError extends AfmpegError {
  override name = 'LimitError';
  readonly limit: Limit;
  /** In bytes or files. */
  readonly allowed: number;

  constructor(limit: Limit, allowed: number) {
    super('limit', `the job reached its limit, ${limit} of ${allowed}; raise it, or give the job less to do`);
    this.limit = limit;
    this.allowed = allowed;
  }
}

/** The program crashed: a fault of FFmpeg on this input, which harmed nothing outside of the job. */
export class TrapError extends AfmpegError {
  override name = 'TrapError';
  readonly reason: string;
  /** The number or name of the function in the module. */
  readonly function: string | undefined;

  constructor(reason: string, where: string | undefined) {
    const place = where === undefined ? '' : ` in function ${where} of the module`;
    super(
      'trap',
      `the program crashed${place}: ${reason}; other jobs are not harmed, and the input is probably damaged`,
    );
    this.reason = reason;
    this.function = where;
  }
}

/** FFmpeg ended with a failure, where its result was needed. */
export class ProgramError extends AfmpegError {
  override name = 'ProgramError';
  readonly exitCode: number;

  constructor(message: string, exitCode: number) {
    super('program', `FFmpeg failed: ${message}`);
    this.exitCode = exitCode;
  }
}

/** A command cannot be made in segments, as `parallel: 'require'` asks. */
export class ParallelError extends AfmpegError {
  override name = 'ParallelError';
  /** Why it is so, without a next step. */
  readonly reason: string;

  constructor(code: 'not-cut', message: string, reason: string, options?: { cause?: unknown }) {
    super(code, message, options);
    this.reason = reason;
  }
}

/** An error as it passes between threads, which keep only messages of errors of classes of their own. */
export interface PlainError {
  name: string;
  code: string;
  message: string;
  stderr: string | undefined;
  limit?: Limit;
  allowed?: number;
  reason?: string;
  function?: string | undefined;
}

export function toPlain(error: unknown): PlainError {
  if (!(error instanceof AfmpegError)) {
    const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    return { name: 'AfmpegError', code: 'internal', message, stderr: undefined };
  }
  const { name, code, message } = error;
  const plain: PlainError = { name, code, message, stderr: error.output?.stderr };
  if (error instanceof LimitError) return { ...plain, limit: error.limit, allowed: error.allowed };
  if (error instanceof TrapError) return { ...plain, reason: error.reason, function: error.function };
  return plain;
}

export function fromPlain(plain: PlainError): AfmpegError {
  const error = made(plain);
  if (plain.stderr !== undefined) error.output = { stderr: plain.stderr };
  return error;
}

function made({ name, code, message, limit, allowed, reason, function: where }: PlainError): AfmpegError {
  switch (name) {
    case 'LimitError':
      return new LimitError(limit ?? 'memoryMaxBytes', allowed ?? 0);
    case 'TrapError':
      return new TrapError(reason ?? message, where);
    case 'SourceError':
      return new SourceError(code, message);
    case 'UnsupportedError':
      return new UnsupportedError(code, message);
    case 'ModuleError':
      return new ModuleError(code, message);
    case 'UsageError':
      return new UsageError(code, message);
    default:
      return new AfmpegError(code, message);
  }
}
