// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// A few real uses of fluent-ffmpeg, in a folder with source.mp4 and the shims on PATH.

const assert = require('node:assert');
const fs = require('node:fs');
const { PassThrough } = require('node:stream');

const ffmpeg = require('fluent-ffmpeg');

const SOURCE = 'source.mp4';

const probe = (input) =>
  new Promise((resolve, reject) => ffmpeg.ffprobe(input, (error, found) => (error ? reject(error) : resolve(found))));

const ended = (command) => new Promise((resolve, reject) => command.on('end', resolve).on('error', reject));

async function main() {
  const source = await probe(SOURCE);
  assert.equal(source.streams[0].width, 1280);
  assert.equal((await probe(fs.createReadStream(SOURCE))).streams[0].codec_name, 'h264');

  let last;
  const converted = ffmpeg(SOURCE)
    .size('160x?')
    .videoCodec('libx264')
    .outputOptions('-preset', 'ultrafast')
    .duration(2)
    .on('progress', (progress) => (last = progress));
  converted.save('small.mp4');
  await ended(converted);
  assert.ok(last.frames > 0, 'it told of no progress');
  const small = await probe('small.mp4');
  assert.deepEqual([small.streams[0].width, small.streams[0].height, small.streams[0].nb_frames], [160, 90, 50]);

  const copied = ffmpeg(SOURCE).outputOptions('-c', 'copy').save('copy.mkv');
  await ended(copied);
  // From a stream to a stream.
  const pipe = new PassThrough();
  const samples = [];
  pipe.on('data', (data) => samples.push(data));
  const streamed = ffmpeg(fs.createReadStream('copy.mkv')).noVideo().audioChannels(1).audioFrequency(8000).format('s16le');
  streamed.pipe(pipe);
  await ended(streamed);
  const seconds = Buffer.concat(samples).length / 2 / 8000;
  assert.ok(Math.abs(seconds - 5.28) < 0.1, `${seconds} s of sound`);

  const shots = ffmpeg(SOURCE).screenshots({ timestamps: ['20%', '80%'], filename: 'shot-%i.png', size: '320x180' });
  await ended(shots);
  for (const name of ['shot-1.png', 'shot-2.png']) {
    assert.equal((await probe(name)).streams[0].width, 320);
  }
  assert.notDeepEqual(fs.readFileSync('shot-1.png'), fs.readFileSync('shot-2.png'));

  const killed = ffmpeg(SOURCE).size('1280x720').inputOptions('-re').save('killed.mp4');
  killed.on('start', () => setTimeout(() => killed.kill(), 500));
  await assert.rejects(ended(killed), /killed with signal SIGKILL/);
  await assert.rejects(probe('missing.mp4'), /No such file or directory/);
  console.log('fluent-ffmpeg works');
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
