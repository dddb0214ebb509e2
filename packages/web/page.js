// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// The page: a file is chosen, described and converted by jobs in workers.
import { AbortedError, Runtime } from './afmpeg/index.js';

const get = (id) => document.getElementById(id);
const MODULE = new URL('./module.wasm.gz', import.meta.url);
/** More than anybody reads. */
const LOG_LINES_MAX = 500;
/** Before that, a pace says nothing of what is to come. */
const PACE_SECONDS_MIN = 2;

let runtime;
let file;
let media;
let looking;
let running;
let address;
const lines = [];

function say(text) {
  get('status').textContent = text;
}

/** Compiles while the user still chooses. */
function load() {
  runtime ??= Runtime.load(MODULE).catch((error) => {
    runtime = undefined;
    throw error;
  });
  return runtime;
}

function seconds(value) {
  const whole = Math.round(value);
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return parts.map((part) => String(part).padStart(2, '0')).join(':');
}

function size(bytes) {
  const format = (value, unit) =>
    new Intl.NumberFormat('en', { style: 'unit', unit, maximumFractionDigits: 1 }).format(value);
  if (bytes >= 1e9) return format(bytes / 1e9, 'gigabyte');
  return bytes >= 1e6 ? format(bytes / 1e6, 'megabyte') : format(bytes / 1e3, 'kilobyte');
}

function describe({ format, streams }) {
  const rows = [
    ['Name', file.name],
    ['Size', size(file.size)],
    ['Format', format.format_long_name ?? format.format_name],
  ];
  if (format.duration !== undefined) rows.push(['Duration', seconds(format.duration)]);
  for (const stream of streams) {
    const codec = stream.codec_long_name ?? stream.codec_name ?? 'unknown';
    if (stream.codec_type === 'video') {
      const rate = stream.avg_frame_rate ? `, ${stream.avg_frame_rate.value.toFixed(2)} frames a second` : '';
      rows.push(['Video', `${codec}, ${stream.display_width} × ${stream.display_height}${rate}`]);
    } else if (stream.codec_type === 'audio') {
      rows.push([
        'Sound',
        `${codec}, ${stream.channel_layout ?? `${stream.channels} channels`}, ${stream.sample_rate} Hz`,
      ]);
    }
  }
  get('description').replaceChildren(
    ...rows.flatMap(([name, value]) => {
      const [term, definition] = [document.createElement('dt'), document.createElement('dd')];
      term.textContent = name;
      definition.textContent = value;
      return [term, definition];
    }),
  );
}

async function choose(chosen) {
  if (!chosen) return;
  if (running) {
    say('Still working. Cancel it before you choose another file.');
    return;
  }
  looking?.abort();
  looking = new AbortController();
  const { signal } = looking;
  file = chosen;
  clearResult();
  for (const id of ['about', 'form']) get(id).hidden = true;
  say('Looking at it…');
  try {
    const found = await (await load()).probe(chosen, { signal });
    // Another file may have been chosen since: then nothing more is said of this one.
    if (signal.aborted) return;
    media = found;
    describe(media);
    get('from').max = media.format.duration ?? '';
    for (const id of ['about', 'form']) get(id).hidden = false;
    say('Choose what to make of it.');
  } catch (error) {
    if (!signal.aborted) say(`This file cannot be used. ${error.message}`);
  }
}

const has = (kind) => media.streams.some(({ codec_type }) => codec_type === kind);
const numberOf = (id) => get(id).valueAsNumber;

/** The video that FFmpeg would choose: the largest; a picture that belongs to sound counts least. */
function mainVideo() {
  const rank = ({ width = 0, height = 0, disposition }) => (disposition.attached_pic === 1 ? 0 : width * height);
  const videos = media.streams.filter(({ codec_type }) => codec_type === 'video');
  return videos.sort((one, other) => rank(other) - rank(one))[0];
}

/** The end of the input's name, which tells its container. */
function ending() {
  return /\.([A-Za-z0-9]{1,5})$/.exec(file.name)?.[1] ?? 'mkv';
}

const PALETTE = 'palette.png';
/** The share of the work that choosing colours is. */
const PALETTE_SHARE = 1 / 3;

/** Each action's arguments, those of a run before it, the name of what it makes, and the kind of that. */
const ACTIONS = {
  mp4: () => {
    // Encoders of H.264 want even sides.
    const scale = `scale='min(iw,${numberOf('width')})':-2,pad=ceil(iw/2)*2:ceil(ih/2)*2`;
    const video = ['-c:v', 'h264', '-vf', scale, '-pix_fmt', 'yuv420p'];
    const args = [...video, '-c:a', 'aac', '-b:a', '128k', '-movflags', '+faststart'];
    return { needs: 'video', parallel: true, args, name: 'out.mp4', type: 'video/mp4' };
  },
  trim: () => {
    const container = ending();
    const type = file.type || 'video/x-matroska';
    // Tracks of data, such as timecodes, cannot be copied; MP4's muxer makes its timecode anew.
    const args = ['-c', 'copy', '-map', '0', '-ignore_unknown', '-dn'];
    return { part: true, args, name: `out.${container}`, type };
  },
  gif: () => {
    const pictures = `[0:${mainVideo()?.index}]fps=12,scale=${numberOf('width')}:-2:flags=lanczos`;
    // In one run, all pictures would be kept until the colours are known. ffmpeg reports nothing before each output has
    // begun, so the palette's begins with a picture that the palette takes the place of.
    const colours =
      `color=size=16x16:rate=12:duration=0.05[begin];${pictures},split[some][seen];` +
      '[some]palettegen[colours];[begin][colours]concat';
    const palette = ['-lavfi', colours, '-fps_mode', 'vfr', '-update', '1', PALETTE];
    const args = ['-i', PALETTE, '-lavfi', `${pictures}[some];[some][1:v]paletteuse`, '-loop', '0'];
    return {
      needs: 'video',
      part: true,
      before: [...palette, '-map', '[seen]', '-f', 'null', '-'],
      args,
      name: 'out.gif',
      type: 'image/gif',
    };
  },
  mp3: () => ({ needs: 'audio', args: ['-vn', '-c:a', 'mp3', '-q:a', '3'], name: 'out.mp3', type: 'audio/mpeg' }),
};

async function start() {
  const action = new FormData(get('form')).get('action');
  running = new AbortController();
  clearResult();
  for (const id of ['cancel', 'work']) get(id).hidden = false;
  // A button that is disabled would lose the focus to nothing.
  get('cancel').focus();
  for (const id of ['start', 'file']) get(id).disabled = true;
  get('progress').removeAttribute('value');
  get('left').textContent = '';
  lines.length = 0;
  get('log').textContent = '';
  say('Working…');
  try {
    const made = action === 'sheet' ? await makeSheet() : await convert(ACTIONS[action]());
    show(made);
  } catch (error) {
    say(error instanceof AbortedError ? 'Cancelled.' : `It did not work. ${error.message}`);
  } finally {
    running = undefined;
    const isFocusLost = [get('cancel'), document.body].includes(document.activeElement);
    for (const id of ['start', 'file']) get(id).disabled = false;
    if (isFocusLost) get('start').focus();
    for (const id of ['cancel', 'work']) get(id).hidden = true;
  }
}

async function convert({ needs, part, parallel, before, args, name, type }) {
  if (needs && !has(needs)) throw new Error(`The file has no ${needs === 'video' ? 'video' : 'sound'}.`);
  const input = `in.${ending()}`;
  const [from, length] = part ? [numberOf('from'), numberOf('seconds')] : [0, Infinity];
  const cut = part ? ['-ss', String(from), '-t', String(length)] : [];
  const durationSeconds = Math.min(length, (media.format.duration ?? Infinity) - from);
  const files = { [input]: file };
  const tell = paced();
  const { signal } = running;
  /** Runs ffmpeg, from one fraction of the work to another. */
  const run = async (args, begin, end) => {
    const output = await (
      await load()
    ).run(['ffmpeg', ...cut, '-i', input, ...args], {
      files,
      signal,
      parallel: parallel === true && navigator.hardwareConcurrency > 1,
      ...(Number.isFinite(durationSeconds) ? { durationSeconds } : {}),
      onLog: log,
      onProgress: ({ fraction }) => {
        if (fraction !== undefined) tell(begin + fraction * (end - begin));
      },
    });
    return output.expectSuccess().files;
  };
  const share = before ? PALETTE_SHARE : 0;
  if (before) files[PALETTE] = (await run(before, 0, share))[PALETTE];
  const made = await run([...args, name], share, 1);
  return { data: made[name], name: name.replace('out', () => stem()), type };
}

/** Tells of fractions of the work, and how long the rest takes at the pace since the first of them. */
function paced() {
  let first;
  let last = 0;
  return (fraction) => {
    if (fraction === 0) return;
    const now = performance.now() / 1000;
    // What is begun anew has a pace of its own.
    if (!first || fraction < last) first = { fraction, now };
    last = fraction;
    get('progress').value = fraction;
    const [elapsed, done] = [now - first.now, fraction - first.fraction];
    const left = elapsed >= PACE_SECONDS_MIN && done > 0 ? `, ${seconds((elapsed / done) * (1 - fraction))} left` : '';
    get('left').textContent = `${Math.round(fraction * 100)} %${left}`;
  };
}

async function makeSheet() {
  const { signal } = running;
  const [{ image }] = await (await load()).frames(file, { sheet: { columns: 4, rows: 4 }, format: 'jpeg', signal });
  return { data: image, name: `${stem()}.jpg`, type: 'image/jpeg' };
}

function stem() {
  return file.name.replace(/\.[^.]*$/, '') || 'result';
}

function log(line) {
  lines.push(line);
  if (lines.length > LOG_LINES_MAX) lines.shift();
  get('log').textContent = lines.join('\n');
}

/** Takes away what was made. What is played goes on, and its bytes stay, until it is told otherwise. */
function clearResult() {
  get('result').hidden = true;
  const [shown] = get('shown').children;
  shown?.removeAttribute('src');
  if (shown instanceof HTMLMediaElement) shown.load();
  get('shown').replaceChildren();
  get('save').removeAttribute('href');
  if (address) URL.revokeObjectURL(address);
  address = undefined;
}

function show({ data, name, type }) {
  address = URL.createObjectURL(new Blob([data], { type }));
  const kind = { video: 'video', audio: 'audio', image: 'img' }[type.split('/')[0]] ?? 'video';
  const shown = document.createElement(kind);
  shown.src = address;
  if (kind === 'img') shown.alt = 'What was made';
  else shown.controls = true;
  get('shown').replaceChildren(shown);
  const save = get('save');
  save.href = address;
  save.download = name;
  save.textContent = `Save ${name} (${size(data.byteLength)})`;
  get('result').hidden = false;
  get('result').focus();
  say('Done.');
}

/** Shows the fields that an action takes; what is in the others does not count. */
function fields() {
  const action = new FormData(get('form')).get('action');
  for (const label of document.querySelectorAll('[data-for]')) {
    label.hidden = !label.dataset.for.split(' ').includes(action);
    label.control.disabled = label.hidden;
  }
}

get('file').addEventListener('change', () => void choose(get('file').files[0]));
// Otherwise the same file could not be chosen again.
get('file').addEventListener('click', () => (get('file').value = ''));
get('form').addEventListener('change', fields);
get('form').addEventListener('submit', (event) => {
  event.preventDefault();
  void start();
});
get('cancel').addEventListener('click', () => running?.abort());
addEventListener('dragover', (event) => {
  event.preventDefault();
  get('drop').classList.add('over');
});
addEventListener('dragleave', () => get('drop').classList.remove('over'));
addEventListener('drop', (event) => {
  event.preventDefault();
  get('drop').classList.remove('over');
  void choose(event.dataTransfer.files[0]);
});
fields();
await load().catch((error) => say(error.message));
// What it fetches would hold up what the page needs now. Its list of files is no use out of date.
navigator.serviceWorker
  ?.register('service-worker.js', { type: 'module', updateViaCache: 'none' })
  .catch(() => undefined);
