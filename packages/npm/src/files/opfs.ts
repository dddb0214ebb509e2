// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// Files and folders of the origin private file system, which workers read and write without waiting.

import { SourceError } from '../errors.ts';
import { Errno, FileType } from '../wasi/abi.ts';
import { BlobContent } from './blob.ts';
import type { Content, Entry, FileSystem, OpenOptions, Stat } from './file-system.ts';
import { split } from './file-system.ts';

/** What TypeScript's library does not have of it. */
interface SyncAccessHandle {
  read(into: Uint8Array, options: { at: number }): number;
  write(data: Uint8Array, options: { at: number }): number;
  truncate(sizeBytes: number): void;
  getSize(): number;
  flush(): void;
  close(): void;
}

type FileHandle = FileSystemFileHandle & {
  createSyncAccessHandle(): Promise<SyncAccessHandle>;
  move?(folder: FileSystemDirectoryHandle, name: string): Promise<void>;
};

type DirectoryHandle = FileSystemDirectoryHandle & {
  entries(): AsyncIterableIterator<[string, FileSystemHandle]>;
};

class OpfsContent implements Content {
  constructor(
    private readonly name: string,
    readonly handle: SyncAccessHandle,
  ) {}

  size(): number {
    return this.handle.getSize();
  }

  read(into: Uint8Array, offset: number): number {
    return this.handle.read(into, { at: offset });
  }

  write(data: Uint8Array, offset: number): number {
    return this.changing(() => this.handle.write(data, { at: offset }));
  }

  resize(sizeBytes: number): void {
    this.changing(() => this.handle.truncate(sizeBytes));
  }

  private changing<T>(change: () => T): T {
    try {
      return change();
    } catch (error) {
      if (error instanceof DOMException && error.name === 'QuotaExceededError') throw quota(this.name, error);
      const reason = error instanceof Error ? error.message : String(error);
      throw new SourceError(
        'unwritable',
        `\`${this.name}\` cannot be written: ${reason}; see whether it is still there`,
      );
    }
  }

  finish(): void {
    this.changing(() => this.handle.flush());
    this.handle.close();
  }
}

function quota(name: string, cause: unknown): SourceError {
  const message =
    `the site's storage is full, so that \`${name}\` cannot grow; remove files of it, or ask for more by ` +
    `navigator.storage.persist()`;
  return new SourceError('no-space', message, { cause });
}

/** What has to be done with files of OPFS when a job has ended. */
export type Finish = () => Promise<void> | void;

export async function openFile(
  name: string,
  file: FileSystemFileHandle,
): Promise<{ content: Content; finish: Finish }> {
  let handle: SyncAccessHandle;
  try {
    handle = await (file as FileHandle).createSyncAccessHandle();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const message = `\`${name}\` cannot be opened for writing: ${reason}; close what else has it open`;
    throw new SourceError('unwritable', message, { cause });
  }
  const content = new OpfsContent(name, handle);
  return { content, finish: () => content.finish() };
}

/** The most files that a job can make in a folder: each is prepared before, as only opening has to be waited for. */
const SPARE_FILES = 32;

interface Node {
  inode: number;
  content: Content;
}

/**
 * A folder. Its files are read as they were when the job began. What a job writes goes into files that were made
 * before, under other names, which take the places of others when the job has ended.
 */
export class OpfsFolder implements FileSystem {
  private readonly files = new Map<string, Node>();
  private readonly folders = new Set<string>(['']);
  private readonly removed = new Set<string>();
  private readonly written = new Map<string, { content: OpfsContent; file: FileHandle }>();
  private readonly spare: { content: OpfsContent; file: FileHandle }[] = [];
  private inodes = 0;

  private constructor(
    private readonly name: string,
    private readonly root: DirectoryHandle,
    private readonly isWritable: boolean,
  ) {}

  static async open(name: string, root: FileSystemDirectoryHandle, isWritable: boolean): Promise<OpfsFolder> {
    const folder = new OpfsFolder(name, root as DirectoryHandle, isWritable);
    await folder.read(folder.root, '');
    if (isWritable) await folder.makeSpare();
    return folder;
  }

  private async read(folder: DirectoryHandle, prefix: string): Promise<void> {
    for await (const [name, handle] of folder.entries()) {
      if (name.startsWith(SPARE_PREFIX)) {
        // Of a job that was killed.
        if (this.isWritable) await folder.removeEntry(name).catch(() => undefined);
      } else if (handle.kind === 'directory') {
        this.folders.add(prefix + name);
        await this.read(handle as DirectoryHandle, `${prefix}${name}/`);
      } else {
        const file = await (handle as FileSystemFileHandle).getFile();
        this.files.set(prefix + name, { inode: ++this.inodes, content: new BlobContent(prefix + name, file) });
      }
    }
  }

  private async makeSpare(): Promise<void> {
    const job = crypto.randomUUID();
    for (let index = 0; index < SPARE_FILES; index++) {
      const name = `${SPARE_PREFIX}${job}-${index}`;
      const file = (await this.root.getFileHandle(name, { create: true })) as FileHandle;
      this.spare.push({ content: new OpfsContent(this.name, await file.createSyncAccessHandle()), file });
    }
  }

  /** Gives what was written its names. */
  async finish(): Promise<void> {
    for (const { content, file } of this.spare) {
      content.finish();
      await this.root.removeEntry(file.name);
    }
    for (const path of this.removed) {
      const [folder, name] = split(path);
      const parent = await this.handle(folder);
      await parent.removeEntry(name).catch(() => undefined);
    }
    for (const folder of this.folders) await this.handle(folder);
    for (const [path, { content, file }] of this.written) {
      content.finish();
      const [folder, name] = split(path);
      const parent = await this.handle(folder);
      if (file.move) await file.move(parent, name);
      else await copyOver(file, await parent.getFileHandle(name, { create: true }), this.root);
    }
  }

  private async handle(path: string): Promise<FileSystemDirectoryHandle> {
    let folder: FileSystemDirectoryHandle = this.root;
    for (const part of path.split('/').filter((part) => part !== '')) {
      folder = await folder.getDirectoryHandle(part, { create: true });
    }
    return folder;
  }

  private checkWritable(): void {
    if (!this.isWritable) throw new Errno(Errno.ROFS);
  }

  open(path: string, options: OpenOptions): Content | undefined {
    if (this.folders.has(path)) {
      if (options.write || options.truncate) throw new Errno(Errno.ISDIR);
      return undefined;
    }
    const node = this.files.get(path);
    if (!node && !options.create) throw new Errno(Errno.NOENT);
    if (options.directory) throw new Errno(Errno.NOTDIR);
    if (node && options.exclusive) throw new Errno(Errno.EXIST);
    if (node && !options.write && !options.truncate) return node.content;
    this.checkWritable();
    const before = this.written.get(path);
    if (before) {
      if (options.truncate) before.content.resize(0);
      return before.content;
    }
    if (!this.folders.has(split(path)[0])) throw new Errno(Errno.NOENT);
    const spare = this.spare.pop();
    if (!spare) {
      const message =
        `a job can make ${SPARE_FILES} files in the folder \`${this.name}\` of OPFS; give it fewer to ` + `make`;
      throw new SourceError('too-many-files', message);
    }
    if (node && !options.truncate) copy(node.content, spare.content);
    this.written.set(path, spare);
    this.files.set(path, { inode: node?.inode ?? ++this.inodes, content: spare.content });
    return spare.content;
  }

  stat(path: string): Stat {
    if (this.folders.has(path)) return { type: FileType.DIRECTORY, inode: 1, sizeBytes: 0, modified: 0 };
    const node = this.files.get(path);
    if (!node) throw new Errno(Errno.NOENT);
    const { inode, content } = node;
    return { type: FileType.REGULAR_FILE, inode, sizeBytes: content.size(), modified: content.modified ?? 0 };
  }

  list(path: string): Entry[] {
    if (!this.folders.has(path)) throw new Errno(this.files.has(path) ? Errno.NOTDIR : Errno.NOENT);
    const isHere = (name: string) => name !== '' && split(name)[0] === path;
    const entry = (name: string, inode: number, type: FileType) => ({ name: split(name)[1], inode, type });
    return [
      ...[...this.folders].filter(isHere).map((name) => entry(name, 1, FileType.DIRECTORY)),
      ...[...this.files]
        .filter(([name]) => isHere(name))
        .map(([name, { inode }]) => entry(name, inode, FileType.REGULAR_FILE)),
    ];
  }

  makeDirectory(path: string): void {
    if (this.folders.has(path) || this.files.has(path)) throw new Errno(Errno.EXIST);
    this.checkWritable();
    if (!this.folders.has(split(path)[0])) throw new Errno(Errno.NOENT);
    this.folders.add(path);
  }

  removeDirectory(path: string): void {
    if (!this.folders.has(path)) throw new Errno(this.files.has(path) ? Errno.NOTDIR : Errno.NOENT);
    this.checkWritable();
    if (path === '') throw new Errno(Errno.INVAL);
    if (this.list(path).length > 0) throw new Errno(Errno.NOTEMPTY);
    this.folders.delete(path);
    this.removed.add(path);
  }

  unlink(path: string): void {
    if (this.folders.has(path)) throw new Errno(Errno.ISDIR);
    if (!this.files.has(path)) throw new Errno(Errno.NOENT);
    this.checkWritable();
    this.release(path);
    this.files.delete(path);
    this.removed.add(path);
  }

  private release(path: string): void {
    const written = this.written.get(path);
    if (!written) return;
    written.content.resize(0);
    this.written.delete(path);
    this.spare.push(written);
  }

  rename(from: string, to: string): void {
    const node = this.files.get(from);
    if (!node) throw new Errno(this.folders.has(from) ? Errno.NOTSUP : Errno.NOENT);
    this.checkWritable();
    if (from === to) return;
    if (this.folders.has(to)) throw new Errno(Errno.ISDIR);
    if (!this.folders.has(split(to)[0])) throw new Errno(Errno.NOENT);
    // What is not the job's own is copied, as the folder changes only at the job's end.
    this.open(from, { read: true, write: true, create: false, exclusive: false, truncate: false, directory: false });
    const written = this.written.get(from);
    const moved = this.files.get(from);
    if (!written || !moved) throw new Errno(Errno.IO);
    this.release(to);
    this.written.delete(from);
    this.written.set(to, written);
    this.files.delete(from);
    this.files.set(to, moved);
    this.removed.add(from);
    this.removed.delete(to);
  }
}

const SPARE_PREFIX = '.afmpeg-';

function copy(from: Content, to: OpfsContent): void {
  const buffer = new Uint8Array(1 << 20);
  for (let at = 0; at < from.size();) {
    const count = from.read(buffer, at);
    // Both are read in a worker, where neither has to be waited for.
    if (typeof count !== 'number' || count === 0) throw new Errno(Errno.IO);
    to.write(buffer.subarray(0, count), at);
    at += count;
  }
}

/** For engines whose files cannot be moved. */
async function copyOver(from: FileHandle, to: FileSystemFileHandle, folder: FileSystemDirectoryHandle): Promise<void> {
  const target = await to.createWritable();
  await (await from.getFile()).stream().pipeTo(target);
  await folder.removeEntry(from.name);
}
