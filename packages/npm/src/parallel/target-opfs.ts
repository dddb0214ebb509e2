// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

import { split } from '../files/file-system.ts';
import { type Files, opfs } from '../given.ts';
import type { Output } from '../output.ts';
import { EXISTS, isThere, NO_FILE, NOWHERE, type Place, type Target, unwritable, type WrittenFiles } from './place.ts';
import { partialOf } from './plan.ts';
import { Whole } from './whole.ts';

type Movable = FileSystemFileHandle & {
  move?(folder: FileSystemDirectoryHandle, name: string): Promise<void>;
};

/** How often it is tried to remove a file that an ended worker may still have open, and how long it takes between. */
const REMOVALS_MAX = 100;
const REMOVAL_MILLISECONDS = 50;

/** A folder of the origin private file system. */
export class OpfsTarget implements Target {
  private constructor(
    private readonly place: Place,
    private readonly parent: FileSystemDirectoryHandle,
    /** What jobs call what is not whole. */
    private readonly name: string,
    readonly files: Files,
  ) {}

  /** A file in a folder that the job has. */
  static async below(place: Place, root: FileSystemDirectoryHandle, name: string, files: Files): Promise<OpfsTarget> {
    const [between, output] = split(place.output);
    const parent = await folderBelow(root, between === '' ? [] : between.split('/'));
    const inParent = { ...place, output, partial: split(place.partial)[1] };
    await make(inParent, parent);
    return new OpfsTarget(inParent, parent, name, files);
  }

  /** A single file, of which the storage tells the folder. */
  static async ofFile(place: Place, file: FileSystemFileHandle, others: Files): Promise<OpfsTarget> {
    const root = await navigator.storage.getDirectory();
    const parts = await root.resolve(file);
    const output = parts?.pop();
    if (!parts || output === undefined) throw new Whole('the output is no file of OPFS');
    const parent = await folderBelow(root, parts);
    const inParent = { ...place, output, partial: partialOf(output) ?? `${output}.partial` };
    const handle = await make(inParent, parent);
    const files = { ...others, [place.partial]: opfs(handle, { write: true }) };
    return new OpfsTarget(inParent, parent, place.partial, files);
  }

  async written(): Promise<Files> {
    return { [this.name]: await this.parent.getFileHandle(this.place.partial) };
  }

  async finish({ files }: Output): Promise<WrittenFiles> {
    const { plan, output, partial } = this.place;
    try {
      const handle: Movable = await this.parent.getFileHandle(partial);
      if (handle.move) {
        await handle.move(this.parent, output);
      } else {
        // What is written becomes the file's content when all of it is.
        const target = await this.parent.getFileHandle(output, { create: true });
        await (await handle.getFile()).stream().pipeTo(await target.createWritable());
        await this.parent.removeEntry(partial);
      }
    } catch (cause) {
      throw unwritable(plan, cause);
    }
    return files;
  }

  async discard(): Promise<void> {
    // The caller does not wait for the worker to let go of it.
    void this.remove();
  }

  private async remove(): Promise<void> {
    for (let count = 0; count < REMOVALS_MAX; count++) {
      try {
        await this.parent.removeEntry(this.place.partial);
        return;
      } catch (error) {
        if (isNotFound(error)) return;
        await new Promise((resolve) => setTimeout(resolve, REMOVAL_MILLISECONDS));
      }
    }
  }
}

/** Makes the file for what is not whole. */
async function make(place: Place, parent: FileSystemDirectoryHandle): Promise<FileSystemFileHandle> {
  const { plan, mayOverwrite, output, partial } = place;
  if (await exists(parent, partial)) throw new Whole(isThere(plan));
  if ((await exists(parent, output)) && !mayOverwrite) throw new Whole(EXISTS);
  try {
    return await parent.getFileHandle(partial, { create: true });
  } catch (cause) {
    throw unwritable(plan, cause);
  }
}

async function exists(parent: FileSystemDirectoryHandle, name: string): Promise<boolean> {
  try {
    await parent.getFileHandle(name);
    return true;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw new Whole(NO_FILE);
  }
}

async function folderBelow(root: FileSystemDirectoryHandle, parts: string[]): Promise<FileSystemDirectoryHandle> {
  let folder = root;
  try {
    for (const part of parts) folder = await folder.getDirectoryHandle(part);
  } catch {
    throw new Whole(NOWHERE);
  }
  return folder;
}

function isNotFound(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'NotFoundError';
}
