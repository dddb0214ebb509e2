// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// Files and folders of the machine, in node, Deno and Bun.

import * as fs from 'node:fs';
import { join, resolve as absolute, sep } from 'node:path';

import { SourceError } from '../errors.ts';
import { Errno, FileType } from '../wasi/abi.ts';
import type { Content, Entry, FileSystem, OpenOptions, Stat } from './file-system.ts';
import { split } from './file-system.ts';

const ERRNO: Record<string, number> = {
  EACCES: Errno.ACCES,
  EDQUOT: Errno.DQUOT,
  EEXIST: Errno.EXIST,
  EFBIG: Errno.FBIG,
  EISDIR: Errno.ISDIR,
  ELOOP: Errno.LOOP,
  EMFILE: Errno.MFILE,
  ENAMETOOLONG: Errno.NAMETOOLONG,
  ENOENT: Errno.NOENT,
  ENOSPC: Errno.NOSPC,
  ENOTDIR: Errno.NOTDIR,
  ENOTEMPTY: Errno.NOTEMPTY,
  EPERM: Errno.PERM,
  EROFS: Errno.ROFS,
  EXDEV: Errno.XDEV,
};

function ask<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    if (error instanceof Errno) throw error;
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    throw new Errno(ERRNO[code] ?? Errno.IO);
  }
}

/** Systems without it have no such links that could be followed unnoticed, or are caught by the look before. */
const NOFOLLOW = fs.constants.O_NOFOLLOW ?? 0;
/** A FIFO without a writer is not to block the open. */
const NONBLOCK = fs.constants.O_NONBLOCK ?? 0;

/** What is there, without following a link; nothing if nothing is. */
function look(place: string): fs.Stats | undefined {
  return ask(() => fs.lstatSync(place, { throwIfNoEntry: false }));
}

class NodeContent implements Content {
  constructor(
    protected readonly fd: number,
    isWritable: boolean,
  ) {
    if (isWritable) {
      this.write = (data, offset) => ask(() => fs.writeSync(fd, data, 0, data.byteLength, offset));
      this.resize = (sizeBytes) => ask(() => fs.ftruncateSync(fd, sizeBytes));
    }
  }

  write?: (data: Uint8Array, offset: number) => number;
  resize?: (sizeBytes: number) => void;

  get modified(): number {
    return ask(() => fs.fstatSync(this.fd)).mtimeMs;
  }

  size(): number {
    return ask(() => fs.fstatSync(this.fd)).size;
  }

  read(into: Uint8Array, offset: number): number {
    return ask(() => fs.readSync(this.fd, into, 0, into.byteLength, offset));
  }

  finish(): void {
    fs.closeSync(this.fd);
  }
}

/** A file that is opened anew for each descriptor. */
class OpenedContent extends NodeContent {
  close(): void {
    this.finish();
  }
}

function openContent(path: string, flags: number, isWritable: boolean): OpenedContent {
  const fd = ask(() => fs.openSync(path, flags | NOFOLLOW | NONBLOCK, 0o666));
  if (!ask(() => fs.fstatSync(fd)).isFile()) {
    fs.closeSync(fd);
    throw new Errno(Errno.NOTSUP);
  }
  return new OpenedContent(fd, isWritable);
}

const FILE_TYPES = (stats: { isFile(): boolean; isDirectory(): boolean }): FileType => {
  if (stats.isDirectory()) return FileType.DIRECTORY;
  return stats.isFile() ? FileType.REGULAR_FILE : FileType.UNKNOWN;
};

/** A folder of the machine. Links in it are not followed, and nothing above it can be named. */
export class NodeFolder implements FileSystem {
  private readonly root: string;

  constructor(
    name: string,
    path: string,
    private readonly isWritable: boolean,
  ) {
    try {
      this.root = fs.realpathSync(path);
      if (!fs.statSync(this.root).isDirectory()) throw new Error('it is not a folder');
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new SourceError(
        'unreadable',
        `the folder \`${name}\` cannot be opened: ${reason}; see whether ${path} is there`,
      );
    }
  }

  /** The place of a path on the machine, if no link leads to it. */
  private place(path: string): string {
    // To Windows `..\x` is a way out, and `C:x` or `x:y` another drive or stream; to a guest they are names.
    if (sep === '\\' && /[\\:]/.test(path)) throw new Errno(Errno.INVAL);
    const place = this.below(path);
    const [folder] = split(path);
    const parent = this.below(folder);
    if (ask(() => fs.realpathSync(parent)) !== parent) throw new Errno(Errno.LOOP);
    // As a guest cannot make links, one that is there was there before.
    if (look(place)?.isSymbolicLink()) throw new Errno(Errno.LOOP);
    return place;
  }

  private below(path: string): string {
    const place = join(this.root, path);
    const start = this.root.endsWith(sep) ? this.root : this.root + sep;
    if (path !== '' && !place.startsWith(start)) throw new Errno(Errno.PERM);
    return place;
  }

  private changed(path: string): string {
    if (!this.isWritable) throw new Errno(Errno.ROFS);
    if (path === '') throw new Errno(Errno.INVAL);
    return this.place(path);
  }

  open(path: string, options: OpenOptions): Content | undefined {
    const isChange = options.write || options.truncate || options.create;
    const place = this.place(path);
    const stats = look(place);
    if (stats?.isDirectory()) {
      if (options.exclusive) throw new Errno(Errno.EXIST);
      if (options.write || options.truncate) throw new Errno(Errno.ISDIR);
      return undefined;
    }
    if (options.directory) throw new Errno(stats ? Errno.NOTDIR : Errno.NOENT);
    if (!isChange) return openContent(place, fs.constants.O_RDONLY, false);
    if (!this.isWritable) throw new Errno(stats || !options.create ? Errno.ROFS : Errno.PERM);
    let flags = options.write ? fs.constants.O_RDWR : fs.constants.O_RDONLY;
    if (options.create) flags |= fs.constants.O_CREAT;
    if (options.exclusive) flags |= fs.constants.O_EXCL;
    if (options.truncate) flags |= fs.constants.O_TRUNC;
    return openContent(place, flags, options.write);
  }

  stat(path: string): Stat {
    const stats = ask(() => fs.lstatSync(this.place(path)));
    return { type: FILE_TYPES(stats), inode: stats.ino, sizeBytes: stats.size, modified: stats.mtimeMs };
  }

  list(path: string): Entry[] {
    const entries = ask(() => fs.readdirSync(this.place(path), { withFileTypes: true }));
    const shown = entries.filter((entry) => !entry.isSymbolicLink());
    return shown.map((entry, index) => ({ name: entry.name, inode: index + 1, type: FILE_TYPES(entry) }));
  }

  makeDirectory(path: string): void {
    const place = this.changed(path);
    ask(() => fs.mkdirSync(place));
  }

  removeDirectory(path: string): void {
    const place = this.changed(path);
    ask(() => fs.rmdirSync(place));
  }

  unlink(path: string): void {
    const place = this.changed(path);
    if (look(place)?.isDirectory()) throw new Errno(Errno.ISDIR);
    ask(() => fs.unlinkSync(place));
  }

  rename(from: string, to: string): void {
    const [source, target] = [this.changed(from), this.changed(to)];
    ask(() => fs.renameSync(source, target));
  }
}

/**
 * A single file of the machine, opened before the job begins. The path is the caller's, so that links in it are
 * followed.
 */
export function openPath(name: string, path: string, isWritable: boolean): { content: Content; finish(): void } {
  try {
    const place = absolute(path);
    const flags = isWritable ? fs.constants.O_RDWR | fs.constants.O_CREAT : fs.constants.O_RDONLY;
    const fd = fs.openSync(place, flags | NONBLOCK, 0o666);
    if (fs.fstatSync(fd).isFile()) {
      const content = new NodeContent(fd, isWritable);
      return { content, finish: () => content.finish() };
    }
    fs.closeSync(fd);
    throw new Error('it is no regular file');
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const kind = isWritable ? 'unwritable' : 'unreadable';
    throw new SourceError(
      kind,
      `\`${name}\` cannot be opened: ${reason}; see whether ${path} is there and may be used`,
    );
  }
}
