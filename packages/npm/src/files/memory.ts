// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

import { Errno, FileType } from '../wasi/abi.ts';
import { LimitError, UnsupportedError } from '../errors.ts';
import { type Content, type Entry, type FileSystem, type OpenOptions, split, type Stat } from './file-system.ts';

const PIECE_SIZE_BYTES = 1 << 20;
const FIRST_SIZE_BYTES = 1 << 12;

/** What all files in memory of a job may take together. */
export class Room {
  private used = 0;

  constructor(private readonly maxBytes: number) {}

  resize(from: number, to: number): void {
    const used = this.used + to - from;
    if (to > from && used > this.maxBytes) throw new LimitError('filesMaxBytes', this.maxBytes);
    this.used = used;
  }
}

/**
 * A file in memory that grows without being copied: in pieces, of which the first one doubles as long as it is the only
 * one, and those that nothing was written to are not there.
 */
export class MemoryContent implements Content {
  private pieces: (Uint8Array<ArrayBuffer> | undefined)[] = [];
  private length = 0;
  private opened = 0;
  private isUnlinked = false;
  modified = Date.now();

  constructor(private readonly room: Room) {}

  static of(data: Uint8Array, room: Room): MemoryContent {
    const content = new MemoryContent(room);
    content.write(data, 0);
    return content;
  }

  size(): number {
    return this.length;
  }

  read(into: Uint8Array, offset: number): number {
    const end = Math.min(offset + into.byteLength, this.length);
    for (let at = offset; at < end;) {
      const start = at % PIECE_SIZE_BYTES;
      const count = Math.min(PIECE_SIZE_BYTES - start, end - at);
      const target = into.subarray(at - offset, at - offset + count);
      const part = this.pieces[Math.floor(at / PIECE_SIZE_BYTES)]?.subarray(start, start + count);
      if (part) target.set(part);
      target.fill(0, part?.byteLength ?? 0);
      at += count;
    }
    return Math.max(0, end - offset);
  }

  write(data: Uint8Array, offset: number): number {
    const end = offset + data.byteLength;
    if (end > this.length) this.grow(end);
    for (let at = offset; at < end;) {
      const start = at % PIECE_SIZE_BYTES;
      const count = Math.min(PIECE_SIZE_BYTES - start, end - at);
      this.piece(Math.floor(at / PIECE_SIZE_BYTES), start + count).set(
        data.subarray(at - offset, at - offset + count),
        start,
      );
      at += count;
    }
    this.modified = Date.now();
    return data.byteLength;
  }

  open(): void {
    this.opened++;
  }

  close(): void {
    this.opened--;
    this.dropUnlinked();
  }

  /** Its name is gone; its memory goes with the last descriptor. */
  unlink(): void {
    this.isUnlinked = true;
    this.dropUnlinked();
  }

  private dropUnlinked(): void {
    if (this.isUnlinked && this.opened <= 0) this.resize(0);
  }

  private grow(length: number): void {
    this.room.resize(this.length, length);
    this.length = length;
  }

  /** A piece that has at least this size. */
  private piece(index: number, sizeBytes: number): Uint8Array<ArrayBuffer> {
    const old = this.pieces[index];
    if (old && old.byteLength >= sizeBytes) return old;
    const isOnly = index === 0 && this.pieces.length <= 1;
    const doubled = Math.max(FIRST_SIZE_BYTES, 2 * (old?.byteLength ?? 0), sizeBytes);
    const piece = new Uint8Array(isOnly ? Math.min(PIECE_SIZE_BYTES, doubled) : PIECE_SIZE_BYTES);
    if (old) piece.set(old);
    this.pieces[index] = piece;
    return piece;
  }

  resize(length: number): void {
    if (length < this.length) {
      // What is cut off must read as zeros if the file grows again.
      const kept = Math.ceil(length / PIECE_SIZE_BYTES);
      this.pieces.length = Math.min(this.pieces.length, kept);
      this.pieces[kept - 1]?.fill(0, length % PIECE_SIZE_BYTES || PIECE_SIZE_BYTES);
    }
    this.grow(length);
    this.modified = Date.now();
  }

  /**
   * The content as one array, and leaves none here. Each part is let go of when it is copied, as there may be little
   * room.
   */
  take(): Uint8Array<ArrayBuffer> {
    const whole = allocate(this.length);
    for (const [index, piece] of this.pieces.splice(0).entries()) {
      if (!piece) continue;
      whole.set(piece.subarray(0, this.length - index * PIECE_SIZE_BYTES), index * PIECE_SIZE_BYTES);
      detach(piece.buffer);
    }
    this.drop();
    return whole;
  }

  private drop(): void {
    this.pieces = [];
    this.grow(0);
  }
}

function allocate(sizeBytes: number): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(sizeBytes);
  } catch (cause) {
    const message =
      `there is no memory for an output of ${sizeBytes} bytes; have it written to a file: give path(…) or opfs(…) with ` +
      `\`write: true\` under its name`;
    throw new UnsupportedError('no-memory', message, { cause });
  }
}

function detach(buffer: ArrayBuffer): void {
  // Older engines leave it to the garbage collection.
  (buffer as ArrayBuffer & { transfer?(sizeBytes: number): ArrayBuffer }).transfer?.(0);
}

/** Bytes that the caller gave: read where they are, and never changed. */
export class BytesContent implements Content {
  constructor(private readonly data: Uint8Array) {}

  size(): number {
    return this.data.byteLength;
  }

  read(into: Uint8Array, offset: number): number {
    const part = this.data.subarray(Math.min(offset, this.data.byteLength), offset + into.byteLength);
    into.set(part);
    return part.byteLength;
  }

  bytes(): Uint8Array {
    return this.data;
  }
}

class FileNode {
  /** The program has written it. */
  isChanged = false;

  constructor(
    readonly inode: number,
    public content: Content,
  ) {}

  unlink(): void {
    if (this.content instanceof MemoryContent) this.content.unlink();
  }
}

class Folder {
  readonly nodes = new Map<string, FileNode | Folder>();
  /** Another file system, which everything below it lies in. */
  mounted: FileSystem | undefined;
  /** What is directly in it stays as it was given. */
  isReadOnly = false;

  constructor(readonly inode: number) {}

  checkWritable(): void {
    if (this.isReadOnly) throw new Errno(Errno.ROFS);
  }
}

/** More names than any command makes; the bound keeps a hostile guest from costing the host its memory. */
const NAMES_MAX = 100_000;

/** A tree of files in memory and of others, with file systems mounted at some of its folders. */
export class Tree implements FileSystem {
  private inodes = 0;
  private readonly root = new Folder(++this.inodes);
  private readonly created = Date.now();

  constructor(readonly room: Room) {}

  private nextInode(): number {
    if (++this.inodes > NAMES_MAX) throw new LimitError('names', NAMES_MAX);
    return this.inodes;
  }

  /** Puts a file in its place, with the folders that lead to it. */
  add(path: string, content: Content): void {
    const [folder, name] = split(path);
    this.addFolder(folder).nodes.set(name, new FileNode(this.nextInode(), content));
  }

  addFolder(path: string): Folder {
    let folder = this.root;
    for (const part of path.split('/').filter((part) => part !== '')) {
      let next = folder.nodes.get(part);
      if (!(next instanceof Folder)) folder.nodes.set(part, (next = new Folder(this.nextInode())));
      folder = next;
    }
    return folder;
  }

  mount(path: string, fileSystem: FileSystem): void {
    this.addFolder(path).mounted = fileSystem;
  }

  /** The files in memory that the program has written, by path. */
  *changes(folder = this.root, prefix = ''): Generator<[string, MemoryContent]> {
    for (const [name, node] of folder.nodes) {
      if (node instanceof Folder) yield* this.changes(node, `${prefix}${name}/`);
      else if (node.isChanged && node.content instanceof MemoryContent) yield [prefix + name, node.content];
    }
  }

  /** The folder of a path's parts before the last, or the file system that is mounted on the way and the path in it. */
  private walk(path: string): { node: FileNode | Folder | undefined; parent: Folder; name: string } | Mounted {
    const parts = path === '' ? [] : path.split('/');
    let parent = this.root;
    let node: FileNode | Folder | undefined = this.root;
    for (const [index, part] of parts.entries()) {
      if (!node) throw new Errno(Errno.NOENT);
      if (!(node instanceof Folder)) throw new Errno(Errno.NOTDIR);
      if (node.mounted) return { mounted: node.mounted, path: parts.slice(index).join('/') };
      parent = node;
      node = node.nodes.get(part);
    }
    if (node instanceof Folder && node.mounted) return { mounted: node.mounted, path: '' };
    return { node, parent, name: parts.at(-1) ?? '' };
  }

  open(path: string, options: OpenOptions): Content | undefined {
    const at = this.walk(path);
    if ('mounted' in at) return at.mounted.open(at.path, options);
    const { node, parent, name } = at;
    if (!node) {
      if (!options.create) throw new Errno(Errno.NOENT);
      if (options.directory) throw new Errno(Errno.ISDIR);
      parent.checkWritable();
      const file = new FileNode(this.nextInode(), new MemoryContent(this.room));
      file.isChanged = true;
      parent.nodes.set(name, file);
      return file.content;
    }
    if (options.exclusive) throw new Errno(Errno.EXIST);
    if (node instanceof Folder) {
      if (options.write || options.truncate) throw new Errno(Errno.ISDIR);
      return undefined;
    }
    if (options.directory) throw new Errno(Errno.NOTDIR);
    if (options.write || options.truncate) {
      parent.checkWritable();
      this.makeWritable(node, options.truncate);
    }
    return node.content;
  }

  /** What was given is never changed: a program that writes to it gets a file of its own. */
  private makeWritable(node: FileNode, isTruncated: boolean): void {
    if (node.content.write) {
      if (isTruncated) node.content.resize?.(0);
    } else if (isTruncated) {
      node.content = new MemoryContent(this.room);
    } else if (node.content instanceof BytesContent) {
      node.content = MemoryContent.of(node.content.bytes(), this.room);
    } else {
      throw new Errno(Errno.ROFS);
    }
    node.isChanged = true;
  }

  stat(path: string): Stat {
    const at = this.walk(path);
    if ('mounted' in at) return at.mounted.stat(at.path);
    const { node } = at;
    if (!node) throw new Errno(Errno.NOENT);
    const { inode } = node;
    if (node instanceof Folder) return { type: FileType.DIRECTORY, inode, sizeBytes: 0, modified: this.created };
    const { content } = node;
    const type = content.isStream ? FileType.CHARACTER_DEVICE : FileType.REGULAR_FILE;
    return { type, inode, sizeBytes: content.size(), modified: content.modified ?? this.created };
  }

  list(path: string): Entry[] {
    const at = this.walk(path);
    if ('mounted' in at) return at.mounted.list(at.path);
    const { node } = at;
    if (!node) throw new Errno(Errno.NOENT);
    if (!(node instanceof Folder)) throw new Errno(Errno.NOTDIR);
    return [...node.nodes].map(([name, child]) => ({
      name,
      inode: child.inode,
      type: child instanceof Folder ? FileType.DIRECTORY : FileType.REGULAR_FILE,
    }));
  }

  makeDirectory(path: string): void {
    const at = this.walk(path);
    if ('mounted' in at) return at.mounted.makeDirectory(at.path);
    if (at.node) throw new Errno(Errno.EXIST);
    at.parent.checkWritable();
    at.parent.nodes.set(at.name, new Folder(this.nextInode()));
  }

  removeDirectory(path: string): void {
    const at = this.walk(path);
    if ('mounted' in at) return at.mounted.removeDirectory(at.path);
    if (!at.node) throw new Errno(Errno.NOENT);
    if (!(at.node instanceof Folder)) throw new Errno(Errno.NOTDIR);
    if (at.node === this.root) throw new Errno(Errno.INVAL);
    if (at.node.nodes.size > 0) throw new Errno(Errno.NOTEMPTY);
    at.parent.checkWritable();
    at.parent.nodes.delete(at.name);
  }

  unlink(path: string): void {
    const at = this.walk(path);
    if ('mounted' in at) return at.mounted.unlink(at.path);
    if (!at.node) throw new Errno(Errno.NOENT);
    if (at.node instanceof Folder) throw new Errno(Errno.ISDIR);
    at.parent.checkWritable();
    at.parent.nodes.delete(at.name);
    at.node.unlink();
  }

  rename(from: string, to: string): void {
    const [source, target] = [this.walk(from), this.walk(to)];
    if ('mounted' in source || 'mounted' in target) {
      if (!('mounted' in source && 'mounted' in target) || source.mounted !== target.mounted)
        throw new Errno(Errno.XDEV);
      return source.mounted.rename(source.path, target.path);
    }
    if (!source.node) throw new Errno(Errno.NOENT);
    source.parent.checkWritable();
    target.parent.checkWritable();
    if (source.node === this.root || to === from || to.startsWith(`${from}/`)) {
      if (to === from) return;
      throw new Errno(Errno.INVAL);
    }
    if (source.node instanceof Folder) {
      if (target.node && !(target.node instanceof Folder)) throw new Errno(Errno.NOTDIR);
      if (target.node && target.node.nodes.size > 0) throw new Errno(Errno.NOTEMPTY);
      if (holdsMount(source.node)) throw new Errno(Errno.XDEV);
    } else if (target.node instanceof Folder) {
      throw new Errno(Errno.ISDIR);
    } else {
      source.node.isChanged = true;
    }
    source.parent.nodes.delete(source.name);
    if (target.node instanceof FileNode) target.node.unlink();
    target.parent.nodes.set(target.name, source.node);
  }
}

interface Mounted {
  mounted: FileSystem;
  path: string;
}

function holdsMount(folder: Folder): boolean {
  return [...folder.nodes.values()].some(
    (node) => node instanceof Folder && (node.mounted !== undefined || holdsMount(node)),
  );
}
