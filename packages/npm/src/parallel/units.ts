// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// Times, rates and amounts as ffmpeg's options write them. It is what runtime/src/parallel/units.rs is in Rust.

/** A fraction of whole numbers. */
export interface Ratio {
  numerator: number;
  denominator: number;
}

const SECOND = 1_000_000;

/** A time in microseconds: `90`, `1:30`, `00:01:30.5`, `1500ms`. None if it is anything else, or negative. */
export function timeUs(text: string): number | undefined {
  const parts = text.split(':');
  const last = parts.pop() ?? '';
  const [minutes, hours, ...more] = parts.toReversed().map(digits);
  if (more.length > 0 || (parts.length > 0 && minutes === undefined) || (parts.length > 1 && hours === undefined)) {
    return undefined;
  }
  let [number, unitUs] = [last, SECOND];
  if (parts.length === 0) {
    if (last.endsWith('us')) [number, unitUs] = [last.slice(0, -2), 1];
    else if (last.endsWith('ms')) [number, unitUs] = [last.slice(0, -2), 1000];
    else if (last.endsWith('s')) number = last.slice(0, -1);
  }
  const at = number.indexOf('.');
  const [whole, fraction] = at < 0 ? [number, ''] : [number.slice(0, at), number.slice(at + 1)];
  const seconds = digits(whole);
  if (seconds === undefined || !/^\d*$/.test(fraction)) return undefined;
  // ffmpeg leaves out what is below a microsecond.
  const below = Number(fraction.padEnd(6, '0').slice(0, 6));
  const allUs = ((minutes ?? 0) * 60 + (hours ?? 0) * 3600 + seconds) * unitUs + Math.floor((below * unitUs) / SECOND);
  return Number.isSafeInteger(allUs) ? allUs : undefined;
}

function digits(text: string): number | undefined {
  return /^\d{1,12}$/.test(text) ? Number(text) : undefined;
}

/** Microseconds, as seconds. */
export function asSeconds(us: number): string {
  return `${Math.floor(us / SECOND)}.${String(us % SECOND).padStart(6, '0')}`;
}

const RATES: Record<string, Ratio> = {
  ntsc: { numerator: 30000, denominator: 1001 },
  pal: { numerator: 25, denominator: 1 },
  film: { numerator: 24, denominator: 1 },
};

/** A rate of frames a second: `25`, `30000/1001`, `ntsc`. */
export function rateOf(text: string): Ratio | undefined {
  if (Object.hasOwn(RATES, text)) return RATES[text];
  const at = text.indexOf('/');
  const numerator = digits(at < 0 ? text : text.slice(0, at));
  const denominator = at < 0 ? 1 : digits(text.slice(at + 1));
  return numerator && denominator ? { numerator, denominator } : undefined;
}

/** Whether two fractions are equal. */
export function isSame(one: Ratio, other: Ratio): boolean {
  const numbers = [one, other].flatMap(({ numerator, denominator }) => [numerator, denominator]);
  if (!numbers.every(Number.isSafeInteger)) return false;
  const product = ({ numerator }: Ratio, { denominator }: Ratio) => BigInt(numerator) * BigInt(denominator);
  return product(one, other) === product(other, one);
}

const FACTORS: Record<string, number> = { k: 1e3, K: 1e3, M: 1e6, G: 1e9 };

/** Bits a second, or bits: `800000`, `800k`, `1.5M`. */
export function bits(text: string): number | undefined {
  const factor = FACTORS[text.slice(-1)];
  const number = factor === undefined ? text : text.slice(0, -1);
  return /^(\d+\.?\d*|\.\d+)$/.test(number) ? Number(number) * (factor ?? 1) : undefined;
}
