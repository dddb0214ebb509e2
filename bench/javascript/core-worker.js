// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// A classic worker with @ffmpeg/core, as the package @ffmpeg/ffmpeg has one: files are kept in its memory, or mounted.
importScripts('/core/ffmpeg-core.js');

let core;
const messages = [];

const calls = {
  async load() {
    const wasmURL = new URL('/core/ffmpeg-core.wasm', location.href).href;
    // It takes the address of its module from here.
    const mainScriptUrlOrBlob = `/core/ffmpeg-core.js#${btoa(JSON.stringify({ wasmURL }))}`;
    core = await self.createFFmpegCore({ mainScriptUrlOrBlob });
    core.setLogger(({ message }) => messages.push(message));
  },
  write: ({ name, data }) => void core.FS.writeFile(name, data),
  mount({ file, name }) {
    core.FS.mkdir('/mounted');
    core.FS.mount(core.FS.filesystems.WORKERFS, { blobs: [{ name, data: file }] }, '/mounted');
  },
  unmount() {
    core.FS.unmount('/mounted');
    core.FS.rmdir('/mounted');
  },
  exec({ args, program = 'exec' }) {
    const exitCode = core[program](...args);
    core.reset();
    return { exitCode, messages: messages.splice(0) };
  },
  read: ({ name }) => core.FS.readFile(name),
  remove: ({ name }) => void core.FS.unlink(name),
};

onmessage = async ({ data: { id, call, given } }) => {
  try {
    const value = await calls[call](given);
    const transfer = value instanceof Uint8Array ? [value.buffer] : [];
    postMessage({ id, value }, transfer);
  } catch (error) {
    postMessage({ id, fault: String(error?.stack ?? error) });
  }
};
