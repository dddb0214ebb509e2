// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// What the places of outputs have in common.

import { SourceError } from '../errors.ts';
import type { Files } from '../given.ts';
import type { Output } from '../output.ts';
import type { Plan } from './plan.ts';

export type WrittenFiles = Output['files'];

/** The place of an output, which has another name until it is whole. */
export interface Target {
  /** What the job that joins finds: the caller's files, and a place for what is not whole. */
  readonly files: Files;
  /** What a job finds that reads what the join has written. */
  written(joined: Output): Promise<Files>;
  /** Gives what is whole its name; gives the files in memory. */
  finish(joined: Output): Promise<WrittenFiles>;
  /** Removes what is not whole. */
  discard(): Promise<void>;
}

/** What is to be written, and its names where it lies. */
export interface Place {
  plan: Plan;
  mayOverwrite: boolean;
  output: string;
  partial: string;
}

export const EXISTS = 'the output exists, and -y is not given';
export const NO_FILE = 'the output is no file';
export const NOWHERE = "the output's folder was not found";

export function isThere({ partial }: Plan): string {
  return `${partial} is there already`;
}

export function unwritable({ partial }: Plan, cause: unknown): SourceError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  const message = `\`${partial}\` cannot be written: ${reason}; see whether its folder may be, and has room`;
  return new SourceError('unwritable', message, { cause });
}
