// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// Which chains of filters can be cut, and how many frames around a segment they have to see. It is what
// runtime/src/parallel/filters.rs is in Rust.
//
// Filters are told by a list: one that is not in it might remember what is long past, so that its command is left whole.

import { type Ratio, rateOf } from './units.ts';
import { Whole } from './whole.ts';

/** What a chain of filters needs of a cut. */
export interface Chain {
  /** How many frames before the first of a segment it has to see, and after the last. */
  before: number;
  after: number;
  /** It makes other frames than one of each. */
  changesTimes: boolean;
  /** The constant rate of what comes out, in frames a second, if a filter makes it constant. */
  rate: Ratio | undefined;
}

/** Whether a segment's frames depend on no others. */
export function isStateless({ before, after, changesTimes }: Chain): boolean {
  return before === 0 && after === 0 && !changesTimes;
}

/** Filters that make a frame of one frame, by that and its time alone. */
export const STATELESS: readonly string[] = [
  'ass',
  'avgblur',
  'bilateral',
  'boxblur',
  'cas',
  'chromahold',
  'chromakey',
  'chromanr',
  'chromashift',
  'colorbalance',
  'colorchannelmixer',
  'colorhold',
  'colorkey',
  'colorlevels',
  'colormatrix',
  'colorspace',
  'colortemperature',
  'convolution',
  'copy',
  'crop',
  'curves',
  'deband',
  'delogo',
  'dilation',
  'drawbox',
  'drawgrid',
  'drawtext',
  'edgedetect',
  'eq',
  'erosion',
  'exposure',
  'fieldorder',
  'fillborders',
  'format',
  'gblur',
  'gradfun',
  'hflip',
  'histeq',
  'hue',
  'lenscorrection',
  'limiter',
  'lut',
  'lut3d',
  'lutrgb',
  'lutyuv',
  'median',
  'monochrome',
  'negate',
  'nlmeans',
  'null',
  'pad',
  'perspective',
  'pixelize',
  'prewitt',
  'removegrain',
  'rgbashift',
  'rotate',
  'scale',
  'selectivecolor',
  'setdar',
  'setparams',
  'setrange',
  'setsar',
  'sharpen',
  'smartblur',
  'sobel',
  'subtitles',
  'swapuv',
  'tonemap',
  'transpose',
  'unsharp',
  'vflip',
  'vibrance',
  'zscale',
];

/** Words in options that ask for more than a frame and its time. */
const COUNTS = ['n', 'frame_num', 'start_number', 'localtime', 'reload', 'random', 'timecode'];

/** Functions that keep a number from one frame to the next. */
const REMEMBERS = ['st(', 'ld('];

/** Filters whose places may be made of the places that the frame before had. */
const PLACED = ['crop', 'drawtext'];

/** What hqdn3d has seen before so many frames is less than a step of brightness. */
const FADED_FRAMES = 50;

/** More frames than a plan decodes twice for one segment. */
const SEEN_MAX = 100;

/** Reads a graph of which each filter can be cut; without one, frames stay as they are. */
export function readChain(graph: string | undefined): Chain {
  const chain: Chain = { before: 0, after: 0, changesTimes: false, rate: undefined };
  if (graph === undefined) return chain;
  if (/[[;]/.test(graph)) throw new Whole('its filters are more than a chain');
  for (const filter of splitAt(graph, ',')) {
    const at = filter.indexOf('=');
    const [before, options] = at < 0 ? [filter, ''] : [filter.slice(0, at), filter.slice(at + 1)];
    const name = (before.split('@')[0] ?? '').trim();
    add(chain, name, options);
    const remembers = REMEMBERS.some((call) => options.includes(call));
    const counts = (word: string) => COUNTS.includes(word) || (name === 'perspective' && ['on', 'in'].includes(word));
    const isPlaced = PLACED.includes(name) && isPlacedAnew(options);
    if (remembers || isPlaced || wordsOf(options).some(counts)) {
      throw new Whole(`the filter ${name} counts frames, or asks for more than a frame`);
    }
  }
  if (Math.max(chain.before, chain.after) > SEEN_MAX) throw new Whole('its filters see too many frames at a time');
  return chain;
}

const OF_FRAMES = ['0', 'send_frame', '2', 'send_frame_nospatial'];
const OF_FIELDS = ['1', 'send_field', '3', 'send_field_nospatial'];

function add(chain: Chain, name: string, options: string): void {
  const unknown = () => new Whole(`the filter ${name} is not known to act on each frame by itself`);
  const saw = (before: number, after: number) => {
    chain.before += before;
    chain.after += after;
  };
  if (STATELESS.includes(name)) return;
  // How many frames it sees would be of another rate than the input's.
  if (chain.rate) throw unknown();
  switch (name) {
    case 'fps':
      chain.rate = rateOf(options.startsWith('fps=') ? options.slice(4) : options);
      if (!chain.rate) throw unknown();
      chain.changesTimes = true;
      return saw(1, 1);
    case 'yadif':
    case 'bwdif': {
      const mode = optionOf(options, 'mode', 0) ?? (name === 'yadif' ? 'send_frame' : 'send_field');
      if (OF_FIELDS.includes(mode)) chain.changesTimes = true;
      else if (!OF_FRAMES.includes(mode)) throw unknown();
      return saw(2, 2);
    }
    case 'tmix': {
      const frames = optionOf(options, 'frames', 0) ?? '3';
      if (!/^\+?\d{1,12}$/.test(frames) || Number(frames) > SEEN_MAX) throw unknown();
      return saw(Number(frames), 0);
    }
    case 'hqdn3d':
      return saw(FADED_FRAMES, 0);
    case 'fade':
      if (isByTime(options)) return;
      throw unknown();
    default:
      throw unknown();
  }
}

/** The value of a filter's option, by its name or, without one, by its place. */
function optionOf(options: string, name: string, place: number): string | undefined {
  const all = options.split(':');
  const named = all.findLast((option) => option.startsWith(`${name}=`))?.slice(name.length + 1);
  const placed = all[place]?.includes('=') ? undefined : all[place];
  return (named ?? placed) || undefined;
}

const FADE = ['type', 't', 'st', 'start_time', 'd', 'duration', 'alpha', 'c', 'color'];

/** Whether a fade begins and ends at times rather than at numbers of frames. */
function isByTime(options: string): boolean {
  const names = options.split(':').map((part, at) => {
    const [name = '', value] = part.split('=', 2);
    if (value !== undefined) return name;
    return at === 0 ? 'type' : '';
  });
  return names.every((name) => FADE.includes(name)) && names.some((name) => name === 'd' || name === 'duration');
}

function wordsOf(options: string): string[] {
  return options.split(/[^A-Za-z0-9_]/);
}

/** Whether a place depends on the one of the frame before: `x=x+1`. */
function isPlacedAnew(options: string): boolean {
  return splitAt(options, ':').some((option) => {
    const at = option.indexOf('=');
    const [name, value] = at < 0 ? ['', option] : [option.slice(0, at), option.slice(at + 1)];
    return ['', 'x', 'y'].includes(name) && wordsOf(value).some((word) => word === 'x' || word === 'y');
  });
}

/** Splits where the character is neither quoted nor escaped; quotes stay. */
function splitAt(text: string, separator: string): string[] {
  const parts: string[] = [];
  let [part, isQuoted, isEscaped] = ['', false, false];
  for (const character of text) {
    if (character === separator && !isQuoted && !isEscaped) {
      parts.push(part);
      part = '';
      continue;
    }
    if (character === "'" && !isEscaped) isQuoted = !isQuoted;
    isEscaped = character === '\\' && !isEscaped && !isQuoted;
    part += character;
  }
  return [...parts, part];
}
