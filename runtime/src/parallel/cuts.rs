//! Where a video is cut.

use super::filters::Chain;
use super::source::Source;
use super::stretch::Stretch;
use super::whole::Whole;

/// A segment, by times of the input's packets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// The key frame that reading begins at; without one, it is the input's beginning.
    pub seek: Option<i64>,
    /// The first frame that filters see, and the first that they do not.
    pub from: Option<i64>,
    pub until: Option<i64>,
    /// The first frame of the segment, and the first after it.
    pub begin: Option<i64>,
    pub end: Option<i64>,
    /// How many frames the segment has.
    pub frames: Option<u64>,
}

/// How long segments are at least: longer ones in longer videos, as each costs a key frame and what an encoder learns.
const SEGMENT_MIN_SECONDS: f64 = 4.0;
const SEGMENT_MAX_SECONDS: f64 = 30.0;
/// A segment has such a part of what is left, so that cores end at about the same time.
const PARTS_OF_REST: f64 = 12.0;

/// The last ones of a video of some length are shorter still.
const LAST_MIN_SECONDS: f64 = 2.0;
const PARTS_OF_LAST: f64 = 4.0;
const LONG_SECONDS: f64 = 40.0;

/// Cuts what is wanted of a video into segments.
pub fn parts(source: &Source, stretch: &Stretch, chain: &Chain) -> Result<Vec<Part>, Whole> {
    let times = source.times();
    let made: Vec<usize> = (0..times.len())
        .filter(|at| stretch.made.contains(times[*at]))
        .collect();
    let (Some(&first), Some(&last)) = (made.first(), made.last()) else {
        return Err(Whole::new("nothing of the video is wanted"));
    };
    let cuts = cuts(source, chain, &times, first, last);
    if cuts.is_empty() {
        return Err(Whole::new("the video is too short, or has too few key frames"));
    }
    let keys = source.keys();
    let begins = [None].into_iter().chain(cuts.iter().copied().map(Some));
    let ends = cuts.iter().copied().map(Some).chain([None]);
    let part = |(begin, end): (Option<usize>, Option<usize>)| {
        let frames = end.unwrap_or(last + 1).checked_sub(begin.unwrap_or(first));
        // Those of the whole where there is no cut.
        let begin = begin.or_else(|| stretch.made.first.map(|_| first));
        let end_time = end.map_or(stretch.made.end, |end| Some(times[end]));
        let end = end.or_else(|| stretch.made.end.map(|_| last + 1));
        let from = begin.map(|begin| times[begin.saturating_sub(chain.before)]);
        let from = from.max(stretch.seen.first);
        let until = end.and_then(|end| times.get(end + chain.after).copied());
        let until = until.into_iter().chain(stretch.seen.end).min();
        Part {
            seek: from.and_then(|from| keys.iter().copied().rfind(|key| *key <= from)),
            from,
            until: if chain.is_stateless() { end_time } else { until },
            begin: begin.map(|begin| times[begin]),
            end: end_time,
            frames: frames.and_then(|frames| frames.try_into().ok()),
        }
    };
    Ok(begins.zip(ends).map(part).collect())
}

/// The places, among all times, of frames at which segments begin, but for the first.
fn cuts(source: &Source, chain: &Chain, times: &[i64], first: usize, last: usize) -> Vec<usize> {
    let between = |one: usize, other: usize| source.seconds(times[other] - times[one]);
    let is_long = between(first, last) >= LONG_SECONDS;
    let mut cuts = Vec::new();
    let mut begin = first;
    for key in source.keys() {
        // What filters have to see before begins at the key frame.
        let Ok(at) = times.binary_search(&key).map(|at| at + chain.before) else {
            continue;
        };
        if at <= begin || at >= last {
            continue;
        }
        let rest = between(begin, last);
        let wanted = (rest / PARTS_OF_REST).clamp(SEGMENT_MIN_SECONDS, SEGMENT_MAX_SECONDS);
        let wanted = match is_long {
            true => wanted.min((rest / PARTS_OF_LAST).max(LAST_MIN_SECONDS)),
            false => wanted,
        };
        // The last one is not shorter than half of the others.
        if between(begin, at) >= wanted && between(at, last) >= wanted / 2.0 {
            cuts.push(at);
            begin = at;
        }
    }
    cuts
}

/// How long each segment is, in seconds, and how many bytes it has in the input.
pub fn weights(source: &Source, parts: &[Part]) -> Vec<(f64, u64)> {
    let times = source.times();
    let last = times.last().copied().unwrap_or_default();
    let frame = source.seconds(last - times.first().copied().unwrap_or_default()) / times.len().max(2) as f64;
    let weight = |part: &Part| {
        let is_within =
            |time: i64| part.begin.is_none_or(|begin| time >= begin) && part.end.is_none_or(|end| time < end);
        let packets = source.packets.iter().filter(|packet| is_within(packet.time));
        let bytes = packets.map(|packet| packet.size_bytes).sum();
        let begin = part.begin.or(times.first().copied()).unwrap_or_default();
        let seconds = match part.end {
            Some(end) => source.seconds(end - begin),
            None => source.seconds(last - begin) + frame,
        };
        (seconds, bytes)
    };
    parts.iter().map(weight).collect()
}

/// What `-ss` has to be so that reading begins at a key frame, in microseconds.
pub fn seek_us(source: &Source, key: i64) -> i64 {
    // Rounded up, since the key frame before would cost its whole group of pictures.
    let base = source.time_base;
    let number = i128::from(key) * i128::from(base.numerator) * 1_000_000;
    let us = i64::try_from(-(-number).div_euclid(i128::from(base.denominator))).unwrap_or_default() - source.start_us();
    // Where ffmpeg takes it for a time of decoding, it goes as far back as frames may be out of order.
    const BACK_US: i64 = 3_000_000 / 23;
    let has_delay = source.probe.streams.iter().any(|stream| {
        let delay = stream.other.get("has_b_frames").and_then(serde_json::Value::as_u64);
        delay.is_some_and(|delay| delay > 0)
    });
    let goes_back = has_delay && source.is(&["matroska"]);
    (us + if goes_back { BACK_US } else { 0 }).max(0)
}

impl Part {
    /// The filters that make the segment; none where it is all that there is.
    pub fn filters(&self, source: &Source, stretch: &Stretch, chain: &Chain, given: Option<&str>) -> String {
        let clock = |time: i64| time - stretch.origin;
        let bounds = [("start_pts", self.from.map(clock)), ("end_pts", self.until.map(clock))];
        // Filters may have changed the units of times, and where there is no cut they decide alone what comes first and last.
        let cut = |time: Option<i64>, whole: Option<i64>| {
            let time = time.filter(|_| !chain.changes_times || time != whole);
            time.map(|time| source.microseconds(clock(time)))
        };
        let after = [
            ("start", cut(self.begin, stretch.made.first)),
            ("end", cut(self.end, stretch.made.end)),
        ];
        let trim = |bounds: [(&str, Option<i64>); 2], unit: &str| {
            let bounds = bounds
                .iter()
                .filter_map(|(name, time)| Some(format!("{name}={}{unit}", (*time)?)));
            let bounds: Vec<String> = bounds.collect();
            (!bounds.is_empty()).then(|| format!("trim={}", bounds.join(":")))
        };
        let after = if chain.is_stateless() { None } else { trim(after, "us") };
        let filters = [trim(bounds, ""), given.map(str::to_owned), after];
        filters.into_iter().flatten().collect::<Vec<_>>().join(",")
    }
}
