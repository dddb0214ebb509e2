// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// Plans are those that the crate makes, which has written its own down. AFMPEG_NODE_MODULES names the folder that has
// esbuild.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const { build } = createRequire(join(process.env.AFMPEG_NODE_MODULES, 'here'))('esbuild');
const here = (name) => fileURLToPath(new URL(name, import.meta.url));

async function compiled(contents) {
  const stdin = { contents, loader: 'ts', resolveDir: here('../src') };
  const options = { bundle: true, format: 'esm', logLevel: 'warning', target: 'es2022', write: false };
  const [{ text }] = (await build({ stdin, ...options })).outputFiles;
  return import(`data:text/javascript,${encodeURIComponent(text)}`);
}

const {
  Before,
  ENCODERS,
  Encoded,
  LimitError,
  Line,
  microseconds,
  plan,
  readProbe,
  STATELESS,
  Source,
  TABLES,
  Unfit,
  Whole,
  Words,
} = await compiled(`
  export { LimitError } from './errors.ts';
  export { STATELESS } from './parallel/filters.ts';
  export { Before, Encoded, Unfit } from './parallel/join.ts';
  export { Line } from './parallel/line.ts';
  export { ENCODERS, microseconds, plan } from './parallel/plan.ts';
  export { Source } from './parallel/source.ts';
  export { Whole } from './parallel/whole.ts';
  export { TABLES, Words } from './parallel/words.ts';
  export { readProbe } from './probe.ts';
`);

const SNAPSHOT =
  '../../../runtime/src/parallel/snapshots/afmpeg__parallel__plan__tests__plans_follow_from_a_command_and_its_input.snap';
/** What the crate makes, below the lines by which its tests know it. */
const known = JSON.parse(readFileSync(here(SNAPSHOT), 'utf8').replace(/^---\n.*?\n---\n/s, ''));

/** A frame each 40 ms, from 1.5 s on, with a key frame each two seconds. */
function source(frames) {
  const line = (frame) => `${1500 + 40 * frame},${100 + frame},${frame % 50 === 0 ? 'K__' : '___'}`;
  const stdout = new TextEncoder().encode(JSON.stringify(known.probe));
  return new Source(readProbe({ stdout, stderr: '' }), 1, Array.from({ length: frames }, (_, at) => line(at)).join('\n'));
}

const planned = ({ command, frames }) => plan(Words.read(command.split(' ')), source(frames));

test('options, filters and encoders are told by the same tables', () => {
  const named = (table) => table.map(([acts, ...names]) => [acts[0].toUpperCase() + acts.slice(1), ...names]);
  assert.deepEqual(named(TABLES.VALUED), known.valued);
  assert.deepEqual(named(TABLES.FLAGS), known.flags);
  assert.deepEqual(STATELESS, known.stateless);
  assert.deepEqual(ENCODERS, known.encoders);
});

test('plans follow from a command and its input', () => {
  assert.ok(known.plans.length > 4);
  for (const { command, frames, count, segments, ...wanted } of known.plans) {
    const made = planned({ command, frames });
    const shown = made.segments.map(({ start, end, frames, firstPass, args }) => {
      return { start, end, frames, first_pass: firstPass && firstPass.join(' '), args: args.join(' ') };
    });
    assert.equal(shown.length, count, command);
    assert.deepEqual(shown.slice(0, segments.length), segments);
    const { join, level, output, partial, isPlaylist } = made;
    const shownLevel = level && level.join(' ');
    assert.deepEqual({ join: join.join(' '), level: shownLevel, output, partial, is_playlist: isPlaylist }, wanted);
  }
});

test('what the crate leaves whole is left whole, for the same reason', () => {
  assert.ok(known.whole.length > 10);
  for (const { reason, ...given } of known.whole) {
    assert.throws(
      () => planned(given),
      (error) => error instanceof Whole && error.message === reason,
      given.command,
    );
  }
});

test('times have the digits that the crate writes', () => {
  assert.ok(known.seconds.length > 3);
  for (const [seconds, text] of known.seconds) assert.equal(microseconds(seconds), text);
});

function box(kind, ...contents) {
  const content = Buffer.concat(contents);
  const size = Buffer.alloc(4);
  size.writeUInt32BE(content.length + 8);
  return Buffer.concat([size, Buffer.from(kind), content]);
}

function words(...values) {
  const bytes = Buffer.alloc(4 * values.length);
  values.forEach((value, at) => bytes.writeInt32BE(value, 4 * at));
  return bytes;
}

/** A segment of frames by the times at which they are decoded and shown. */
function bytes(parameter, frames) {
  const track = box('trak', box('mdia', box('mdhd', words(0, 0, 0, 1000, 0, 0))));
  const head = [box('ftyp', Buffer.from('isom')), box('moov', track, box('xxxx', Buffer.from([parameter])))];
  const fragments = frames.flatMap(([decoded, shown]) => {
    const run = box('trun', words(0x800, 1, shown - decoded));
    const times = box('tfdt', words(0x01000000, 0, decoded));
    return [box('moof', box('traf', times, run)), box('mdat', Buffer.from('data'))];
  });
  return new Uint8Array(Buffer.concat([...head, ...fragments, box('mfra')]));
}

const segment = (parameter, frames) => new Encoded(bytes(parameter, frames));

test('segments become one stream with the times of one', () => {
  const before = new Before();
  const first = segment(1, [
    [920, 1000],
    [960, 1120],
    [1000, 1040],
    [1040, 1080],
  ]);
  assert.deepEqual([first.frameCount, first.firstSeconds()], [4, 1]);
  const whole = first.follow(before);
  assert.equal(whole.length, 2);
  assert.ok(Buffer.from(whole[1]).toString('latin1').endsWith('mdatdata'), 'what follows the fragments is left out');
  // Its encoder took the frames before for as far from each other as its own are, which are farther.
  const second = segment(1, [
    [1000, 1200],
    [1100, 1500],
    [1200, 1300],
    [1300, 1400],
  ]);
  whole.push(...second.follow(before), ...segment(1, []).follow(before));
  // In another order the times would overlap.
  const { frames } = new Encoded(new Uint8Array(Buffer.concat(whole)));
  assert.deepEqual(
    frames.map(({ decoded }) => decoded),
    [920, 960, 1000, 1040, 1080, 1120, 1200, 1300],
  );
  assert.deepEqual(
    frames.map(({ shown }) => shown),
    [1000, 1120, 1040, 1080, 1200, 1500, 1300, 1400],
  );
});

test('segments that do not fit are refused', () => {
  const before = new Before();
  segment(1, [
    [0, 0],
    [40, 40],
  ]).follow(before);
  assert.throws(() => segment(1, [[40, 40]]).follow(before), Unfit, 'it is earlier');
  assert.throws(() => segment(2, [[80, 80]]).follow(before), Unfit, 'it has another head');
  const good = bytes(1, [[0, 0]]);
  for (let end = 0; end < good.length - 8; end++) {
    try {
      assert.equal(new Encoded(good.slice(0, end)).frameCount, 0, `${end} bytes of ${good.length}`);
    } catch (error) {
      assert.ok(error instanceof Unfit, String(error));
    }
  }
});

/** Whether a promise is still open when all that is there has had its turn. */
async function waits(promise) {
  const open = Symbol('open');
  const turn = new Promise((resolve) => setTimeout(() => resolve(open), 0));
  return (await Promise.race([promise, turn])) === open;
}

test('segments are read in order, and few are ahead', async () => {
  const at = (index) => segment(1, [[100 * index, 100 * index]]);
  const line = new Line(4, 2, 10_000);
  assert.deepEqual([await line.take(), await line.take()], [0, 1]);
  const third = line.take();
  const parts = line.parts();
  const head = parts.next();
  line.put(1, at(1));
  assert.ok((await waits(third)) && (await waits(head)), 'the first one is not there');
  line.put(0, at(0));
  assert.equal(await line.first(), 0);
  assert.ok(Buffer.from((await head).value).includes('moov'));
  assert.ok(await waits(third), 'no segment was read');
  assert.ok(Buffer.from((await parts.next()).value).includes('mdat'));
  assert.equal(await third, 2);
  assert.throws(() => line.checkRead(), Unfit);
  line.put(2, at(2));
  line.put(3, at(3));
  const rest = [];
  for await (const part of parts) rest.push(part);
  line.checkRead();
  assert.deepEqual([rest.length, line.frameCount, await line.take()], [3, 4, 3]);
});

test('a failure ends all that waits, and segments that wait have a limit', async () => {
  const line = new Line(4, 1, 10_000);
  await line.take();
  const waiting = [line.take(), line.first(), line.parts().next().catch((error) => error)];
  line.fail();
  const [next, first, error] = await Promise.all(waiting);
  assert.deepEqual([next, first, error instanceof Unfit], [undefined, undefined, true]);
  const one = segment(1, [[0, 0]]);
  assert.throws(() => new Line(1, 1, one.sizeBytes - 1).put(0, one), LimitError);
  assert.throws(() => new Line(1, 1, 10_000).put(0, segment(1, [])), Unfit, 'there are no frames');
});
