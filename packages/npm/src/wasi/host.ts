// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

import { LimitError, type Limit, SourceError, UnsupportedError } from '../errors.ts';
import type { Awaitable, Content, Entry, FileSystem, Stat } from '../files/file-system.ts';
import { resolve } from '../files/file-system.ts';
import * as abi from './abi.ts';
import { Errno, EventType, FdFlags, FileType, OpenFlags, Rights, Whence } from './abi.ts';
import { Clock } from './clock.ts';
import { GuestMemory } from './memory.ts';

/** More than any command opens; the bound keeps a hostile guest from costing the host its memory. */
const OPEN_FILES_MAX = 1024;
const SUBSCRIPTIONS_MAX = 4096;

/** Positions up to here are exact in JavaScript's numbers. */
const OFFSET_MAX = BigInt(Number.MAX_SAFE_INTEGER);

/** How the host waits in a guest's sleep, if it can. */
export type Sleep = (milliseconds: number) => Awaitable<void>;

export interface Setup {
  args: string[];
  env: Record<string, string>;
  /** What is there by the names of folders, such as `/`. */
  folders: [name: string, fileSystem: FileSystem][];
  stdin: Content;
  stdout: Content;
  stderr: Content;
  /** Missing where nothing can sleep: time is skipped instead. */
  sleep?: Sleep | undefined;
  memoryMaxBytes: number;
  writtenMaxBytes: number;
  /** Called at every call of the host: it throws what is to end the job. */
  check(): void;
  /** Lets the thread do what else it has to; missing where the engine cannot wait for that. */
  pause?: (() => Promise<void>) | undefined;
}

/** The guest has called proc_exit. */
export class Exit extends Error {
  constructor(readonly code: number) {
    super(`exit ${code}`);
  }
}

interface OpenFile {
  kind: 'file';
  content: Content;
  position: number;
  isReadable: boolean;
  isWritable: boolean;
  flags: number;
}

interface OpenFolder {
  kind: 'folder';
  fileSystem: FileSystem;
  path: string;
  /** The name under which it was given. */
  given?: Uint8Array;
  listing?: { name: Uint8Array; entry: Entry }[];
}

type Descriptor = OpenFile | OpenFolder;

/** The functions that may have to wait, which the engine is told of where it can suspend them. */
export const WAITING = ['clock_time_get', 'fd_read', 'fd_pread', 'fd_write', 'fd_pwrite', 'poll_oneoff'];

/** How long a job computes before its thread may do something else: be ended, or draw a page. */
const PAUSE_EVERY_MS = 40;

const UTF8 = new TextEncoder();

/** WASI preview 1 over file systems and streams: one guest's view of the world. */
export class Host {
  private readonly descriptors: (Descriptor | undefined)[] = [];
  private readonly args: Uint8Array[];
  private readonly env: Uint8Array[];
  private readonly clock = new Clock();
  private guest: GuestMemory | undefined;
  private writtenBytes = 0;
  private pauseAt = performance.now() + PAUSE_EVERY_MS;
  /** The first limit that a call was refused for. */
  exceeded: LimitError | undefined;
  /** The first limit that kept something from being written: what there is of it is not all, whatever the guest says. */
  lost: LimitError | undefined;
  /** The first fault of something that the caller has given. */
  failure: SourceError | UnsupportedError | undefined;

  constructor(private readonly setup: Setup) {
    this.args = setup.args.map((arg) => UTF8.encode(`${arg}\0`));
    this.env = Object.entries(setup.env).map(([name, value]) => UTF8.encode(`${name}=${value}\0`));
    const stream = (content: Content, isReadable: boolean) =>
      this.add({ kind: 'file', content, position: 0, isReadable, isWritable: !isReadable, flags: 0 });
    stream(setup.stdin, true);
    stream(setup.stdout, false);
    stream(setup.stderr, false);
    for (const [name, fileSystem] of setup.folders) {
      this.add({ kind: 'folder', fileSystem, path: '', given: UTF8.encode(name) });
    }
  }

  /** Takes the guest's memory, which is made after what it imports. */
  attach(memory: WebAssembly.Memory): void {
    this.guest = new GuestMemory(memory);
  }

  /** Closes what the guest has left open. */
  close(): void {
    for (const descriptor of this.descriptors) {
      if (descriptor?.kind === 'file') descriptor.content.close?.();
    }
    this.descriptors.length = 0;
  }

  private get memory(): GuestMemory {
    if (!this.guest) throw new Errno(Errno.FAULT);
    return this.guest;
  }

  private add(descriptor: Descriptor): number {
    let number = this.descriptors.findIndex((slot) => slot === undefined);
    if (number < 0) number = this.descriptors.length;
    if (number >= OPEN_FILES_MAX) throw new LimitError('openFiles', OPEN_FILES_MAX);
    this.descriptors[number] = descriptor;
    if (descriptor.kind === 'file') descriptor.content.open?.();
    return number;
  }

  private descriptor(fd: number): Descriptor {
    const descriptor = this.descriptors[fd >>> 0];
    if (!descriptor) throw new Errno(Errno.BADF);
    return descriptor;
  }

  private file(fd: number): OpenFile {
    const descriptor = this.descriptor(fd);
    if (descriptor.kind !== 'file') throw new Errno(Errno.ISDIR);
    return descriptor;
  }

  private folder(fd: number): OpenFolder {
    const descriptor = this.descriptor(fd);
    if (descriptor.kind !== 'folder') throw new Errno(Errno.NOTDIR);
    return descriptor;
  }

  private at(
    fd: number,
    pointer: number,
    length: number,
  ): { fileSystem: FileSystem; path: string; isDirectory: boolean } {
    const folder = this.folder(fd);
    return { fileSystem: folder.fileSystem, ...resolve(folder.path, this.memory.path(pointer, length)) };
  }

  /** The functions that a module imports. Each gives an error number; none of them throws but to end the job. */
  imports(): Record<string, (...args: never[]) => Awaitable<number>> {
    const imports: Record<string, (...args: never[]) => Awaitable<number>> = {};
    for (const [name, call] of Object.entries(this.calls())) {
      const now = (...args: never[]) => this.call(call, args);
      imports[name] = WAITING.includes(name) && this.setup.pause ? this.pausing(now, this.setup.pause) : now;
    }
    return imports;
  }

  private call(call: (...args: never[]) => Awaitable<void>, args: never[]): Awaitable<number> {
    try {
      this.check();
      const result = call.apply(this, args);
      if (!(result instanceof Promise)) return Errno.SUCCESS;
      return result.then(
        () => Errno.SUCCESS,
        (error: unknown) => this.errno(error),
      );
    } catch (error) {
      return this.errno(error);
    }
  }

  private pausing(call: (...args: never[]) => Awaitable<number>, pause: () => Promise<void>) {
    return (...args: never[]): Awaitable<number> => {
      if (performance.now() < this.pauseAt) return call(...args);
      const go = () => {
        this.pauseAt = performance.now() + PAUSE_EVERY_MS;
        return call(...args);
      };
      return pause().then(go);
    };
  }

  private check(): void {
    this.setup.check();
    if (this.guest && this.guest.sizeBytes > this.setup.memoryMaxBytes) {
      throw new Stop(new LimitError('memoryMaxBytes', this.setup.memoryMaxBytes));
    }
  }

  private errno(error: unknown): number {
    if (error instanceof Errno) return error.errno;
    if (error instanceof LimitError) {
      this.exceeded ??= error;
      if (LIMITS_OF_WRITTEN.includes(error.limit)) this.lost ??= error;
      return ERRNO_OF_LIMIT[error.limit];
    }
    if (error instanceof SourceError || error instanceof UnsupportedError) {
      this.failure ??= error;
      return error.code === 'no-space' ? Errno.NOSPC : Errno.IO;
    }
    throw error;
  }

  // biome-ignore format: one line a call
  private calls(): Record<string, (...args: never[]) => Awaitable<void>> {
    return {
      args_get: (pointers: number, bytes: number) => this.writeStrings(this.args, pointers, bytes),
      args_sizes_get: (count: number, size: number) => this.writeSizes(this.args, count, size),
      environ_get: (pointers: number, bytes: number) => this.writeStrings(this.env, pointers, bytes),
      environ_sizes_get: (count: number, size: number) => this.writeSizes(this.env, count, size),
      clock_res_get: (id: number, resolution: number) => {
        this.clock.nanoseconds(id);
        this.memory.writeU64(resolution, 1000);
      },
      clock_time_get: (id: number, _precision: bigint, time: number) =>
        this.memory.writeU64(time, this.clock.nanoseconds(id)),
      fd_advise: (fd: number) => void this.file(fd),
      fd_allocate: () => refuse(Errno.NOTSUP),
      fd_close: this.fdClose,
      fd_datasync: (fd: number) => void this.descriptor(fd),
      fd_fdstat_get: this.fdStatGet,
      fd_fdstat_set_flags: this.fdStatSetFlags,
      fd_fdstat_set_rights: (fd: number) => void this.descriptor(fd),
      fd_filestat_get: this.fdFilestatGet,
      fd_filestat_set_size: this.fdFilestatSetSize,
      fd_filestat_set_times: (fd: number) => void this.descriptor(fd),
      fd_pread: (fd: number, buffers: number, count: number, offset: bigint, read: number) =>
        this.read(this.file(fd), buffers, count, toOffset(offset), read),
      fd_prestat_get: this.fdPrestatGet,
      fd_prestat_dir_name: this.fdPrestatDirName,
      fd_pwrite: (fd: number, buffers: number, count: number, offset: bigint, written: number) =>
        this.write(this.file(fd), buffers, count, toOffset(offset), written),
      fd_read: (fd: number, buffers: number, count: number, read: number) =>
        this.read(this.file(fd), buffers, count, undefined, read),
      fd_readdir: this.fdReaddir,
      fd_renumber: this.fdRenumber,
      fd_seek: this.fdSeek,
      fd_sync: (fd: number) => void this.descriptor(fd),
      fd_tell: (fd: number, position: number) => this.fdSeek(fd, 0n, Whence.CURRENT, position),
      fd_write: (fd: number, buffers: number, count: number, written: number) =>
        this.write(this.file(fd), buffers, count, undefined, written),
      path_create_directory: (fd: number, path: number, length: number) => {
        const at = this.at(fd, path, length);
        at.fileSystem.makeDirectory(at.path);
      },
      path_filestat_get: (fd: number, _flags: number, path: number, length: number, stat: number) => {
        const at = this.at(fd, path, length);
        const found = at.fileSystem.stat(at.path);
        if (at.isDirectory && found.type !== FileType.DIRECTORY) throw new Errno(Errno.NOTDIR);
        this.writeStat(stat, found);
      },
      path_filestat_set_times: () => undefined,
      path_link: () => refuse(Errno.NOTSUP),
      path_open: this.pathOpen,
      path_readlink: () => refuse(Errno.INVAL),
      path_remove_directory: (fd: number, path: number, length: number) => {
        const at = this.at(fd, path, length);
        at.fileSystem.removeDirectory(at.path);
      },
      path_rename: (fd: number, from: number, fromLength: number, fd2: number, to: number, toLength: number) => {
        const [source, target] = [this.at(fd, from, fromLength), this.at(fd2, to, toLength)];
        if (source.fileSystem !== target.fileSystem) throw new Errno(Errno.XDEV);
        source.fileSystem.rename(source.path, target.path);
      },
      path_symlink: () => refuse(Errno.NOTSUP),
      path_unlink_file: (fd: number, path: number, length: number) => {
        const at = this.at(fd, path, length);
        if (at.isDirectory) throw new Errno(Errno.ISDIR);
        at.fileSystem.unlink(at.path);
      },
      poll_oneoff: this.pollOneoff,
      proc_exit: (code: number) => {
        throw new Exit(code >>> 0);
      },
      proc_raise: () => refuse(Errno.NOTSUP),
      random_get: this.randomGet,
      sched_yield: () => undefined,
      sock_accept: () => refuse(Errno.NOTSUP),
      sock_recv: () => refuse(Errno.NOTSUP),
      sock_send: () => refuse(Errno.NOTSUP),
      sock_shutdown: () => refuse(Errno.NOTSUP),
    };
  }

  private writeStrings(strings: Uint8Array[], pointers: number, bytes: number): void {
    let at = bytes >>> 0;
    for (const [index, string] of strings.entries()) {
      this.memory.writeU32((pointers >>> 0) + 4 * index, at);
      this.memory.bytes(at, string.byteLength).set(string);
      at += string.byteLength;
    }
  }

  private writeSizes(strings: Uint8Array[], count: number, size: number): void {
    this.memory.writeU32(count, strings.length);
    this.memory.writeU32(
      size,
      strings.reduce((sum, string) => sum + string.byteLength, 0),
    );
  }

  private fdClose(fd: number): void {
    const descriptor = this.descriptor(fd);
    this.descriptors[fd >>> 0] = undefined;
    if (descriptor.kind === 'file') descriptor.content.close?.();
  }

  private fdRenumber(from: number, to: number): void {
    const descriptor = this.descriptor(from);
    this.descriptor(to);
    if (from === to) return;
    this.fdClose(to);
    this.descriptors[to >>> 0] = descriptor;
    this.descriptors[from >>> 0] = undefined;
  }

  private fdStatGet(fd: number, stat: number): void {
    const descriptor = this.descriptor(fd);
    this.memory.bytes(stat, 24).fill(0);
    const isFile = descriptor.kind === 'file';
    this.memory.writeU8(stat, isFile ? typeOf(descriptor.content) : FileType.DIRECTORY);
    this.memory.writeU16(stat + 2, isFile ? descriptor.flags : 0);
    // A stream that seemed to be able to seek would be sought in.
    const rights = isFile && descriptor.content.isStream ? Rights.FD_READ | Rights.FD_WRITE : Rights.ALL;
    this.memory.writeU64(stat + 8, rights);
    this.memory.writeU64(stat + 16, Rights.ALL);
  }

  private fdStatSetFlags(fd: number, flags: number): void {
    if (flags & ~FdFlags.ALL) throw new Errno(Errno.INVAL);
    this.file(fd).flags = flags;
  }

  private fdFilestatGet(fd: number, stat: number): void {
    const descriptor = this.descriptor(fd);
    if (descriptor.kind === 'folder') return this.writeStat(stat, descriptor.fileSystem.stat(descriptor.path));
    const { content } = descriptor;
    const sizeBytes = content.size();
    this.writeStat(stat, { type: typeOf(content), inode: 0, sizeBytes, modified: content.modified ?? 0 });
  }

  private writeStat(pointer: number, { type, inode, sizeBytes, modified }: Stat): void {
    this.memory.bytes(pointer, 64).fill(0);
    this.memory.writeU64(pointer + 8, inode);
    this.memory.writeU8(pointer + 16, type);
    this.memory.writeU64(pointer + 24, 1);
    this.memory.writeU64(pointer + 32, sizeBytes);
    for (const field of [40, 48, 56]) this.memory.writeU64(pointer + field, BigInt(Math.round(modified)) * 1_000_000n);
  }

  private fdFilestatSetSize(fd: number, size: bigint): void {
    const file = this.file(fd);
    if (!file.isWritable || !file.content.resize) throw new Errno(Errno.INVAL);
    const sizeBytes = toOffset(size);
    this.countWritten(Math.max(0, sizeBytes - file.content.size()));
    file.content.resize(sizeBytes);
  }

  private countWritten(bytes: number): void {
    if (this.writtenBytes + bytes > this.setup.writtenMaxBytes) {
      throw new LimitError('writtenMaxBytes', this.setup.writtenMaxBytes);
    }
    this.writtenBytes += bytes;
  }

  private fdPrestatGet(fd: number, prestat: number): void {
    const folder = this.descriptor(fd);
    if (folder.kind !== 'folder' || !folder.given) throw new Errno(Errno.BADF);
    this.memory.writeU32(prestat, 0);
    this.memory.writeU32(prestat + 4, folder.given.byteLength);
  }

  private fdPrestatDirName(fd: number, name: number, length: number): void {
    const folder = this.descriptor(fd);
    if (folder.kind !== 'folder' || !folder.given) throw new Errno(Errno.BADF);
    if (length >>> 0 < folder.given.byteLength) throw new Errno(Errno.NAMETOOLONG);
    this.memory.bytes(name, folder.given.byteLength).set(folder.given);
  }

  private fdReaddir(fd: number, pointer: number, length: number, cookie: bigint, used: number): void {
    const folder = this.folder(fd);
    const buffer = this.memory.bytes(pointer, length);
    if (cookie === 0n || !folder.listing) {
      const entries = folder.fileSystem.list(folder.path);
      folder.listing = entries.map((entry) => ({ name: UTF8.encode(entry.name), entry }));
    }
    let at = 0;
    const first = BigInt.asUintN(64, cookie);
    const from = first > BigInt(folder.listing.length) ? folder.listing.length : Number(first);
    for (const [index, { name, entry }] of folder.listing.slice(from).entries()) {
      const record = new Uint8Array(24 + name.byteLength);
      const view = new DataView(record.buffer);
      view.setBigUint64(0, BigInt(from + index + 1), true);
      view.setBigUint64(8, BigInt(entry.inode), true);
      view.setUint32(16, name.byteLength, true);
      view.setUint8(20, entry.type);
      record.set(name, 24);
      // A record that is cut short tells the guest to ask for more.
      const part = record.subarray(0, buffer.byteLength - at);
      buffer.set(part, at);
      at += part.byteLength;
      if (at === buffer.byteLength) break;
    }
    this.memory.writeU32(used, at);
  }

  private fdSeek(fd: number, offset: bigint, whence: number, result: number): void {
    const file = this.file(fd);
    if (file.content.isStream) throw new Errno(Errno.SPIPE);
    const bases = { [Whence.SET]: 0, [Whence.CURRENT]: file.position, [Whence.END]: file.content.size() };
    const base = bases[whence as keyof typeof bases];
    if (base === undefined) throw new Errno(Errno.INVAL);
    const position = BigInt(base) + offset;
    if (position < 0n || position > OFFSET_MAX) throw new Errno(Errno.INVAL);
    this.memory.writeU64(result, position);
    file.position = Number(position);
  }

  private pathOpen(
    fd: number,
    _lookup: number,
    path: number,
    length: number,
    flags: number,
    rights: bigint,
    _inheriting: bigint,
    fdFlags: number,
    opened: number,
  ): void {
    if (flags & ~OpenFlags.ALL || fdFlags & ~FdFlags.ALL) throw new Errno(Errno.INVAL);
    this.memory.bytes(opened, 4);
    const at = this.at(fd, path, length);
    const options = {
      read: (rights & Rights.FD_READ) !== 0n,
      write: (rights & Rights.FD_WRITE) !== 0n,
      create: (flags & OpenFlags.CREATE) !== 0,
      exclusive: (flags & OpenFlags.CREATE) !== 0 && (flags & OpenFlags.EXCLUSIVE) !== 0,
      truncate: (flags & OpenFlags.TRUNCATE) !== 0,
      directory: at.isDirectory || (flags & OpenFlags.DIRECTORY) !== 0,
    };
    if (this.descriptors.filter((slot) => slot).length >= OPEN_FILES_MAX)
      throw new LimitError('openFiles', OPEN_FILES_MAX);
    const content = at.fileSystem.open(at.path, options);
    const number = this.add(
      content
        ? { kind: 'file', content, position: 0, isReadable: options.read, isWritable: options.write, flags: fdFlags }
        : { kind: 'folder', fileSystem: at.fileSystem, path: at.path },
    );
    this.memory.writeU32(opened, number);
  }

  private read(
    file: OpenFile,
    buffers: number,
    count: number,
    offset: number | undefined,
    read: number,
  ): Awaitable<void> {
    const parts = this.memory.buffers(buffers, count);
    this.memory.writeU32(read, 0);
    if (!file.isReadable) throw new Errno(Errno.BADF);
    if (offset !== undefined && file.content.isStream) throw new Errno(Errno.SPIPE);
    const start = offset ?? file.position;
    let total = 0;
    const finish = () => {
      if (offset === undefined) file.position = start + total;
      this.memory.writeU32(read, total);
    };
    for (const part of parts) {
      const result = this.attempt(total, () =>
        file.content.read(this.memory.bytes(part.pointer, part.length), start + total),
      );
      if (result instanceof Promise) {
        return result.then((more) => {
          total += Math.min(more, part.length);
          finish();
        });
      }
      total += Math.min(result, part.length);
      if (result < part.length || file.content.isStream) break;
    }
    finish();
  }

  /** Bytes that were moved before must be told of; what went wrong then occurs again. */
  private attempt(total: number, call: () => Awaitable<number>): Awaitable<number> {
    try {
      return call();
    } catch (error) {
      if (total > 0 && error instanceof Errno) return 0;
      throw error;
    }
  }

  private write(
    file: OpenFile,
    buffers: number,
    count: number,
    offset: number | undefined,
    result: number,
  ): Awaitable<void> {
    const parts = this.memory.buffers(buffers, count);
    this.memory.writeU32(result, 0);
    const { content } = file;
    if (!file.isWritable || !content.write) throw new Errno(Errno.BADF);
    if (offset !== undefined && content.isStream) throw new Errno(Errno.SPIPE);
    const isAppended = (file.flags & FdFlags.APPEND) !== 0 && !content.isStream;
    const start = isAppended ? content.size() : (offset ?? file.position);
    const hole = content.isStream ? 0 : Math.max(0, start - content.size());
    if (start + hole > Number.MAX_SAFE_INTEGER) throw new Errno(Errno.FBIG);
    let total = 0;
    const finish = () => {
      if (offset === undefined) file.position = start + total;
      this.memory.writeU32(result, total);
    };
    for (const [index, part] of parts.entries()) {
      this.countWritten(part.length + (index === 0 ? hole : 0));
      const data = this.memory.bytes(part.pointer, part.length);
      const done = this.attempt(total, () => content.write?.(data, start + total) ?? 0);
      if (done instanceof Promise) {
        return done.then((more) => {
          total += Math.min(more, part.length);
          finish();
        });
      }
      total += Math.min(done, part.length);
      if (done < part.length) break;
    }
    finish();
  }

  private pollOneoff(subscriptions: number, events: number, count: number, happened: number): Awaitable<void> {
    const number = count >>> 0;
    if (number === 0 || number > SUBSCRIPTIONS_MAX) throw new Errno(Errno.INVAL);
    this.memory.bytes(subscriptions, number * abi.SUBSCRIPTION_SIZE_BYTES);
    this.memory.bytes(events, number * abi.EVENT_SIZE_BYTES);
    this.memory.bytes(happened, 4);
    const wanted = Array.from({ length: number }, (_, index) =>
      this.subscription((subscriptions >>> 0) + index * abi.SUBSCRIPTION_SIZE_BYTES),
    );
    // A stream that cannot tell counts as ready at any time: what is read from it waits then.
    const now = this.clock.monotonic();
    const first = Math.min(...wanted.map(({ wakeAt, awaited }) => wakeAt ?? (awaited ? Infinity : 0)));
    const answer = (isReady = false) => {
      const time = Math.max(this.clock.monotonic(), isReady ? 0 : first);
      let written = 0;
      for (const { userData, type, wakeAt, awaited, errno } of wanted) {
        if ((wakeAt !== undefined && wakeAt > time) || (awaited && !isReady)) continue;
        const event = (events >>> 0) + written++ * abi.EVENT_SIZE_BYTES;
        this.memory.bytes(event, abi.EVENT_SIZE_BYTES).fill(0);
        this.memory.writeU64(event, userData);
        this.memory.writeU16(event + 8, errno);
        this.memory.writeU8(event + 10, type);
        if (type !== EventType.CLOCK) this.memory.writeU64(event + 16, 1);
      }
      this.memory.writeU32(happened, written);
    };
    // Only standard input is such a stream.
    const awaited = wanted.find((one) => one.awaited)?.awaited;
    if (awaited) {
      const isReady = awaited(first === Infinity ? undefined : Math.max(0, first - now));
      return isReady instanceof Promise ? isReady.then(answer) : answer(isReady);
    }
    if (first <= now) return answer();
    if (!this.setup.sleep) {
      this.clock.skipTo(first);
      return answer();
    }
    const slept = this.setup.sleep(first - now);
    return slept instanceof Promise ? slept.then(() => answer()) : answer();
  }

  private subscription(at: number): Subscription {
    const userData = this.memory.readU64(at);
    const type = this.memory.readU8(at + 8);
    if (type === EventType.FD_READ || type === EventType.FD_WRITE) {
      const descriptor = this.descriptors[this.memory.readU32(at + 16)];
      const content = type === EventType.FD_READ && descriptor?.kind === 'file' ? descriptor.content : undefined;
      const awaited = content?.isReady?.bind(content);
      return { userData, type, wakeAt: undefined, awaited, errno: descriptor ? Errno.SUCCESS : Errno.BADF };
    }
    if (type !== EventType.CLOCK) throw new Errno(Errno.INVAL);
    const id = this.memory.readU32(at + 16);
    const timeout = this.memory.readU64(at + 24);
    const isAbsolute = (this.memory.readU16(at + 40) & 1) !== 0;
    const left = isAbsolute ? timeout - this.clock.nanoseconds(id) : timeout;
    const milliseconds = left > 0n ? Number(left) / 1e6 : 0;
    const wakeAt = this.clock.monotonic() + milliseconds;
    return { userData, type, wakeAt, awaited: undefined, errno: Errno.SUCCESS };
  }

  private randomGet(pointer: number, length: number): void {
    const buffer = this.memory.bytes(pointer, length);
    const MOST_AT_ONCE = 65536;
    for (let at = 0; at < buffer.byteLength; at += MOST_AT_ONCE) {
      crypto.getRandomValues(buffer.subarray(at, at + MOST_AT_ONCE));
    }
  }
}

/** What a guest waits for. */
interface Subscription {
  userData: bigint;
  type: number;
  wakeAt: number | undefined;
  awaited: ((milliseconds: number | undefined) => Awaitable<boolean>) | undefined;
  errno: number;
}

/** Ends the job with an error. */
export class Stop extends Error {
  constructor(readonly error: Error) {
    super(error.message);
  }
}

const LIMITS_OF_WRITTEN: readonly Limit[] = ['writtenMaxBytes', 'filesMaxBytes', 'stdoutMaxBytes'];

const ERRNO_OF_LIMIT: Record<Limit, number> = {
  memoryMaxBytes: Errno.NOSPC,
  writtenMaxBytes: Errno.DQUOT,
  filesMaxBytes: Errno.NOSPC,
  stdoutMaxBytes: Errno.NOSPC,
  names: Errno.DQUOT,
  openFiles: Errno.MFILE,
};

function refuse(errno: number): never {
  throw new Errno(errno);
}

function toOffset(value: bigint): number {
  if (value < 0n || value > OFFSET_MAX) throw new Errno(Errno.INVAL);
  return Number(value);
}

function typeOf(content: Content): FileType {
  return content.isStream ? FileType.CHARACTER_DEVICE : FileType.REGULAR_FILE;
}
