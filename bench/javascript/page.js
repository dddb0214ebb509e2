// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// What is measured in a page; run.js calls it. Times are in seconds.
const { runner, variant } = Object.fromEntries(new URLSearchParams(location.search));
const { load } = await import(`./${runner}.js`);

let longestBlockSeconds = 0;
let ticked = performance.now();
const TICK_MS = 5;
setInterval(() => {
  const now = performance.now();
  longestBlockSeconds = Math.max(longestBlockSeconds, (now - ticked - TICK_MS) / 1000);
  ticked = now;
}, TICK_MS);

async function timed(act) {
  const started = performance.now();
  const value = await act();
  return [(performance.now() - started) / 1000, value];
}

const input = async (name) => (await fetch(`/inputs/${name}`)).blob();
const chosen = () => document.getElementById('file').files[0];

function sound(made) {
  if (!(made.byteLength > 1000)) throw new Error(`it made ${made.byteLength} bytes`);
  return made.byteLength;
}

globalThis.cases = {
  async transcode() {
    const file = await input('transcode.mp4');
    const [load_seconds, loaded] = await timed(() => load(variant));
    const [first_seconds, made] = await timed(() => loaded.transcode(file));
    const [warm_seconds] = await timed(() => loaded.transcode(file));
    const both = await loaded.beside();
    const [alone_seconds] = await timed(() => loaded.transcode(file));
    const [two_seconds] = await timed(() => both(file));
    return { load_seconds, first_seconds, warm_seconds, alone_seconds, two_seconds, output_bytes: sound(made) };
  },

  /** From the beginning of the navigation to the first result. */
  async cold() {
    const file = await input('transcode.mp4');
    const loaded = await load(variant);
    const output_bytes = sound(await loaded.transcode(file));
    // The clock begins with the navigation.
    return { cold_seconds: performance.now() / 1000, output_bytes };
  },

  /** Twice, as the first also starts a worker and compiles functions. */
  async probe() {
    const loaded = await load(variant);
    const file = chosen();
    const [probe_first_seconds, { format }] = await timed(() => loaded.probe(file));
    const [probe_warm_seconds] = await timed(() => loaded.probe(file));
    if (!(Number(format.duration) > 0)) throw new Error(`it is said to last ${format.duration} s`);
    return { probe_first_seconds, probe_warm_seconds };
  },

  async remux() {
    const loaded = await load(variant);
    const [remux_seconds, made] = await timed(() => loaded.remux(chosen()));
    return { remux_seconds, output_bytes: sound(made) };
  },
};

globalThis.measure = async (name) => {
  longestBlockSeconds = 0;
  ticked = performance.now();
  const measured = await globalThis.cases[name]();
  // A block that lasts is seen when it has ended.
  await new Promise((resolve) => setTimeout(resolve, 3 * TICK_MS));
  return { ...measured, block_seconds: longestBlockSeconds };
};
