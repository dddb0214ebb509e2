//! The part of the input that a command wants, by `-ss`, `-t` and `-to`, and the clock of its filters.

use super::source::Source;
use super::whole::Whole;
use super::words::Words;
use crate::probe::Rational;

/// The part of the input that a command wants. Times are those of the input's packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// The time at which the clock of the filters is zero.
    pub origin: i64,
    /// The frames that the command's filters see.
    pub seen: Bounds,
    /// The frames that are encoded, if the filters make one of each.
    pub made: Bounds,
}

/// Frames in the order in which they are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// The time of the first, where it is not the first that the decoder makes.
    pub first: Option<i64>,
    /// The time of the first after them.
    pub end: Option<i64>,
}

impl Bounds {
    pub fn contains(self, time: i64) -> bool {
        self.first.is_none_or(|first| time >= first) && self.end.is_none_or(|end| time < end)
    }
}

/// Formats in which ffmpeg finds the key frame before any time.
const INDEXED: &[&str] = &["mov", "matroska"];

impl Stretch {
    pub fn new(words: &Words, source: &Source) -> Result<Stretch, Whole> {
        let times = source.times();
        let begin_us = words.of_input_reach.start_us.unwrap_or_default();
        let origin = source.units(source.start_us() + begin_us);
        let seen = seen(words, source, &times, origin)?;
        let made = made(words, source, &times, origin, seen)?;
        Ok(Stretch { origin, seen, made })
    }

    /// Whether the first frame is at the beginning of the clock.
    pub fn begins_at_zero(&self, source: &Source) -> bool {
        let first = source.times().into_iter().find(|time| self.made.contains(*time));
        first == Some(self.origin)
    }

    /// Whether the frames come at this rate, from the output's beginning on, so that nothing has to be done for a constant rate.
    pub fn is_constant(&self, words: &Words, source: &Source, rate: Rational) -> bool {
        const APART_MAX: f64 = 0.05;
        let Some(rate) = rate.value() else {
            return false;
        };
        let begin = words.of_output_reach.start_us.unwrap_or_default() as f64 / 1e6;
        let times = source.times().into_iter().filter(|time| self.made.contains(*time));
        let mut places = times.map(|time| (source.seconds(time - self.origin) - begin) * rate);
        (0_u32..)
            .zip(&mut places)
            .all(|(at, place)| (place - f64::from(at)).abs() < APART_MAX)
    }
}

/// What is shown of the input.
fn seen(words: &Words, source: &Source, times: &[i64], origin: i64) -> Result<Bounds, Whole> {
    let reach = &words.of_input_reach;
    let mut seen = Bounds::default();
    if reach.start_us.is_some() {
        if !source.is(INDEXED) {
            return Err(Whole::new("-ss before the input may not be exact in its format"));
        }
        let first = times.iter().find(|time| **time >= origin);
        seen.first = Some(*first.ok_or_else(|| Whole::new("-ss is after the end of the input's video"))?);
    }
    let Some(length_us) = reach.length_us() else {
        return Ok(seen);
    };
    let first = seen.first.map_or_else(|| first_shown(source, times), Ok)?;
    let length = positive(source.units(length_us))?;
    seen.end = times.iter().copied().find(|time| time - first >= length);
    Ok(seen)
}

/// What is encoded of what is seen. That nothing is encoded after the end is for the segments' own `-t` as well.
fn made(words: &Words, source: &Source, times: &[i64], origin: i64, seen: Bounds) -> Result<Bounds, Whole> {
    let reach = &words.of_output_reach;
    let mut made = seen;
    if let Some(start_us) = reach.start_us {
        let at = origin + source.units(start_us);
        let first = times.iter().find(|time| **time >= at && seen.contains(**time));
        made.first = Some(*first.ok_or_else(|| Whole::new("-ss is after the end of the input's video"))?);
    }
    if let Some(length_us) = reach.length_us() {
        let first = made.first.map_or_else(|| first_shown(source, times), Ok)?;
        let length = positive(source.units(length_us))?;
        let end = times.iter().copied().find(|time| time - first >= length);
        made.end = made.end.into_iter().chain(end).min();
    }
    Ok(made)
}

/// The first frame that a decoder makes, where that is sure.
fn first_shown(source: &Source, times: &[i64]) -> Result<i64, Whole> {
    let begins = source
        .packets
        .first()
        .is_some_and(|packet| packet.is_key && !packet.is_discarded);
    let first = source.packets.first().map(|packet| packet.time);
    match first {
        Some(first) if begins && times.first() == Some(&first) => Ok(first),
        _ => Err(Whole::new("-t is counted from a first frame that may not be decoded")),
    }
}

fn positive(length: i64) -> Result<i64, Whole> {
    match length > 0 {
        true => Ok(length),
        false => Err(Whole::new("its -t or -to leaves nothing")),
    }
}
