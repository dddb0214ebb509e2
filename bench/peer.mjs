// Runs @ffmpeg/core in node, outside of a browser: node peer.mjs FOLDER PROGRAM ARGUMENT... FOLDER holds the package's
// dist/umd. The program sees copies of the files in the current folder, and what it makes is copied back. Prints what was
// measured: {"load_seconds", "wall_seconds", "cpu_seconds"}.
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { performance } from 'node:perf_hooks';
import { runInThisContext } from 'node:vm';

const [folder, program, ...args] = process.argv.slice(2);

// It is made for a worker of a browser and looks for these.
globalThis.self = globalThis;
globalThis.location = { href: `file://${folder}/` };

const messages = [];
const started = performance.now();
const wasmBinary = await readFile(`${folder}/ffmpeg-core.wasm`);
const script = await readFile(`${folder}/ffmpeg-core.js`, 'utf8');
const createCore = runInThisContext(`${script}\ncreateFFmpegCore`);
const core = await createCore({ wasmBinary, mainScriptUrlOrBlob: `file://${folder}/#` + btoa('{}') });
core.setLogger(({ message }) => messages.push(message));
const loadSeconds = (performance.now() - started) / 1000;

const inputs = new Set();
for (const name of await readdir('.')) {
  inputs.add(name);
  core.FS.writeFile(name, new Uint8Array(await readFile(name)));
}
const run = { ffmpeg: core.exec, ffprobe: core.ffprobe }[program];
if (!run) {
  console.error(`@ffmpeg/core has no ${program}`);
  process.exit(1);
}
const cpuBefore = process.cpuUsage();
const runStarted = performance.now();
const exitCode = run(...args);
const runSeconds = (performance.now() - runStarted) / 1000;
const cpu = process.cpuUsage(cpuBefore);
if (exitCode !== 0) {
  console.error(messages.slice(-8).join('\n'));
  console.error(`@ffmpeg/core ended with ${exitCode}`);
  process.exit(1);
}
for (const name of core.FS.readdir('.')) {
  if (!inputs.has(name) && core.FS.isFile(core.FS.stat(name).mode)) {
    await writeFile(name, core.FS.readFile(name));
  }
}
const cpuSeconds = (cpu.user + cpu.system) / 1e6;
console.log(JSON.stringify({ load_seconds: loadSeconds, wall_seconds: runSeconds, cpu_seconds: cpuSeconds }));
process.exit(0);
