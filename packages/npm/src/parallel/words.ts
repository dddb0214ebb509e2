// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// The parts of a command, and what each option acts on. It is what runtime/src/parallel/words.rs is in Rust.
//
// Options are told by a list: one that is not in it might act across frames, so that its command is left whole.

import { type Ratio, rateOf, timeUs } from './units.ts';
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
    'qp',
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
    'write_btrt',
    'hls_time',
    'hls_init_time',
    'hls_list_size',
    'hls_flags',
    'hls_playlist_type',
    'hls_segment_type',
    'hls_segment_filename',
    'hls_fmp4_init_filename',
    'hls_allow_cache',
    'hls_base_url',
    'start_number',
    'seg_duration',
    'frag_duration',
    'adaptation_sets',
    'init_seg_name',
    'media_seg_name',
    'use_template',
    'use_timeline',
    'dash_segment_type',
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

/** The tables by which options are told, for comparisons with those in Rust. */
export const TABLES = { VALUED, FLAGS };

function acts(name: string): Acts[] {
  return [...VALUED, ...FLAGS].flatMap(([acting, ...names]) => (names.includes(name) ? [acting] : []));
}

/** The parts of a text before and after the first place of another; the second is missing if it is not there. */
export function splitOnce(text: string, by: string): [before: string, after: string | undefined] {
  const at = text.indexOf(by);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + by.length)];
}

type Option = [name: string, value: string | undefined];

/** The part of a file that is wanted: `-ss`, `-t` and `-to`. */
export class Reach {
  startUs: number | undefined;
  private durationUs: number | undefined;
  private stopUs: number | undefined;
  /** The options as they are given. */
  readonly words: string[] = [];

  /** Takes an option if it is one of these. */
  take(name: string, value: string): boolean {
    if (name !== 'ss' && name !== 't' && name !== 'to') return false;
    const us = timeUs(value);
    if (us === undefined) throw new Whole(`-${name} ${value} is not a time that a plan follows`);
    if (name === 'ss') this.startUs = us;
    else if (name === 't') this.durationUs = us;
    else this.stopUs = us;
    this.words.push(`-${name}`, value);
    return true;
  }

  /** How long it is, in microseconds, if it is not as long as there is something. */
  lengthUs(): number | undefined {
    return this.durationUs ?? (this.stopUs === undefined ? undefined : this.stopUs - (this.startUs ?? 0));
  }
}

const PICTURES = ['[0:v]', '[0:v:0]', '[0:V]', '[0:V:0]'];

/** A command with one input and one output. */
export class Words {
  readonly globals: string[] = [];
  /** The options before the input, but for those of its reach. */
  readonly ofInput: string[] = [];
  readonly ofInputReach = new Reach();
  input = '';
  /** The options of the output for its picture, without filters. */
  readonly picture: string[] = [];
  /** Those for all else of the output. */
  readonly other: string[] = [];
  readonly ofOutputReach = new Reach();
  filters: string | undefined;
  /** The filters are those of a graph, so that the picture has nothing of what the input says of it. */
  hasGraph = false;
  /** The constant rate that is asked for, in frames a second. */
  rate: Ratio | undefined;
  /** A constant rate is asked for, without saying which. */
  isConstant = false;
  /** The values of `-map`. */
  readonly maps: string[] = [];
  format: string | undefined;
  output = '';
  /** The kinds of streams that the output shall not have: `a`, `s`, `d`. */
  without = '';
  mayOverwrite = false;
  /** The options of the picture by their names, without specifiers of streams. */
  private readonly values = new Map<string, string>();
  private graph: string | undefined;

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
    if (words.mayOverwrite && words.globals.includes('-n')) throw new Whole('it has both -y and -n');
    if (words.graph !== undefined) words.takeGraph(words.graph);
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

  /** The options of the whole run, but for whether the output may be overwritten, which is known before. */
  globalsOfJoin(): string[] {
    return this.globals.filter((word) => word !== '-y' && word !== '-n');
  }

  /** The values of an option of the output, with any specifier, by the option as it is given. */
  pairsOf(option: string): [name: string, value: string][] {
    const pairs = this.other.slice(1).map((value, at): [string, string] => [this.other[at] ?? '', value]);
    return pairs.filter(([name]) => name.split(':')[0] === option);
  }

  /** The output's format, or its ending if none is named. */
  container(): string {
    const at = this.output.lastIndexOf('.');
    return this.format ?? (at < 0 ? '' : this.output.slice(at + 1));
  }

  /** Takes a graph that is one chain from the input's picture to the output's for what it is. */
  private takeGraph(graph: string): void {
    if (this.filters !== undefined) throw new Whole('it has a chain of filters and a graph');
    const text = graph.trim();
    const chain = text.slice(PICTURES.find((picture) => text.startsWith(picture))?.length ?? 0);
    const at = chain.endsWith(']') ? chain.lastIndexOf('[') : -1;
    const label = at < 0 ? undefined : chain.slice(at);
    const mapped = this.maps.flatMap((map, place) => (map === label ? [place] : []));
    const [place] = mapped;
    const isMapped = label !== undefined && mapped.length === 1;
    if (!isMapped && (label !== undefined || this.maps.length > 0)) {
      throw new Whole('its filters are more than a chain');
    }
    if (place !== undefined) this.maps[place] = '0:V:0';
    this.filters = (at < 0 ? chain : chain.slice(0, at)).trim();
    this.hasGraph = true;
  }

  private inputOption([name, value]: Option): void {
    if (this.ofInputReach.take(name, value ?? '')) return;
    const [base] = splitOnce(name, ':');
    if (!acts(base).includes('onInput')) throw new Whole(`-${name} before the input may move or change it`);
    this.ofInput.push(`-${name}`, ...(value === undefined ? [] : [value]));
  }

  private outputOption([name, value]: Option): void {
    const [base, specifier = ''] = splitOnce(name, ':');
    const [kind] = splitOnce(specifier, ':');
    if (this.ofOutputReach.take(name, value ?? '')) return;
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
    else if (base === 'filter_complex' || base === 'lavfi') this.setGraph(value);
    else if (base === 'r' && ['', 'v', 'V'].includes(kind)) this.setRate(value);
    else if (base === 'fps_mode' || base === 'vsync') return this.takesTimes(value);
    else return false;
    return true;
  }

  private setGraph(value: string): void {
    if (this.graph !== undefined) throw new Whole('it has several graphs of filters');
    this.graph = value;
  }

  private setRate(value: string): void {
    this.rate = rateOf(value);
    if (!this.rate) throw new Whole(`-r ${value} is not a rate that a plan follows`);
  }

  private takesTimes(value: string): boolean {
    const isConstant = value === 'cfr' || value === '1';
    this.isConstant ||= isConstant;
    return isConstant || ['vfr', 'auto', '-1', '2'].includes(value);
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
