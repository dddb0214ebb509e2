// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// Where the output lies, and what has another name until it is whole.

import { local } from '#platform';
import { split } from '../files/file-system.ts';
import { checkName, type Files, type FileSource, folder, InOpfs, OnMachine, path, type RandomAccess } from '../given.ts';
import type { Output } from '../output.ts';
import { EXISTS, isThere, NOWHERE, type Place, type Target, type WrittenFiles } from './place.ts';
import { partialOf, type Plan } from './plan.ts';
import { MachineTarget } from './target-machine.ts';
import { OpfsTarget } from './target-opfs.ts';
import { Whole } from './whole.ts';
import type { Words } from './words.ts';

/** Files under the names that jobs find them by. */
export function normalized(files: Files): Files {
  return Object.fromEntries(Object.entries(files).map(([name, source]) => [checkName(name), source]));
}

/** What jobs find that only read. A single file that may be written is there only if it is the input. */
export function readOnly(files: Files, input: string): Files {
  const found = new Map<string, FileSource>();
  for (const [name, source] of Object.entries(files)) {
    if (source instanceof OnMachine) {
      if (source.kind === 'folder') found.set(name, folder(source.path));
      else if (source.access.write !== true || name === plain(input)) found.set(name, path(source.path));
    } else if (source instanceof InOpfs) {
      found.set(name, source.handle);
    } else if (isRandomAccess(source)) {
      found.set(name, { size: source.size, read: (offset, length) => source.read(offset, length) });
    } else {
      found.set(name, source);
    }
  }
  return Object.fromEntries(found);
}

function isRandomAccess(source: FileSource): source is RandomAccess {
  // What is none is told of where it is given to a job.
  return typeof source === 'object' && source !== null && 'read' in source;
}

/** A path of a command as the name of a file. */
function plain(path: string): string | undefined {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  return parts.length === 0 || parts.includes('..') || /^[A-Za-z][\w+.-]*:/.test(path) ? undefined : parts.join('/');
}

/** Finds the place of a plan's output. Throws {@link Whole} where it is for ffmpeg to decide about it. */
export async function targetOf(plan: Plan, { mayOverwrite, input }: Words, files: Files): Promise<Target> {
  const [output, partial] = [plain(plan.output), plain(plan.partial)];
  if (output === undefined || partial === undefined) throw new Whole('the output is no file of the job');
  // One job says so.
  if (output === plain(input)) throw new Whole('the output is one of the inputs');
  if (Object.hasOwn(files, partial)) throw new Whole(isThere(plan));
  const place = { plan, mayOverwrite, output, partial };
  if (Object.hasOwn(files, output)) return single(place, files);
  const names = Object.keys(files).filter((name) => output.startsWith(`${name}/`));
  const [name = ''] = names.sort((one, other) => other.length - one.length);
  const found = files[name];
  const below = { ...place, output: output.slice(name.length + 1), partial: partial.slice(name.length + 1) };
  if (found instanceof OnMachine && found.kind === 'folder' && found.access.write) {
    return new MachineTarget(below, local().folder(name, found.path, true), files, { [name]: folder(found.path) });
  }
  if (found instanceof InOpfs && found.handle.kind === 'directory' && found.access.write) {
    return OpfsTarget.below(below, found.handle as FileSystemDirectoryHandle, partial, files);
  }
  if (found !== undefined) throw new Whole('the output lies in what is only read');
  const [parent] = split(output);
  if (parent !== '' && !Object.keys(files).some((name) => name.startsWith(`${parent}/`))) throw new Whole(NOWHERE);
  return new MemoryTarget(place, files);
}

/** The place of an output that is one of the files. */
async function single(place: Place, files: Files): Promise<Target> {
  const { [place.output]: source, ...others } = files;
  if (source instanceof Uint8Array || source instanceof ArrayBuffer) {
    if (!place.mayOverwrite) throw new Whole(EXISTS);
    return new MemoryTarget(place, files);
  }
  if (place.plan.isPlaylist) throw new Whole('a playlist has several files: give the folder for them');
  if (source instanceof OnMachine && source.kind === 'path' && source.access.write) {
    const [parent, output] = local().locate(source.path);
    const inParent = { ...place, output, partial: partialOf(output) ?? `${output}.partial` };
    const written = `${parent}/${inParent.partial}`;
    const found = { ...others, [place.partial]: path(written, { write: true }) };
    const read = { [place.partial]: path(written) };
    return new MachineTarget(inParent, local().folder(place.output, parent, true), found, read);
  }
  if (source instanceof InOpfs && source.handle.kind === 'file' && source.access.write) {
    return OpfsTarget.ofFile(place, source.handle as FileSystemFileHandle, others);
  }
  const isOwn = source !== undefined && isRandomAccess(source) && source.write !== undefined;
  throw new Whole(isOwn ? "the output is written by the caller's own code" : 'the output is a file that is only read');
}

class MemoryTarget implements Target {
  constructor(
    private readonly place: Place,
    readonly files: Files,
  ) {}

  async written({ files }: Output): Promise<Files> {
    const data = files[this.place.partial];
    return data === undefined ? {} : { [this.place.partial]: data };
  }

  async finish({ files }: Output): Promise<WrittenFiles> {
    const { output, partial } = this.place;
    return Object.fromEntries(Object.entries(files).map(([name, data]) => [name === partial ? output : name, data]));
  }

  async discard(): Promise<void> {}
}
