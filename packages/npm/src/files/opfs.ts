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

export class OpfsContent implements Content {
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
      throw unwritable(this.name, error);
    }
  }

  finish(): void {
    this.changing(() => this.handle.flush());
    this.handle.close();
  }
}

/** What is wrong with a file that cannot be changed, by what the browser says. */
function unwritable(name: string, cause: unknown): SourceError {
  if (cause instanceof DOMException && cause.name === 'QuotaExceededError') {
    const message =
      `the site's storage is full, so that \`${name}\` cannot grow; remove files of it, or ask for more by ` +
      `navigator.storage.persist()`;
    return new SourceError('no-space', message, { cause });
  }
  const reason = cause instanceof Error ? cause.message : String(cause);
  const message = `\`${name}\` cannot be written: ${reason}; close what else has it open, and see whether it is still there`;
  return new SourceError('unwritable', message, { cause });
}

/** What has to be done with files of OPFS when a job has ended. */
export type Finish = () => Promise<void> | void;

export async function openFile(
  name: string,
  file: FileSystemFileHandle,
): Promise<{ content: OpfsContent; finish: () => void }> {
  try {
    const content = new OpfsContent(name, await (file as FileHandle).createSyncAccessHandle());
    return { content, finish: () => content.finish() };
  } catch (error) {
    throw unwritable(name, error);
  }
}

/** How many files are prepared before a job, as only opening has to be waited for: so many a job can write at once. */
const SPARE_FILES = 32;

/** A file that was made under another name. */
interface Spare {
  content: OpfsContent;
  file: FileHandle;
}

/** Files that were closed, one after the other in a file of their own, so that theirs are free for others. */
class Archive {
  private end = 0;

  constructor(private readonly content: OpfsContent) {}

  /** Puts the content of a file at the end; gives where it lies. */
  add(from: Content): number {
    const start = this.end;
    this.end += copy(from, this.content, start);
    return start;
  }

  read(into: Uint8Array, offset: number): number {
    return this.content.read(into, offset);
  }
}

/** What a job writes: in a file of its own as long as it is open, and perhaps in the archive when it is closed. */
class Written implements Content {
  private opened = 0;
  private archived = { start: 0, sizeBytes: 0 };
  modified = Date.now();

  constructor(
    private spare: Spare | undefined,
    private readonly archive: Archive,
    private readonly take: () => Spare,
  ) {}

  get isOpen(): boolean {
    return this.opened > 0;
  }

  /** Its own file, unless it is in the archive. */
  get own(): Spare | undefined {
    return this.spare;
  }

  size(): number {
    return this.spare?.content.size() ?? this.archived.sizeBytes;
  }

  read(into: Uint8Array, offset: number): number {
    if (this.spare) return this.spare.content.read(into, offset);
    const { start, sizeBytes } = this.archived;
    const length = Math.max(0, Math.min(into.byteLength, sizeBytes - offset));
    return length === 0 ? 0 : this.archive.read(into.subarray(0, length), start + offset);
  }

  write(data: Uint8Array, offset: number): number {
    this.modified = Date.now();
    return this.restored().write(data, offset);
  }

  resize(sizeBytes: number): void {
    this.modified = Date.now();
    this.restored().resize(sizeBytes);
  }

  private restored(): OpfsContent {
    if (this.spare) return this.spare.content;
    const spare = this.take();
    copy(this, spare.content);
    this.spare = spare;
    return spare.content;
  }

  open(): void {
    this.opened++;
  }

  close(): void {
    this.opened--;
  }

  /** Leaves its file to another. */
  put(): Spare | undefined {
    const { spare } = this;
    if (!spare) return undefined;
    this.archived = { start: this.archive.add(spare.content), sizeBytes: spare.content.size() };
    this.spare = undefined;
    spare.content.resize(0);
    return spare;
  }
}

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
  private readonly written = new Map<string, Written>();
  /** All files that were made before, those that hold something included. */
  private readonly made = new Set<Spare>();
  private readonly spare: Spare[] = [];
  private archive: Archive | undefined;
  private inodes = 0;
  /** Lets go of the lock that says that the job's files are in use. */
  private letGo = (): void => undefined;

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
        if (this.isWritable) await removeIfAbandoned(folder, name);
      } else if (handle.kind === 'directory') {
        this.folders.add(prefix + name);
        await unlessGone(this.read(handle as DirectoryHandle, `${prefix}${name}/`));
      } else {
        const file = await unlessGone((handle as FileSystemFileHandle).getFile());
        if (!file) continue;
        this.files.set(prefix + name, { inode: ++this.inodes, content: new BlobContent(prefix + name, file) });
      }
    }
  }

  private async makeSpare(): Promise<void> {
    const job = crypto.randomUUID();
    this.letGo = await holdLock(job);
    try {
      for (let index = 0; index <= SPARE_FILES; index++) {
        const file = (await this.root.getFileHandle(`${SPARE_PREFIX}${job}-${index}`, { create: true })) as FileHandle;
        this.made.add({ content: new OpfsContent(this.name, await file.createSyncAccessHandle()), file });
      }
    } catch (error) {
      await this.clear();
      throw unwritable(this.name, error);
    }
    const [archive, ...spare] = this.made;
    this.spare.push(...spare);
    if (archive) this.archive = new Archive(archive.content);
  }

  /** Gives what was written its names. */
  async finish(): Promise<void> {
    try {
      await this.publish();
    } catch (error) {
      throw error instanceof DOMException ? unwritable(this.name, error) : error;
    } finally {
      await this.clear();
    }
  }

  private async publish(): Promise<void> {
    for (const path of this.removed) {
      const [folder, name] = split(path);
      const parent = await this.handle(folder);
      await parent.removeEntry(name).catch(() => undefined);
    }
    for (const folder of this.folders) await this.handle(folder);
    for (const [path, written] of this.written) {
      const [folder, name] = split(path);
      const parent = await this.handle(folder);
      const { own } = written;
      if (own?.file.move) {
        own.content.finish();
        this.made.delete(own);
        await own.file.move(parent, name);
      } else {
        await writeOut(name, written, await parent.getFileHandle(name, { create: true }));
      }
    }
  }

  /** Removes the files that have no name of the job's. */
  private async clear(): Promise<void> {
    for (const { content, file } of this.made) {
      content.finish();
      await this.root.removeEntry(file.name).catch(() => undefined);
    }
    this.made.clear();
    this.letGo();
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
      if (options.truncate) before.resize(0);
      return before;
    }
    if (!this.folders.has(split(path)[0]) || !this.archive) throw new Errno(Errno.NOENT);
    const spare = this.take();
    if (node && !options.truncate) copy(node.content, spare.content);
    const content = new Written(spare, this.archive, () => this.take());
    this.written.set(path, content);
    this.files.set(path, { inode: node?.inode ?? ++this.inodes, content });
    return content;
  }

  /** A file to write to: one that nothing was written to, or that of what is closed, which goes into the archive. */
  private take(): Spare {
    const spare = this.spare.pop();
    if (spare) return spare;
    for (const content of this.written.values()) {
      const freed = content.isOpen ? undefined : content.put();
      if (freed) return freed;
    }
    const message =
      `a job can write ${SPARE_FILES} files of the folder \`${this.name}\` of OPFS at the same time; give it fewer, or ` +
      `several folders`;
    throw new SourceError('too-many-files', message);
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
    this.written.delete(path);
    // A program may go on with what has no name any more.
    const { own } = written;
    if (!own || written.isOpen) return;
    own.content.resize(0);
    this.spare.push(own);
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

/** A file that was made before is called so, with the job's UUID and a number after it. */
const SPARE_PREFIX = '.afmpeg-';
const UUID_LENGTH = 36;

/** The lock that a job holds as long as files of it are there: also between opening and moving them. */
function lockName(job: string): string {
  return `afmpeg-${job}`;
}

/** Takes the lock of a job; a worker that is killed lets go of it. */
function holdLock(job: string): Promise<() => void> {
  return new Promise((held, failed) => {
    navigator.locks.request(lockName(job), () => new Promise<void>((letGo) => held(letGo))).catch(failed);
  });
}

/** Removes a file of a job that was killed. */
async function removeIfAbandoned(folder: DirectoryHandle, name: string): Promise<void> {
  const job = name.slice(SPARE_PREFIX.length, SPARE_PREFIX.length + UUID_LENGTH);
  await navigator.locks.request(lockName(job), { ifAvailable: true }, async (lock) => {
    if (lock) await folder.removeEntry(name).catch(() => undefined);
  });
}

/** Nothing for what another job removed or renamed after it was listed. */
async function unlessGone<T>(found: Promise<T>): Promise<T | undefined> {
  try {
    return await found;
  } catch (error) {
    if (error instanceof DOMException && error.name === 'NotFoundError') return undefined;
    throw error;
  }
}

/** Copies all of a file to a place in another; gives its size. */
function copy(from: Content, to: OpfsContent, start = 0): number {
  const buffer = new Uint8Array(1 << 20);
  const sizeBytes = from.size();
  for (let at = 0; at < sizeBytes;) {
    const count = from.read(buffer, at);
    // Both are read in a worker, where neither has to be waited for.
    if (typeof count !== 'number' || count === 0) throw new Errno(Errno.IO);
    to.write(buffer.subarray(0, count), start + at);
    at += count;
  }
  return sizeBytes;
}

/** For what is in the archive, and engines whose files cannot be moved. */
async function writeOut(name: string, from: Content, to: FileSystemFileHandle): Promise<void> {
  const { content, finish } = await openFile(name, to);
  try {
    content.resize(0);
    copy(from, content);
  } finally {
    finish();
  }
}
