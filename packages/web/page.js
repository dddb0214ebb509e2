// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// The page: a file is chosen, described and converted by jobs in workers.
import { AbortedError, Runtime } from './afmpeg/index.js';

const get = (id) => document.getElementById(id);
const MODULE = new URL('./module.wasm.gz', import.meta.url);
/** More than anybody reads. */
const LOG_LINES_MAX = 500;

let runtime;
let file;
let media;
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
  if (!chosen || running) return;
  file = chosen;
  for (const id of ['about', 'form', 'result']) get(id).hidden = true;
  say('Looking at it…');
  try {
    media = await (await load()).probe(file);
    if (file !== chosen) return;
    describe(media);
    for (const id of ['about', 'form']) get(id).hidden = false;
    say('Choose what to make of it.');
  } catch (error) {
    say(`This file cannot be used. ${error.message}`);
  }
}

const has = (kind) => media.streams.some(({ codec_type }) => codec_type === kind);
const numberOf = (id) => get(id).valueAsNumber || 0;

/** The end of the input's name, which tells its container. */
function ending() {
  return /\.([A-Za-z0-9]{1,5})$/.exec(file.name)?.[1] ?? 'mkv';
}

/** Each action's arguments, the name of what it makes, and the kind of that. */
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
    return { part: true, args: ['-c', 'copy', '-map', '0', '-ignore_unknown'], name: `out.${container}`, type };
  },
  gif: () => {
    const palette = `fps=12,scale=${numberOf('width')}:-2:flags=lanczos,split[a][b];[a]palettegen[p];[b][p]paletteuse`;
    return { needs: 'video', part: true, args: ['-vf', palette, '-loop', '0'], name: 'out.gif', type: 'image/gif' };
  },
  mp3: () => ({ needs: 'audio', args: ['-vn', '-c:a', 'mp3', '-q:a', '3'], name: 'out.mp3', type: 'audio/mpeg' }),
};

async function start() {
  const action = new FormData(get('form')).get('action');
  running = new AbortController();
  get('start').disabled = true;
  get('cancel').hidden = false;
  get('work').hidden = false;
  get('result').hidden = true;
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
    get('start').disabled = false;
    get('cancel').hidden = true;
    get('work').hidden = true;
  }
}

async function convert({ needs, part, parallel, args, name, type }) {
  if (needs && !has(needs)) throw new Error(`The file has no ${needs === 'video' ? 'video' : 'sound'}.`);
  const input = `in.${ending()}`;
  const cut = part ? ['-ss', String(numberOf('from')), '-t', String(numberOf('seconds'))] : [];
  const durationSeconds = part ? numberOf('seconds') : media.format.duration;
  const began = performance.now();
  const { signal } = running;
  const output = await (
    await load()
  ).run(['ffmpeg', ...cut, '-i', input, ...args, name], {
    files: { [input]: file },
    signal,
    parallel: parallel === true && navigator.hardwareConcurrency > 1,
    ...(durationSeconds === undefined ? {} : { durationSeconds }),
    onLog: log,
    onProgress: ({ fraction }) => {
      if (fraction === undefined || fraction === 0) return;
      get('progress').value = fraction;
      const left = ((performance.now() - began) / 1000) * (1 / fraction - 1);
      get('left').textContent = `${Math.round(fraction * 100)} %, ${seconds(left)} left`;
    },
  });
  return { data: output.expectSuccess().files[name], name: name.replace('out', stem()), type };
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

function show({ data, name, type }) {
  const before = address;
  address = URL.createObjectURL(new Blob([data], { type }));
  const kind = { video: 'video', audio: 'audio', image: 'img' }[type.split('/')[0]] ?? 'video';
  const shown = document.createElement(kind);
  shown.src = address;
  if (kind === 'img') shown.alt = 'What was made';
  else shown.controls = true;
  // What is played goes on being read until it is told otherwise.
  const [last] = get('shown').children;
  if (last?.localName !== 'img') {
    last?.removeAttribute('src');
    last?.load();
  }
  get('shown').replaceChildren(shown);
  if (before) URL.revokeObjectURL(before);
  const save = get('save');
  save.href = address;
  save.download = name;
  save.textContent = `Save ${name} (${size(data.byteLength)})`;
  get('result').hidden = false;
  get('result').focus();
  say('Done.');
}

/** Shows the fields that an action takes. */
function fields() {
  const action = new FormData(get('form')).get('action');
  for (const label of document.querySelectorAll('[data-for]'))
    label.hidden = !label.dataset.for.split(' ').includes(action);
}

get('file').addEventListener('change', () => void choose(get('file').files[0]));
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
load().catch((error) => say(error.message));
navigator.serviceWorker?.register('service-worker.js', { type: 'module' }).catch(() => undefined);
