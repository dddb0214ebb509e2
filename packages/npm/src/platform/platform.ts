// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// What differs between browsers, with edge runtimes, and node, with Deno and Bun.

import type { Content, FileSystem } from '../files/file-system.ts';
import type { FromWorker, ToWorker } from '../protocol.ts';

/** A worker, seen from the calling thread. */
export interface WorkerHandle {
  post(message: ToWorker): void;
  /** Hears of messages, or that the worker has died. */
  listen(take: (message: FromWorker) => void, died: (reason: string) => void): void;
  /** Ends it at once, whatever it does. */
  terminate(): void;
}

/** A worker that starts. */
export interface StartedWorker {
  ready: Promise<WorkerHandle>;
  /** Whether the process goes on for its sake; it does not at first. */
  hold(isHeld: boolean): void;
}

/** What reads files of the machine. */
export interface Local {
  file(name: string, path: string, isWritable: boolean): { content: Content; finish(): void };
  folder(name: string, path: string, isWritable: boolean): FileSystem;
  /** The folder that a file lies in or would lie in, and its name there, with links followed if it is there. */
  locate(path: string): [folder: string, name: string];
}
