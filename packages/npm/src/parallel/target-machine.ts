// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

import type { FileSystem } from '../files/file-system.ts';
import type { Files } from '../given.ts';
import type { Output } from '../output.ts';
import { Errno, FileType } from '../wasi/abi.ts';
import { EXISTS, isThere, NO_FILE, NOWHERE, type Place, type Target, unwritable, type WrittenFiles } from './place.ts';
import { Whole } from './whole.ts';

/** A folder of the machine, which this thread can change. */
export class MachineTarget implements Target {
  constructor(
    private readonly place: Place,
    private readonly folder: FileSystem,
    readonly files: Files,
    private readonly read: Files,
  ) {
    const { plan, mayOverwrite, output, partial } = place;
    const type = this.type(output);
    if (type !== undefined && !mayOverwrite) throw new Whole(EXISTS);
    if (type !== undefined && type !== FileType.REGULAR_FILE) throw new Whole(NO_FILE);
    // That it can be written is found now rather than after all is encoded.
    try {
      const options = { read: true, write: true, create: true, exclusive: true, truncate: false, directory: false };
      folder.open(partial, options)?.close?.();
    } catch (cause) {
      if (cause instanceof Errno && cause.errno === Errno.EXIST) throw new Whole(isThere(plan));
      if (cause instanceof Errno && cause.errno === Errno.NOENT) throw new Whole(NOWHERE);
      throw unwritable(plan, cause);
    }
  }

  /** The kind of what has a name, or nothing. */
  private type(name: string): FileType | undefined {
    try {
      return this.folder.stat(name).type;
    } catch (error) {
      if (error instanceof Errno && error.errno === Errno.LOOP) throw new Whole(NO_FILE);
      return undefined;
    }
  }

  async written(): Promise<Files> {
    return this.read;
  }

  async finish({ files }: Output): Promise<WrittenFiles> {
    try {
      this.folder.rename(this.place.partial, this.place.output);
    } catch (cause) {
      throw unwritable(this.place.plan, cause);
    }
    return files;
  }

  async discard(): Promise<void> {
    try {
      this.folder.unlink(this.place.partial);
    } catch {
      // It is gone.
    }
  }
}
