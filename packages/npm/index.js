// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// FFmpeg's own ffmpeg and ffprobe on files in memory, in node and in browsers.
import { ConsoleStdout, Directory, File, OpenFile, PreopenDirectory, WASI } from '@bjorn3/browser_wasi_shim';

/** A file that grows by doubling: the library's own is copied whole with each write to its end. */
class GrowingFile extends File {
  get data() {
    return this.bytes.subarray(0, this.length);
  }

  set data(bytes) {
    this.bytes = bytes;
    this.length = bytes.byteLength;
  }

  write(data, position) {
    const end = position + data.byteLength;
    if (end > this.bytes.byteLength) {
      const bytes = new Uint8Array(Math.max(end, 2 * this.bytes.byteLength));
      bytes.set(this.data);
      this.bytes = bytes;
    }
    // What lies between the old end and the new part is a hole, whatever was there before the file was cut.
    if (position > this.length) this.bytes.fill(0, this.length, position);
    this.bytes.set(data, position);
    this.length = Math.max(this.length, end);
    this.changed = true;
  }

  path_open(oflags, rights, flags) {
    const result = super.path_open(oflags, rights, flags);
    if (result.fd_obj) Object.setPrototypeOf(result.fd_obj, OpenGrowingFile.prototype);
    return result;
  }
}

class OpenGrowingFile extends OpenFile {
  fd_write(data) {
    this.file.write(data, Number(this.file_pos));
    this.file_pos += BigInt(data.byteLength);
    return { ret: 0, nwritten: data.byteLength };
  }
}

class GrowingDirectory extends Directory {
  create_entry_for_path(path, isDirectory) {
    const result = super.create_entry_for_path(path, isDirectory);
    const { entry } = result;
    if (entry && isDirectory) {
      Object.setPrototypeOf(entry, GrowingDirectory.prototype);
    } else if (entry) {
      const { data } = entry;
      delete entry.data;
      Object.setPrototypeOf(entry, GrowingFile.prototype);
      entry.data = data;
      entry.changed = true;
    }
    return result;
  }
}

let compiled;

async function compile() {
  const url = new URL('./module.wasm.gz', import.meta.url);
  const packed =
    url.protocol === 'file:' ? await (await import('node:fs/promises')).readFile(url) : await (await fetch(url)).blob();
  const bytes = new Blob([packed]).stream().pipeThrough(new DecompressionStream('gzip'));
  return WebAssembly.compile(await new Response(bytes).arrayBuffer());
}

function place(root, name, data) {
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  if (name.startsWith('/') || parts.length === 0 || parts.includes('..')) {
    throw new TypeError(`\`${name}\` is not the name of a file below the job's folder`);
  }
  const last = parts.pop();
  let folder = root;
  for (const part of parts) {
    if (!folder.contents.has(part)) folder.contents.set(part, new GrowingDirectory(new Map()));
    folder = folder.contents.get(part);
  }
  folder.contents.set(last, new GrowingFile(data));
}

function* changes(folder, prefix) {
  for (const [name, entry] of folder.contents) {
    if (entry instanceof Directory) yield* changes(entry, `${prefix}${name}/`);
    else if (entry.changed) yield [prefix + name, entry.data];
  }
}

function folder(name, files) {
  const root = new GrowingDirectory(new Map());
  for (const [path, data] of Object.entries(files)) place(root, path, data);
  const preopened = new PreopenDirectory(name, root.contents);
  preopened.dir = root;
  return preopened;
}

async function run(program, args, files = {}, { fonts } = {}) {
  compiled ??= compile();
  const module = await compiled.catch((error) => {
    compiled = undefined;
    throw error;
  });
  const folders = [folder('.', files)];
  if (fonts) {
    if (Object.keys(fonts).length === 0) throw new TypeError('`fonts` has no fonts');
    folders.push(folder('/usr/share/fonts', fonts));
  }
  const stdout = [];
  const stderr = [];
  const input = new OpenFile(new File(new Uint8Array()));
  const streams = [input, new ConsoleStdout((data) => stdout.push(data)), new ConsoleStdout((data) => stderr.push(data))];
  const wasi = new WASI([program, ...args], [], [...streams, ...folders], { debug: false });
  const instance = await WebAssembly.instantiate(module, { wasi_snapshot_preview1: wasi.wasiImport });
  const exitCode = wasi.start(instance);
  return {
    exitCode,
    stdout: new Uint8Array(await new Blob(stdout).arrayBuffer()),
    stderr: await new Blob(stderr).text(),
    files: Object.fromEntries(changes(folders[0].dir, '')),
  };
}

export const ffmpeg = (args, files, options) => run('ffmpeg', ['-nostdin', ...args], files, options);
export const ffprobe = (args, files, options) => run('ffprobe', args, files, options);
