// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

import { Errno, FileType, PATH_SIZE_MAX_BYTES } from '../wasi/abi.ts';

export type Awaitable<T> = T | Promise<T>;

/** The content of one file. Reads and writes may take time; the host waits for them as the engine can. */
export interface Content {
  /** It has no positions: reads and writes go on where the last one ended. */
  readonly isStream?: boolean;
  readonly modified?: number;
  size(): number;
  /** Reads at most as much as fits; 0 is the end. */
  read(into: Uint8Array, offset: number): Awaitable<number>;
  /** Missing where nothing can be written. */
  write?(data: Uint8Array, offset: number): Awaitable<number>;
  resize?(sizeBytes: number): void;
  /** Whether a read would not wait, after this time at most; missing where none ever does. */
  isReady?(milliseconds: number | undefined): Awaitable<boolean>;
  /** Called when a descriptor of it is opened. */
  open?(): void;
  /** Called when a descriptor of it is closed. */
  close?(): void;
}

export interface OpenOptions {
  read: boolean;
  write: boolean;
  create: boolean;
  exclusive: boolean;
  truncate: boolean;
  directory: boolean;
}

export interface Stat {
  type: FileType;
  inode: number;
  sizeBytes: number;
  /** In milliseconds of the epoch. */
  modified: number;
}

export interface Entry {
  name: string;
  inode: number;
  type: FileType;
}

/**
 * What a guest can name below one folder. Paths have no `.`, `..` or empty parts; the folder itself is the empty path.
 */
export interface FileSystem {
  /** The content of a file, or nothing where the path is that of a folder. */
  open(path: string, options: OpenOptions): Content | undefined;
  stat(path: string): Stat;
  list(path: string): Entry[];
  makeDirectory(path: string): void;
  removeDirectory(path: string): void;
  unlink(path: string): void;
  rename(from: string, to: string): void;
}

export interface Resolved {
  path: string;
  /** It was written with a slash or a dot at its end, which only a folder may have. */
  isDirectory: boolean;
}

/** Resolves a path against the folder that it is relative to. `..` may lead back, but never above that folder. */
export function resolve(directory: string, path: string): Resolved {
  if (path === '') throw new Errno(Errno.NOENT);
  if (path.startsWith('/')) throw new Errno(Errno.PERM);
  if (path.includes('\0')) throw new Errno(Errno.INVAL);
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') parts.push(part);
    else if (parts.pop() === undefined) throw new Errno(Errno.PERM);
  }
  const resolved = directory === '' ? parts.join('/') : [directory, ...parts].join('/');
  if (resolved.length > PATH_SIZE_MAX_BYTES) throw new Errno(Errno.NAMETOOLONG);
  return { path: resolved, isDirectory: /(^|\/)\.{0,2}$/.test(path) };
}

/** The folder that a path lies in, and its name there. */
export function split(path: string): [folder: string, name: string] {
  const at = path.lastIndexOf('/');
  return at < 0 ? ['', path] : [path.slice(0, at), path.slice(at + 1)];
}
