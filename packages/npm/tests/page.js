// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// Tests in a page of a browser, under a strict content security policy; suite.js and browser.js run them.
import {
  AbortedError,
  LimitError,
  ModuleError,
  opfs,
  ParallelError,
  Runtime,
  SourceError,
  TimeoutError,
  UnsupportedError,
  UsageError,
} from '/node_modules/afmpeg/browser/index.js';

const { default: description } = await (
  await fetch('/tests/variant.json')
)
  .json()
  .then(({ variant }) => import(`/node_modules/@afmpeg/${variant}/index.js`));

const runtime = await Runtime.load(description);
const video = new File([await (await fetch('/video.mp4')).blob()], 'video.mp4');
const words = (line) => line.split(' ');
const COPY = words('ffmpeg -v error -i in.mp4 -c copy out.mkv');
const ENDLESS = words('ffmpeg -v error -f lavfi -i testsrc2=d=100000 -f null -');

function equal(got, wanted) {
  if (got !== wanted) throw new Error(`got ${got}, wanted ${wanted}`);
}

function check(holds, text) {
  if (!holds) throw new Error(text);
}

async function fails(promise, Kind, code) {
  const error = await promise.then(
    () => undefined,
    (error) => error,
  );
  check(error instanceof Kind, `wanted ${Kind.name}, got ${error?.stack ?? 'success'}`);
  equal(error.code, code);
  return error;
}

async function codecs(data) {
  const { streams } = await runtime.probe(data);
  return streams.map(({ codec_name }) => codec_name).join();
}

async function folderOf(name) {
  const root = await navigator.storage.getDirectory();
  return root.getDirectoryHandle(name, { create: true });
}

async function sameBytes(one, other, text) {
  const [left, right] = await Promise.all([one, other].map(async (data) => new Uint8Array(await new Blob([data]).arrayBuffer())));
  check(left.byteLength > 1000 && left.byteLength === right.byteLength && left.every((byte, at) => byte === right[at]), text);
}

/** A video that can be cut, and a command for it. */
const LONG =
  'ffmpeg -v error -f lavfi -i testsrc2=d=14:s=160x90 -f lavfi -i sine=d=14 -c:v libopenh264 -g 50 -c:a aac -bitexact in.mkv';
const CUT = words('ffmpeg -v error -y -i in.mkv -vf hflip -c:v mpeg4 -q:v 4 -c:a copy out.mp4');

async function longVideo() {
  return { 'in.mkv': new Blob([(await runtime.run(words(LONG))).expectSuccess().files['in.mkv']]) };
}

async function namesIn(folder) {
  const names = [];
  for await (const name of folder.keys()) names.push(name);
  return names.sort().join();
}

/** A `<video>` of a file, ready to play. */
async function shown(data, type) {
  const element = document.createElement('video');
  element.muted = true;
  element.src = URL.createObjectURL(new Blob([data], { type }));
  document.body.append(element);
  await happens(element, 'canplay');
  return element;
}

function happens(element, event) {
  return new Promise((resolve, reject) => {
    element.addEventListener(event, resolve, { once: true });
    element.addEventListener('error', () => reject(new Error(`${event}: ${element.error?.message}`)), { once: true });
    setTimeout(() => reject(new Error(`${event} does not come, at ${element.currentTime} s`)), 20000);
  });
}

/** The picture at a time, small, when it is shown: a seek ends before. */
async function pictureAt(element, seconds) {
  const isShown = new Promise((resolve) => {
    const look = (_, { mediaTime }) => {
      if (Math.abs(mediaTime - seconds) < 0.05) resolve();
      else element.requestVideoFrameCallback(look);
    };
    element.requestVideoFrameCallback(look);
  });
  element.currentTime = seconds;
  await Promise.all([happens(element, 'seeked'), isShown]);
  const canvas = new OffscreenCanvas(80, 45).getContext('2d', { willReadFrequently: true });
  canvas.drawImage(element, 0, 0, 80, 45);
  return canvas.getImageData(0, 0, 80, 45).data;
}

function difference(one, other) {
  return one.reduce((sum, value, at) => sum + Math.abs(value - other[at]), 0) / one.length;
}

globalThis.tests = {
  async 'the page is isolated if it is served so'() {
    equal(crossOriginIsolated, new URLSearchParams(location.search).has('isolated'));
  },

  async 'a File is read in place, and an output comes back'() {
    const reports = [];
    const lines = [];
    const { exitCode, files, stderr } = await runtime.run(
      words('ffmpeg -i in.mp4 -t 2 -vf scale=160:-2 -c:v libopenh264 -c:a aac out.mp4'),
      { files: { 'in.mp4': video }, onProgress: (report) => reports.push(report), onLog: (line) => lines.push(line) },
    );
    equal(exitCode, 0);
    equal(await codecs(files['out.mp4']), 'h264,aac');
    check(lines.length > 10 && stderr.includes(lines[3]), 'the log does not come by lines');
    const last = reports.at(-1);
    check(last.finished && last.fraction === 1 && last.frame === 50, JSON.stringify(last));
    const isSound = ({ frame, fps, time, speed = 0, size = 0, fraction = 0 }) =>
      [frame, fps, time, speed, size].every((value) => value >= 0) && fraction >= 0 && fraction <= 1;
    check(reports.every(isSound), JSON.stringify(reports));
  },

  async 'a URL is read by ranges'() {
    const { files } = (
      await runtime.run(COPY, { files: { 'in.mp4': new URL('/video.mp4', location.href) } })
    ).expectSuccess();
    equal(await codecs(files['out.mkv']), 'h264,aac');
    const whole = { 'in.mp4': new URL('/video.mp4?whole', location.href) };
    await fails(runtime.run(COPY, { files: whole }), SourceError, 'no-ranges');
    await fails(
      runtime.run(COPY, { files: { 'in.mp4': new URL('/nothing', location.href) } }),
      SourceError,
      'unreachable',
    );
  },

  async 'files of OPFS are read and written'() {
    const folder = await folderOf('single');
    const handle = await folder.getFileHandle('out.mkv', { create: true });
    const output = await runtime.run([...COPY, '-y'], {
      files: { 'in.mp4': video, 'out.mkv': opfs(handle, { write: true }) },
    });
    output.expectSuccess();
    equal(Object.keys(output.files).length, 0);
    equal(await codecs(handle), 'h264,aac');
    equal(await codecs(await handle.getFile()), 'h264,aac');
  },

  async 'a folder of OPFS gets what a job writes, under its names'() {
    const folder = await folderOf('several');
    const files = { 'in.mp4': video, out: opfs(folder, { write: true }) };
    const line = 'ffmpeg -v error -i in.mp4 -c copy -f segment -segment_time 1 -segment_list out/list.m3u8 out/%03d.ts';
    (await runtime.run(words(line), { files })).expectSuccess();
    const names = [];
    for await (const name of folder.keys()) names.push(name);
    check(names.includes('list.m3u8') && names.includes('000.ts'), names.join());
    check(!names.some((name) => name.startsWith('.afmpeg')), names.join());
    equal((await runtime.probe('out/list.m3u8', { files: { out: folder } })).format.format_name, 'hls');
    const readOnly = await runtime.run(words('ffmpeg -v error -y -i in.mp4 -c copy out/000.ts'), {
      files: { ...files, out: folder },
    });
    check(readOnly.exitCode !== 0 && readOnly.stderr.includes('Read-only'), readOnly.stderr);
  },

  async 'a folder of OPFS takes any number of files, and each is what was written'() {
    const folder = await folderOf('many');
    const files = { 'in.mp4': video, out: opfs(folder, { write: true }) };
    // Each segment ends with the list being written anew, and moved to its name.
    const line =
      'ffmpeg -v error -i in.mp4 -an -vf scale=64:-2 -c:v libopenh264 -g 3 -f hls -hls_time 0.1 -hls_list_size 0 ' +
      '-hls_flags temp_file out/list.m3u8';
    (await runtime.run(words(line), { files })).expectSuccess();
    const names = [];
    for await (const name of folder.keys()) names.push(name);
    check(names.length > 40 && !names.some((name) => name.startsWith('.afmpeg')), names.join());
    for (const name of names) check((await (await folder.getFileHandle(name)).getFile()).size > 100, name);
    const entries = ['-count_packets', '-show_entries', 'stream=nb_read_packets', '-of', 'csv=p=0'];
    const counted = await runtime.run(['ffprobe', '-v', 'error', ...entries, 'out/list.m3u8'], {
      files: { out: folder },
    });
    check(parseInt(new TextDecoder().decode(counted.expectSuccess().stdout)) === 132, counted.stderr);
  },

  async 'what a job reads of what it wrote is what it wrote'() {
    const folder = await folderOf('rewritten');
    const files = { 'in.mp4': video, out: opfs(folder, { write: true }) };
    const many = words('ffmpeg -v error -i in.mp4 -frames:v 70 -s 64x36 -f image2 out/%02d.jpg');
    // The index goes to the front when all is written, so that the file is read back.
    (await runtime.run([...many, ...words('-c copy -movflags +faststart out/in.mp4')], { files })).expectSuccess();
    equal(await codecs(await folder.getFileHandle('in.mp4')), 'h264,aac');
    for (const name of ['01.jpg', '35.jpg', '70.jpg']) equal(await codecs(await folder.getFileHandle(name)), 'mjpeg');
    await fails(
      runtime.run(
        [
          ...words('ffmpeg -v error -i in.mp4 -c copy'),
          ...Array.from({ length: 40 }, (_, index) => ['-f', 'mpegts', `out/${index}.ts`, '-c', 'copy']).flat().slice(0, -2),
        ],
        { files },
      ),
      SourceError,
      'too-many-files',
    );
  },

  async 'a stream of unknown length becomes a fragmented mp4 while it comes'() {
    const line = 'ffmpeg -v error -i in.mp4 -c copy -f mpegts out.ts';
    const part = (await runtime.run(words(line), { files: { 'in.mp4': video } })).expectSuccess().files['out.ts'];
    let made = 0;
    let given = 0;
    // It goes on until something has come of it, which is long before anybody's patience ends.
    const stdin = new ReadableStream({
      pull(controller) {
        if (made > 0 || given++ > 200) controller.close();
        else controller.enqueue(part.slice());
      },
    });
    const parts = [];
    const stdout = new WritableStream({
      write(part) {
        made += part.byteLength;
        parts.push(part);
      },
    });
    const live = 'ffmpeg -v fatal -f mpegts -i pipe:0 -c copy -bsf:a aac_adtstoasc -movflags frag_keyframe+empty_moov';
    (await runtime.run(words(`${live} -f mp4 pipe:1`), { stdin, stdout })).expectSuccess();
    check(given < 200, `nothing came of ${given} parts`);
    equal(await codecs(new Blob(parts)), 'h264,aac');
  },

  async 'a video is made in segments, the same whatever their number at a time'() {
    const files = await longVideo();
    const reports = [];
    const onProgress = (report) => reports.push(report);
    const [one, two] = [
      (await runtime.run(CUT, { files, parallel: 1 })).expectSuccess(),
      (await runtime.run(CUT, { files, parallel: 2, onProgress })).expectSuccess(),
    ];
    equal(`${one.segments} ${two.segments} ${one.whole} ${two.whole}`, '3 3 undefined undefined');
    const made = one.files['out.mp4'];
    await sameBytes(made, two.files['out.mp4'], 'it depends on the number');
    equal((await runtime.probe(made)).streams[0].nb_frames, 350);
    check(reports.length > 1 && reports.every(({ fraction }, at) => fraction >= (reports[at - 1]?.fraction ?? 0)), 'progress');
    check(reports.at(-1).finished && reports.at(-1).fraction === 1, JSON.stringify(reports.at(-1)));
    await fails(runtime.run(COPY, { files: { 'in.mp4': video }, parallel: 'require' }), ParallelError, 'not-cut');
  },

  async 'files and folders of OPFS get a video of segments when it is whole'() {
    const files = await longVideo();
    const made = (await runtime.run(CUT, { files, parallel: 'require' })).expectSuccess().files['out.mp4'];
    const folder = await folderOf('segments');
    const handle = await folder.getFileHandle('single.mp4', { create: true });
    const single = { ...files, 'out.mp4': opfs(handle, { write: true }) };
    const output = (await runtime.run(CUT, { files: single, parallel: 'require' })).expectSuccess();
    equal(Object.keys(output.files).length, 0);
    await sameBytes(await handle.getFile(), made, 'a file');
    const below = { ...files, there: opfs(folder, { write: true }) };
    const args = [...CUT.slice(0, -1), 'there/below.mp4'];
    (await runtime.run(args, { files: below, parallel: 'require' })).expectSuccess();
    await sameBytes(await (await folder.getFileHandle('below.mp4')).getFile(), made, 'a file in a folder');
    equal(await namesIn(folder), 'below.mp4,single.mp4');
    // What is there stays when the job is stopped, and what was begun goes when its worker has ended.
    const controller = new AbortController();
    const options = { signal: controller.signal, parallel: 2, onProgress: () => controller.abort() };
    await fails(runtime.run(CUT, { ...options, files: single }), AbortedError, 'aborted');
    await sameBytes(await handle.getFile(), made, 'it was changed');
    for (const started = performance.now(); (await namesIn(folder)) !== 'below.mp4,single.mp4'; ) {
      check(performance.now() - started < 5000, await namesIn(folder));
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  },

  async 'a video of segments plays, and any place of it is found'() {
    const files = await longVideo();
    for (const [line, type] of [
      ['-c:v libopenh264 -b:v 300k -c:a aac -movflags +faststart out.mp4', 'video/mp4'],
      // Chromium fails to decode behind late key frames of VP9, whoever has encoded them.
      ['-c:v libvpx-vp9 -crf 40 -g 50 -deadline realtime -cpu-used 8 -c:a libopus out.webm', 'video/webm'],
    ]) {
      const args = words(`ffmpeg -v error -i in.mkv ${line}`);
      const name = args.at(-1);
      const cut = (await runtime.run(args, { files, parallel: 2 })).expectSuccess();
      check(cut.segments > 2, `${line}: ${cut.whole}`);
      const whole = (await runtime.run(args, { files })).expectSuccess();
      const elements = await Promise.all([cut, whole].map(({ files }) => shown(files[name], type)));
      const [video, other] = elements;
      check(Math.abs(video.duration - other.duration) < 0.03, `${video.duration} s, not ${other.duration} s`);
      // Forwards and back, right before and after cuts, and between them.
      const pictures = [];
      for (const seconds of [0.02, 3.98, 4.02, 9.1, 13.9, 8.02, 7.98, 2.5]) {
        const [got, wanted] = await Promise.all(elements.map((element) => pictureAt(element, seconds)));
        const apart = difference(got, wanted);
        // Seconds before it is far more different than another encoding of it.
        const moved = pictures.length > 0 ? Math.min(...pictures.map((other) => difference(got, other.got))) : Infinity;
        if (pictures.every((other) => Math.abs(other.seconds - seconds) > 1)) {
          check(apart < moved / 3, `${name}: another picture at ${seconds} s: ${apart} of ${moved}`);
        }
        check(apart < 8, `${name}: another picture at ${seconds} s: ${apart}`);
        pictures.push({ seconds, got });
      }
      video.currentTime = 0;
      await happens(video, 'seeked');
      video.playbackRate = 4;
      await Promise.all([happens(video, 'ended'), video.play()]);
      for (const element of elements) {
        URL.revokeObjectURL(element.src);
        element.remove();
      }
    }
  },

  async 'a playlist and its media of segments lie in a folder of OPFS, as one job makes them'() {
    const { 'in.mkv': input } = await longVideo();
    const copy = words('ffmpeg -v error -i in.mkv -map 0:v -c copy -bitexact in.mkv.mkv');
    const { files } = (await runtime.run(copy, { files: { 'in.mkv': input } })).expectSuccess();
    for (const [kind, line, list] of [
      ['hls', '-c:v libopenh264 -b:v 200k -g 50 -hls_time 4 -hls_list_size 0', 'list.m3u8'],
      ['dash', '-r 25 -c:v mpeg4 -q:v 4 -g 50 -seg_duration 4', 'list.mpd'],
    ]) {
      const folder = await folderOf(kind);
      const given = { 'in.mkv': files['in.mkv.mkv'], out: opfs(folder, { write: true }) };
      const args = words(`ffmpeg -v error -i in.mkv ${line} out/${list}`);
      const output = (await runtime.run(args, { files: given, parallel: 2 })).expectSuccess();
      equal(output.whole, undefined);
      const names = (await namesIn(folder)).split(',');
      check(names.includes(list) && names.length > 3 && !names.some((name) => /partial|tmp|^\./.test(name)), names.join());
      // FFmpeg looks for what a DASH manifest names in a folder below the manifest's, if that is named.
      const handles = await Promise.all(names.map(async (name) => [name, await folder.getFileHandle(name)]));
      const count = `ffprobe -v error -select_streams v -count_packets -show_entries stream=nb_read_packets -of csv=p=0 ${list}`;
      const counted = (await runtime.run(words(count), { files: Object.fromEntries(handles) })).expectSuccess();
      equal(parseInt(new TextDecoder().decode(counted.stdout)), 350);
    }
  },

  async 'the engine keeps a job from more memory than its runtime has'() {
    const small = await Runtime.load(description, { memoryMaxBytes: 1e8 });
    (await small.run(COPY, { files: { 'in.mp4': video } })).expectSuccess();
    const large = words('ffmpeg -v error -f lavfi -i testsrc2=s=3840x2160 -f null -');
    const error = await fails(small.run(large), LimitError, 'limit');
    equal(error.limit, 'memoryMaxBytes');
    await fails(Runtime.load(runtime.module, { memoryMaxBytes: 1e8 }), UsageError, 'compiled-already');
    await fails(Runtime.load(description, { memoryMaxBytes: 1e5 }), UsageError, 'bad-limit');
    small.close();
  },

  async 'modules are compiled beside the page, which would be held up'() {
    const names = ['compile', 'compileStreaming', 'instantiate', 'instantiateStreaming'];
    const own = Object.fromEntries(names.map((name) => [name, WebAssembly[name]]));
    const refuse = () => {
      throw new Error('the page compiles');
    };
    for (const name of names) WebAssembly[name] = refuse;
    try {
      const bytes = await (await fetch(description.gzipUrl)).arrayBuffer();
      for (const source of [bytes, `${description.gzipUrl}?beside`]) {
        const beside = await Runtime.load(source);
        (await beside.run(COPY, { files: { 'in.mp4': video } })).expectSuccess();
        beside.close();
      }
      equal(bytes.byteLength > 0, true);
    } finally {
      Object.assign(WebAssembly, own);
    }
  },

  async 'streams and readers are waited for by the engine'() {
    const { files } = (await runtime.run(COPY, { files: { 'in.mp4': video } })).expectSuccess();
    const mkv = files['out.mkv'];
    const parts = [];
    const stdout = new WritableStream({
      async write(part) {
        await new Promise((resolve) => setTimeout(resolve, 1));
        parts.push(part);
      },
    });
    const line = 'ffmpeg -v error -f matroska -i pipe:0 -c copy -movflags frag_keyframe+empty_moov -f mp4 pipe:1';
    (await runtime.run(words(line), { stdin: new Blob([mkv]).stream(), stdout })).expectSuccess();
    equal(await codecs(new Blob(parts)), 'h264,aac');
    const reader = {
      size: mkv.byteLength,
      read: async (offset, length) => mkv.slice(offset, offset + length),
    };
    equal(await codecs(reader), 'h264,aac');
    const broken = { size: 1e6, read: () => Promise.reject(new Error('gone')) };
    const error = await fails(runtime.run(COPY, { files: { 'in.mp4': broken } }), SourceError, 'unreadable');
    check(error.message.includes('gone'), error.message);
    const failing = new ReadableStream({ start: (controller) => controller.error(new Error('cut off')) });
    await fails(
      runtime.run(words('ffmpeg -f matroska -i pipe:0 out.mp4'), { stdin: failing }),
      SourceError,
      'stream-failed',
    );
  },

  async 'a job stops at once, and others run on'() {
    const times = [];
    for (const delay of [0, 30, 100, 200, 300]) {
      const controller = new AbortController();
      let aborted = 0;
      setTimeout(() => {
        aborted = performance.now();
        controller.abort('enough');
      }, delay);
      const error = await fails(runtime.run(ENDLESS, { signal: controller.signal }), AbortedError, 'aborted');
      times.push(performance.now() - aborted);
      equal(error.cause, 'enough');
    }
    // The median, as other programs take this machine's time, too.
    const median = times.sort((one, other) => one - other)[2];
    check(median < 100, `it took ${median} ms to stop`);
    await fails(runtime.run(ENDLESS, { timeout: 200 }), TimeoutError, 'timeout');
    const large = words('ffmpeg -v error -f lavfi -i testsrc2=s=3840x2160 -f null -');
    await fails(runtime.run(large, { memoryMaxBytes: 1e8 }), LimitError, 'limit');
    equal((await runtime.run(words('ffmpeg -version'))).exitCode, 0);
  },

  async 'jobs run beside each other, and more wait in line'() {
    const both = await Runtime.load(description, { jobsMax: 2 });
    const jobs = Array.from({ length: 4 }, () => both.run(COPY, { files: { 'in.mp4': video } }));
    for (const { exitCode } of await Promise.all(jobs)) equal(exitCode, 0);
    const waiting = both.run(ENDLESS);
    const third = both.run(ENDLESS);
    const fourth = both.run(ENDLESS, { timeout: 100 });
    await fails(fourth, TimeoutError, 'timeout');
    both.close();
    await fails(waiting, AbortedError, 'aborted');
    await fails(third, AbortedError, 'aborted');
  },

  async 'pictures are made'() {
    const [first, second] = await runtime.frames(video, { at: [0, 2.5], width: 160, format: 'jpeg' });
    equal(`${first.width}x${first.height}`, '160x90');
    equal((await createImageBitmap(new Blob([second.image], { type: 'image/jpeg' }))).width, 160);
    const [sheet] = await runtime.frames(video, { sheet: { columns: 2, rows: 2 } });
    equal((await createImageBitmap(new Blob([sheet.image]))).width, 640);
  },

  async 'a job can run in the page itself'() {
    const bytes = new Uint8Array(await video.arrayBuffer());
    const output = await runtime.run(COPY, { files: { 'in.mp4': bytes }, worker: false });
    equal(await codecs(output.expectSuccess().files['out.mkv']), 'h264,aac');
    const blob = await runtime.run(COPY, { files: { 'in.mp4': video }, worker: false });
    equal(blob.expectSuccess().files['out.mkv'].byteLength, output.files['out.mkv'].byteLength);
    const endless = runtime.run(ENDLESS, { timeout: 200, worker: false });
    await fails(endless, TimeoutError, 'timeout');
  },

  async 'modules come compressed or not, and are compiled once'() {
    const { gzipUrl, url } = description;
    for (const address of [url, gzipUrl, `${gzipUrl}?encoded`]) {
      const loaded = await Runtime.load(address);
      check(loaded.module instanceof WebAssembly.Module, address);
      equal((await Runtime.load(address)).module, loaded.module);
    }
    await fails(Runtime.load('/tests/page.html'), ModuleError, 'module-invalid');
    await fails(Runtime.load('/nothing.wasm'), ModuleError, 'module-unreachable');
    await fails(Runtime.load({ ...description, url: '/other', format: 99 }), ModuleError, 'module-version');
    await fails(Runtime.load(), ModuleError, 'no-module');
    const empty = Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0);
    await fails(Runtime.load(empty), ModuleError, 'not-a-program');
  },

  async 'mistakes are named'() {
    await fails(runtime.run(['-i', 'in.mp4']), UsageError, 'no-program');
    await fails(runtime.run(COPY, { files: { '../in.mp4': video } }), UsageError, 'bad-name');
    await fails(runtime.run(COPY, { files: { 'in.mp4': 'text' } }), UsageError, 'not-a-file');
    const missing = await runtime.run(COPY);
    equal(missing.errorMessage, 'Error opening input files: No such file or directory');
    check(UnsupportedError.prototype instanceof Error, 'it is a class');
  },
};

/** What needs more than a page to be tested. */
const OWN = { 'in.mp4': video };
const RAW = words('ffmpeg -v error -y -i in.mp4 -t 1 -s 640x360 -pix_fmt yuv420p -f rawvideo');
let writing;

globalThis.driven = {
  async 'storage is full'() {
    const folder = await folderOf('quota');
    const handle = await folder.getFileHandle('out.yuv', { create: true });
    const single = { ...OWN, 'out.yuv': opfs(handle, { write: true }) };
    await fails(runtime.run([...RAW, 'out.yuv'], { files: single }), SourceError, 'no-space');
    const several = { ...OWN, out: opfs(folder, { write: true }) };
    await fails(runtime.run([...RAW, 'out/a.yuv'], { files: several }), SourceError, 'no-space');
  },

  async 'storage is not full'() {
    const folder = await folderOf('quota');
    const files = { ...OWN, out: opfs(folder, { write: true }) };
    (await runtime.run([...RAW, 'out/b.yuv'], { files })).expectSuccess();
    equal((await (await folder.getFileHandle('b.yuv')).getFile()).size, 25 * 640 * 360 * 1.5);
    for await (const name of folder.keys()) check(!name.startsWith('.afmpeg'), name);
  },

  async 'a file is written until told otherwise'() {
    const handle = await (await folderOf('tabs')).getFileHandle('out.mkv', { create: true });
    const controller = new AbortController();
    let begun;
    const begins = new Promise((resolve) => (begun = resolve));
    const job = runtime.run(words('ffmpeg -y -re -f lavfi -i testsrc2=s=64x64 -c:v libopenh264 out.mkv'), {
      files: { 'out.mkv': opfs(handle, { write: true }) },
      signal: controller.signal,
      onProgress: () => begun(),
    });
    writing = { job, controller };
    await Promise.race([begins, job]);
  },

  async 'that file is in use, and others are not'() {
    const folder = await folderOf('tabs');
    const handle = await folder.getFileHandle('out.mkv', { create: true });
    const files = { ...OWN, 'out.mkv': opfs(handle, { write: true }) };
    await fails(runtime.run([...COPY, '-y'], { files }), SourceError, 'unwritable');
    const other = await folder.getFileHandle('other.mkv', { create: true });
    (await runtime.run([...COPY, '-y'], { files: { ...files, 'out.mkv': opfs(other, { write: true }) } })).expectSuccess();
  },

  async 'the file is let go of'() {
    writing.controller.abort();
    await fails(writing.job, AbortedError, 'aborted');
  },

  async 'that file is free'() {
    const handle = await (await folderOf('tabs')).getFileHandle('out.mkv', { create: true });
    const files = { ...OWN, 'out.mkv': opfs(handle, { write: true }) };
    // What an ended worker had open is closed when its thread has ended.
    for (const started = performance.now(); ; ) {
      const output = await runtime.run([...COPY, '-y'], { files }).catch((error) => error);
      if (output.exitCode === 0) break;
      check(output.code === 'unwritable' && performance.now() - started < 1000, `the file is not free: ${output}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    equal(await codecs(handle), 'h264,aac');
  },

  async 'a folder is shared'() {
    const folder = await folderOf('shared');
    // One after the other, so that jobs of both tabs begin and end at any time of the others.
    for (let index = 0; index < 8; index++) {
      const name = `${crypto.randomUUID()}.mkv`;
      const files = { ...OWN, out: opfs(folder, { write: true }) };
      (await runtime.run(words(`ffmpeg -v error -i in.mp4 -c copy out/${name}`), { files })).expectSuccess();
    }
  },

  async 'a shared folder has what both wrote'() {
    const folder = await folderOf('shared');
    const names = [];
    for await (const name of folder.keys()) names.push(name);
    equal(names.length, 16);
    for (const name of names) equal(await codecs(await folder.getFileHandle(name)), 'h264,aac');
  },

  async 'a large File'() {
    const [file] = document.getElementById('file').files;
    equal(file.size, 5 * 2 ** 30);
    const { format } = await runtime.probe(file);
    equal(format.size, file.size);
    const cut = words('ffmpeg -v error -ss 1 -i in.mkv -t 1 -c copy out.mkv');
    const { files } = (await runtime.run(cut, { files: { 'in.mkv': file }, timeout: 60_000 })).expectSuccess();
    equal(await codecs(files['out.mkv']), 'h264,aac');
  },
};

/** In engines that can wait neither by themselves nor in shared memory. */
globalThis.testsWithoutWaiting = {
  async 'what can be read at once is read'() {
    const { files } = (await runtime.run(COPY, { files: OWN })).expectSuccess();
    const url = { 'in.mp4': new URL('/video.mp4', location.href) };
    equal((await runtime.run(COPY, { files: url })).files['out.mkv'].byteLength, files['out.mkv'].byteLength);
  },

  async 'a video is made in segments'() {
    // The server takes it from workers.
    delete WebAssembly.Suspending;
    const files = await longVideo();
    const [one, two] = [
      (await runtime.run(CUT, { files, parallel: 1 })).expectSuccess(),
      (await runtime.run(CUT, { files, parallel: 2 })).expectSuccess(),
    ];
    equal(`${one.segments} ${two.segments}`, '3 3');
    await sameBytes(one.files['out.mp4'], two.files['out.mp4'], 'it depends on the number');
  },

  async 'what would have to be waited for is told of'() {
    const reader = { size: video.size, read: async (from, length) => new Uint8Array(await video.slice(from, from + length).arrayBuffer()) };
    await fails(runtime.run(COPY, { files: { 'in.mp4': reader } }), UnsupportedError, 'cannot-wait');
    const stdin = video.stream();
    await fails(runtime.run(words('ffmpeg -f mp4 -i pipe:0 out.mkv'), { stdin }), UnsupportedError, 'cannot-wait');
  },
};

/** The video as Matroska, in base 64. */
globalThis.asMatroska = async () => {
  const { files } = (await runtime.run(COPY, { files: OWN })).expectSuccess();
  const reader = new FileReader();
  reader.readAsDataURL(new Blob([files['out.mkv']]));
  await new Promise((resolve) => (reader.onload = resolve));
  return reader.result.split(',')[1];
};
