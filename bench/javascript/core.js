// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// @ffmpeg/core in a worker, with the interface of the measured runners.
import { PROBE, REMUX, TRANSCODE } from './jobs.js';

class Core {
  #worker = new Worker('core-worker.js');
  #waiting = new Map();
  #count = 0;

  static async load() {
    const core = new Core();
    await core.#call('load');
    return core;
  }

  constructor() {
    this.#worker.onmessage = ({ data: { id, value, fault } }) => {
      const { resolve, reject } = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (fault === undefined) resolve(value);
      else reject(new Error(fault));
    };
    this.#worker.onerror = (event) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(event.message));
    };
  }

  #call(call, given = {}, transfer = []) {
    const id = this.#count++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, call, given }, transfer);
    });
  }

  async run(file, args, output) {
    const data = new Uint8Array(await file.arrayBuffer());
    await this.#call('write', { name: 'in.mp4', data }, [data.buffer]);
    const { exitCode, messages } = await this.#call('exec', { args: ['-nostdin', '-y', ...args] });
    if (exitCode !== 0) throw new Error(`@ffmpeg/core ended with ${exitCode}: ${messages.join('\n')}`);
    const made = await this.#call('read', { name: output });
    for (const name of ['in.mp4', output]) await this.#call('remove', { name });
    return made;
  }

  async probe(file) {
    await this.#call('mount', { file, name: 'in.mp4' });
    const args = PROBE.map((word) => (word === 'in.mp4' ? '/mounted/in.mp4' : word));
    // Its exit code is -1 whatever comes of it.
    await this.#call('exec', { args, program: 'ffprobe' });
    await this.#call('unmount');
    return JSON.parse(new TextDecoder().decode(await this.#call('read', { name: 'said.json' })));
  }
}

export async function load() {
  const cores = [await Core.load()];
  return {
    transcode: (file) => cores[0].run(file, TRANSCODE, 'out.mp4'),
    remux: (file) => cores[0].run(file, REMUX, 'out.mkv'),
    probe: (file) => cores[0].probe(file),
    /** Each of its workers runs one command at a time. */
    async beside() {
      cores.push(await Core.load());
      await cores[1].run(await blobOf('transcode.mp4'), TRANSCODE, 'out.mp4');
      return (file) => Promise.all(cores.map((core) => core.run(file, TRANSCODE, 'out.mp4')));
    },
  };
}

async function blobOf(name) {
  return await (await fetch(`/inputs/${name}`)).blob();
}
