// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// The parts of a command, and what each option acts on. It is what runtime/src/parallel/words.rs is in Rust.
//
// Options are told by a list: one that is not in it might act across frames, so that its command is left whole.

import { Whole } from './whole.ts';

/**
 * What an option acts on: the whole run; how the input is read and decoded; the picture, frame by frame or in its
 * encoder; sound, subtitles and the container; what is beyond a frame, or unlike anything that a plan has; and either,
 * where a specifier of streams tells, and without one both have it.
 */
type Acts = 'globally' | 'onInput' | 'onPicture' | 'onOther' | 'onAll' | 'onBoth';

/** Options with a value. */
const VALUED: readonly [Acts, ...string[]][] = [
  ['globally', 'loglevel', 'v', 'stats_period', 'progress', 'filter_threads', 'cpuflags', 'max_alloc'],
  ['onInput', 'probesize', 'analyzeduration', 'fflags', 'f', 'threads', 'c', 'codec', 'vcodec', 'acodec', 'scodec'],
  [
    'onPicture',
    'vcodec',
    'vb',
    'crf',
    'preset',
    'tune',
    'level',
    'pix_fmt',
    'g',
    'keyint_min',
    'bf',
    'refs',
    'qmin',
    'qmax',
    'qdiff',
    'maxrate',
    'minrate',
    'bufsize',
    'x264-params',
    'x264opts',
    'x265-params',
    'svtav1-params',
    'aq-mode',
    'aq-strength',
    'rc-lookahead',
    'me_range',
    'me_method',
    'motion-est',
    'subq',
    'trellis',
    'coder',
    'deadline',
    'quality',
    'cpu-used',
    'row-mt',
    'tile-columns',
    'tile-rows',
    'auto-alt-ref',
    'lag-in-frames',
    'static-thresh',
    'sc_threshold',
    's',
    'aspect',
    'color_range',
    'color_primaries',
    'color_trc',
    'colorspace',
    'chroma_sample_location',
    'sws_flags',
    'threads',
    'slices',
    'slicecrc',
    'context',
    'vendor',
    'bits_per_mb',
    'quant_mat',
    'mbd',
    'cmp',
    'subcmp',
    'rc_mode',
    'qcomp',
    'b_strategy',
    'weightp',
    'weightb',
    '8x8dct',
    'partitions',
    'direct-pred',
    'rdoq',
    'huffman',
    'mpv_flags',
  ],
  [
    'onOther',
    'acodec',
    'scodec',
    'ab',
    'ar',
    'ac',
    'aq',
    'af',
    'sample_fmt',
    'channel_layout',
    'ch_layout',
    'aac_coder',
    'cutoff',
    'movflags',
    'brand',
    'video_track_timescale',
    'metadata',
    'map_metadata',
    'map_chapters',
    'disposition',
    'max_muxing_queue_size',
    'max_interleave_delta',
    'vtag',
    'atag',
    'stag',
    'tag',
    'application',
    'vbr',
    'compression_level',
    'reserve_index_space',
    'cluster_time_limit',
    'cues_to_front',
    'default_mode',
    'write_tmcd',
    'muxrate',
    'muxdelay',
    'muxpreload',
    'mpegts_flags',
    'avoid_negative_ts',
    'use_editlist',
  ],
  ['onBoth', 'c', 'codec', 'b', 'q', 'qscale', 'profile', 'flags', 'strict', 'filter', 'fflags'],
];

/** Options without a value. */
const FLAGS: readonly [Acts, ...string[]][] = [
  ['globally', 'hide_banner', 'stats', 'nostats', 'y', 'n', 'nostdin', 'stdin', 'bitexact'],
  ['onInput', 'noautorotate', 'autorotate', 'bitexact'],
  ['onOther', 'an', 'sn', 'dn'],
  [
    'onAll',
    'accurate_seek',
    'noaccurate_seek',
    'benchmark',
    'copy_unknown',
    'copyinkf',
    'copyts',
    'dump',
    'fix_sub_duration',
    'ignore_unknown',
    're',
    'report',
    'shortest',
    'start_at_zero',
    'vn',
    'xerror',
  ],
  ['onBoth', 'bitexact'],
];

/** Filters that make a frame of one frame, by that and its time alone. */
const STATELESS: readonly string[] = [
  'ass',
  'avgblur',
  'boxblur',
  'chromashift',
  'colorbalance',
  'colorchannelmixer',
  'colorlevels',
  'colormatrix',
  'colorspace',
  'colortemperature',
  'copy',
  'crop',
  'curves',
  'delogo',
  'drawbox',
  'drawgrid',
  'drawtext',
  'eq',
  'exposure',
  'format',
  'gblur',
  'hflip',
  'histeq',
  'hue',
  'lenscorrection',
  'limiter',
  'lut',
  'lut3d',
  'lutrgb',
  'lutyuv',
  'monochrome',
  'negate',
  'null',
  'pad',
  'perspective',
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
  'subtitles',
  'tonemap',
  'transpose',
  'unsharp',
  'vflip',
  'vibrance',
  'vignette',
  'zscale',
];

/** The tables by which options and filters are told, for comparisons with those in Rust. */
export const TABLES = { VALUED, FLAGS, STATELESS };

function acts(name: string): Acts[] {
  return [...VALUED, ...FLAGS].flatMap(([acting, ...names]) => (names.includes(name) ? [acting] : []));
}

/** The parts of a text before and after the first place of another; the second is missing if it is not there. */
export function splitOnce(text: string, by: string): [before: string, after: string | undefined] {
  const at = text.indexOf(by);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + by.length)];
}

type Option = [name: string, value: string | undefined];

/** A command with one input and one output. */
export class Words {
  readonly globals: string[] = [];
  /** The options before the input. */
  readonly ofInput: string[] = [];
  input = '';
  /** The options of the output for its picture, without filters. */
  readonly picture: string[] = [];
  /** Those for all else of the output. */
  readonly other: string[] = [];
  filters: string | undefined;
  /** The values of `-map`. */
  readonly maps: string[] = [];
  format: string | undefined;
  output = '';
  /** The kinds of streams that the output shall not have: `a`, `s`, `d`. */
  without = '';
  mayOverwrite = false;
  /** The options of the picture by their names, without specifiers of streams. */
  private readonly values = new Map<string, string>();

  /** Reads the arguments after the program's name. Throws {@link Whole}. */
  static read(args: readonly string[]): Words {
    const words = new Words();
    const pending: Option[] = [];
    let [hasInput, hasOutput] = [false, false];
    for (let at = 0; at < args.length; at++) {
      const arg = args[at] ?? '';
      const name = arg.slice(1);
      if (!arg.startsWith('-') || name === '') {
        if (hasOutput) throw new Whole('it has several outputs');
        hasOutput = true;
        words.output = arg;
        for (const option of pending.splice(0)) words.outputOption(option);
        continue;
      }
      if (hasOutput && name !== 'y' && name !== 'n') {
        throw new Whole('it has several outputs, or options after its output');
      }
      const [base] = splitOnce(name, ':');
      const isFlag = FLAGS.some(([, ...names]) => names.includes(base));
      const value = isFlag ? undefined : args[++at];
      if (!isFlag && value === undefined) throw new Whole(`-${name} has no value`);
      if (name === 'i') {
        if (hasInput) throw new Whole('it has several inputs');
        hasInput = true;
        words.input = value ?? '';
        for (const option of pending.splice(0)) words.inputOption(option);
      } else if (acts(base).includes('globally') && !(base === 'bitexact' && hasInput)) {
        words.mayOverwrite ||= base === 'y';
        words.globals.push(arg, ...(value === undefined ? [] : [value]));
      } else {
        pending.push([name, value]);
      }
    }
    if (!hasInput || !hasOutput) throw new Whole('it has no input and output');
    return words;
  }

  /** The value of the first of these options of the picture that is given. */
  value(...names: string[]): string | undefined {
    return this.values.get(names.find((name) => this.values.has(name)) ?? '');
  }

  /** The encoder of the picture, if it is named. */
  encoder(): string | undefined {
    return this.value('c', 'codec', 'vcodec');
  }

  /** The output's format, or its ending if none is named. */
  container(): string {
    const at = this.output.lastIndexOf('.');
    return this.format ?? (at < 0 ? '' : this.output.slice(at + 1));
  }

  private inputOption([name, value]: Option): void {
    const [base] = splitOnce(name, ':');
    if (!acts(base).includes('onInput')) throw new Whole(`-${name} before the input may move or change it`);
    this.ofInput.push(`-${name}`, ...(value === undefined ? [] : [value]));
  }

  private outputOption([name, value]: Option): void {
    const [base, specifier = ''] = splitOnce(name, ':');
    const [kind] = splitOnce(specifier, ':');
    if (this.isPartOfPlan(base, kind, value ?? '')) return;
    if (['an', 'sn', 'dn'].includes(base)) this.without += base.slice(0, 1);
    const [picture, other] = actsOn(base, kind);
    if (!picture && !other) throw new Whole(`-${name} is not known to act on each frame by itself`);
    const words = [`-${name}`, ...(value === undefined ? [] : [value])];
    if (picture) {
      this.values.set(base, value ?? '');
      this.picture.push(...words);
    }
    if (other) this.other.push(...words);
  }

  /** Takes an option that a plan has a place for. */
  private isPartOfPlan(base: string, kind: string, value: string): boolean {
    if (base === 'map') this.maps.push(value);
    else if (base === 'f') this.format = value;
    else if (base === 'vf' || (base === 'filter' && kind === 'v')) this.filters = value;
    else return (base === 'fps_mode' || base === 'vsync') && ['vfr', 'auto', '-1', '2'].includes(value);
    return true;
  }
}

/** Whether an option acts on the picture, and whether on all else. */
function actsOn(base: string, kind: string): [picture: boolean, other: boolean] {
  const all = acts(base);
  const has = (one: Acts) => all.includes(one);
  // A tag and a disposition of the picture belong to the container.
  const ofContainer = ['tag', 'disposition', 'metadata', 'map_metadata'].includes(base) && kind !== '';
  switch (kind) {
    case 'v':
    case 'V':
      return [has('onPicture') || has('onBoth'), ofContainer];
    case 'a':
    case 's':
    case 'd':
    case 't':
      return [false, has('onOther') || has('onBoth') || ofContainer];
    case '':
      return has('onBoth') ? [true, true] : [has('onPicture'), has('onOther')];
    default:
      // Metadata of streams, of chapters, of programs.
      return [false, ofContainer || ['metadata', 'map_metadata', 'disposition'].includes(base)];
  }
}

/** What asks for more than a frame, in the options of a filter. */
const COUNTS = ['n', 'frame_num', 'start_number', 'localtime', 'reload', 'random'];

/** Checks that a graph is a chain of filters of which each makes a frame of one frame. */
export function checkFilters(graph: string): void {
  if (/[[;]/.test(graph)) throw new Whole('its filters are more than a chain');
  for (const filter of splitFilters(graph)) {
    const [before, options = ''] = splitOnce(filter, '=');
    const name = splitOnce(before, '@')[0].trim();
    if (!STATELESS.includes(name)) throw new Whole(`the filter ${name} is not known to act on each frame by itself`);
    if (options.split(/[^A-Za-z0-9_]/).some((word) => COUNTS.includes(word))) {
      throw new Whole(`the filter ${name} counts frames, or asks for more than a frame`);
    }
  }
}

/** Splits at commas that are neither quoted nor escaped; quotes stay. */
function splitFilters(graph: string): string[] {
  const filters: string[] = [];
  let [filter, isQuoted, isEscaped] = ['', false, false];
  for (const character of graph) {
    if (character === ',' && !isQuoted && !isEscaped) {
      filters.push(filter);
      filter = '';
      continue;
    }
    if (character === "'" && !isEscaped) isQuoted = !isQuoted;
    isEscaped = character === '\\' && !isEscaped && !isQuoted;
    filter += character;
  }
  return [...filters, filter];
}
