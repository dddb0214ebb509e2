//! Segments of fragmented MP4, one after another as one stream.
//!
//! Each segment is a head (`ftyp` and `moov`) and fragments (`moof` and `mdat`) of one frame each, whose times are those of the whole.
//! So the head of the first and the fragments of all are the whole, if all heads are the same.
//!
//! Times of decoding need a change: an encoder that reorders frames begins to decode some frames before the time of the first, and
//! cannot know where the frames before it lie. In one stream the time of decoding of frame `n` is the time, in order, of frame
//! `n - delay`, so that of the first frames of a segment are times of the last frames before.

use bytes::Bytes;
use std::ops::Range;

/// An encoded segment.
#[derive(Clone, Debug)]
pub struct Encoded {
    bytes: Vec<u8>,
    head: usize,
    frames: Vec<Frame>,
    /// Where the last fragment ends.
    end: usize,
    scale: u32,
}

/// A frame and where its times stand. They are in units of the container.
#[derive(Clone, Debug)]
struct Frame {
    decoded: i64,
    shown: i64,
    decoded_at: usize,
    /// That of the difference between the two, unless it is none.
    offset_at: Option<usize>,
}

/// What of a stream counts for the segments that follow.
#[derive(Debug, Default)]
pub struct Before {
    head: Option<Bytes>,
    /// The times of its last frames, in order.
    shown: Vec<i64>,
    decoded: Option<i64>,
}

/// No encoder reorders over more frames.
const DELAY_MAX: usize = 64;

const DAMAGED: &str = "a segment is damaged";

impl Encoded {
    pub fn read(bytes: Vec<u8>) -> Result<Encoded, &'static str> {
        let mut encoded = Encoded {
            bytes: Vec::new(),
            head: 0,
            frames: Vec::new(),
            end: 0,
            scale: 0,
        };
        for (kind, content, end) in boxes(&bytes, 0..bytes.len()) {
            match &kind {
                b"moov" => {
                    encoded.head = end;
                    encoded.end = end;
                    encoded.scale = time_scale(&bytes, content).filter(|scale| *scale > 0).ok_or(DAMAGED)?;
                }
                b"moof" => encoded.frames.push(frame(&bytes, content)?),
                b"mdat" => encoded.end = end,
                _ => {}
            }
        }
        if encoded.head == 0 || (!encoded.frames.is_empty() && encoded.end <= encoded.head) {
            return Err("a segment has no head");
        }
        encoded.bytes = bytes;
        Ok(encoded)
    }

    /// The level of H.264, as encoders take it.
    pub fn level(&self) -> Option<String> {
        let head = self.bytes.get(..self.head)?;
        let at = head.windows(4).position(|kind| kind == b"avcC")?;
        let [profile, compatibility, level] = *head.get(at + 5..at + 8)? else {
            return None;
        };
        // In tenths, but for 1b, for which older profiles have a bit of their own.
        let is_1b = level == 9 || (level == 11 && profile <= 88 && compatibility & 0x10 != 0);
        Some(if is_1b {
            "1b".to_owned()
        } else {
            format!("{}.{}", level / 10, level % 10)
        })
    }

    pub fn frames(&self) -> u64 {
        self.frames.len() as u64
    }

    /// Whether its frames are shown at these times, which are in units of a fraction of a second, and all later by some seconds.
    pub fn is_shown_at(&self, times: &[i64], (above, below): (u64, u64), later_seconds: u32) -> bool {
        let mut shown: Vec<i64> = self.frames.iter().map(|frame| frame.shown).collect();
        shown.sort_unstable();
        let scale = i128::from(self.scale);
        let is_same = |(shown, time): (&i64, &i64)| {
            let shown = i128::from(*shown) - scale * i128::from(later_seconds);
            shown * i128::from(below) == i128::from(*time) * i128::from(above) * scale
        };
        shown.len() == times.len() && shown.iter().zip(times).all(is_same)
    }

    /// The time of the first frame that is shown, in seconds.
    pub fn first_seconds(&self) -> Option<f64> {
        let first = self.frames.iter().map(|frame| frame.shown).min()?;
        Some(first as f64 / f64::from(self.scale))
    }

    /// The stream's part from this segment: its fragments, and before those the head if it is the first.
    pub fn follow(mut self, before: &mut Before) -> Result<Vec<Bytes>, &'static str> {
        let mut shown: Vec<i64> = self.frames.iter().map(|frame| frame.shown).collect();
        shown.sort_unstable();
        let is_first = before.head.is_none();
        if let Some(&first) = shown.first() {
            let delay = self.frames.iter().take_while(|frame| frame.decoded < first).count();
            if before.shown.last().is_some_and(|last| *last >= first) || delay > DELAY_MAX {
                return Err("the segments overlap");
            }
            if let Some(start) = before.shown.len().checked_sub(delay).filter(|_| !is_first) {
                for (frame, time) in self.frames.iter_mut().zip(&before.shown[start..]) {
                    frame.decode_at(*time, &mut self.bytes)?;
                }
            }
            for frame in &self.frames {
                if before
                    .decoded
                    .replace(frame.decoded)
                    .is_some_and(|before| before >= frame.decoded)
                {
                    return Err("the segments overlap");
                }
            }
            before.shown.extend(shown);
            before.shown.drain(..before.shown.len().saturating_sub(DELAY_MAX));
        }
        let bytes = Bytes::from(self.bytes);
        let head = bytes.slice(..self.head);
        let fragments = bytes.slice(self.head..self.end);
        match &before.head {
            Some(first) if *first != head => Err("the segments have different parameters"),
            Some(_) => Ok(vec![fragments]),
            None => {
                before.head = Some(head.clone());
                Ok(vec![head, fragments])
            }
        }
    }
}

impl Frame {
    fn decode_at(&mut self, time: i64, bytes: &mut [u8]) -> Result<(), &'static str> {
        self.decoded = time;
        put(bytes, self.decoded_at, &time.to_be_bytes())?;
        let offset = i32::try_from(self.shown - time).map_err(|_| DAMAGED)?;
        match self.offset_at {
            Some(at) => put(bytes, at, &offset.to_be_bytes()),
            None if offset == 0 => Ok(()),
            None => Err(DAMAGED),
        }
    }
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) -> Result<(), &'static str> {
    bytes
        .get_mut(at..at + value.len())
        .ok_or(DAMAGED)?
        .copy_from_slice(value);
    Ok(())
}

/// The frame of a fragment.
fn frame(bytes: &[u8], fragment: Range<usize>) -> Result<Frame, &'static str> {
    let part = |range: Range<usize>, name: &[u8; 4]| {
        let found = boxes(bytes, range).find(|(kind, ..)| kind == name);
        found.map(|(_, content, _)| content).ok_or(DAMAGED)
    };
    let track = part(fragment, b"traf")?;
    let (time, run) = (part(track.clone(), b"tfdt")?, part(track, b"trun")?);
    if bytes.get(time.start) != Some(&1) {
        return Err(DAMAGED);
    }
    let word = |at| number(bytes, at).ok_or(DAMAGED);
    let decoded = (i64::from(word(time.start + 4)?) << 32) | i64::from(word(time.start + 8)?);
    let flags = word(run.start)?;
    if word(run.start + 4)? != 1 {
        return Err("a fragment has several frames");
    }
    // Before the difference: the data's offset and the first sample's flags, then its duration, size and flags.
    let before = [0x1, 0x4, 0x100, 0x200, 0x400]
        .iter()
        .filter(|flag| flags & **flag != 0)
        .count();
    let offset_at = (flags & 0x800 != 0).then_some(run.start + 8 + 4 * before);
    let offset = offset_at.map_or(Ok(0), |at| word(at).map(u32::cast_signed))?;
    Ok(Frame {
        decoded,
        shown: decoded.saturating_add(offset.into()),
        decoded_at: time.start + 4,
        offset_at,
    })
}

/// The boxes in a range of bytes: each with its content's range and its end.
fn boxes(bytes: &[u8], range: Range<usize>) -> impl Iterator<Item = ([u8; 4], Range<usize>, usize)> {
    let mut at = range.start;
    std::iter::from_fn(move || {
        let size = number(bytes, at)? as usize;
        let kind = bytes.get(at + 4..at + 8)?.try_into().ok()?;
        let (header, size) = match size {
            // The size stands behind the kind.
            1 => {
                let high = u64::from(number(bytes, at + 8)?) << 32;
                (16, usize::try_from(high | u64::from(number(bytes, at + 12)?)).ok()?)
            }
            _ => (8, size),
        };
        let end = at.checked_add(size).filter(|end| size >= header && *end <= range.end)?;
        let content = at + header..end;
        at = end;
        Some((kind, content, end))
    })
}

/// The units a second of the first track's times.
fn time_scale(bytes: &[u8], moov: Range<usize>) -> Option<u32> {
    let inner = |range: Range<usize>, name: &[u8; 4]| {
        let found = boxes(bytes, range).find(|(kind, ..)| kind == name);
        found.map(|(_, content, _)| content)
    };
    let header = inner(inner(inner(moov, b"trak")?, b"mdia")?, b"mdhd")?;
    // Version 1 has times of creation and change in 64 bits.
    let offset = if bytes.get(header.start) == Some(&1) { 20 } else { 12 };
    number(bytes, header.start + offset)
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: &str, content: &[u8]) -> Vec<u8> {
        let size = u32::try_from(content.len() + 8).unwrap().to_be_bytes();
        [&size[..], kind.as_bytes(), content].concat()
    }

    /// A segment of frames by the times at which they are decoded and shown.
    fn bytes(parameter: u8, frames: &[(i64, i64)]) -> Vec<u8> {
        let header = [&[0; 12][..], &1000_u32.to_be_bytes(), &[0; 8]].concat();
        let track = of("trak", &of("mdia", &of("mdhd", &header)));
        let mut bytes = [
            of("ftyp", b"isom"),
            of("moov", &[track, of("xxxx", &[parameter])].concat()),
        ]
        .concat();
        for (decoded, shown) in frames {
            let decode = [&[1, 0, 0, 0][..], &decoded.to_be_bytes()].concat();
            let offset = i32::try_from(shown - decoded).unwrap().to_be_bytes();
            let run = [[0, 0, 8, 0], [0, 0, 0, 1], offset].concat();
            let track = of("traf", &[of("tfdt", &decode), of("trun", &run)].concat());
            bytes.extend([of("moof", &track), of("mdat", b"data")].concat());
        }
        bytes.extend(of("mfra", b""));
        bytes
    }

    fn segment(parameter: u8, frames: &[(i64, i64)]) -> Encoded {
        Encoded::read(bytes(parameter, frames)).unwrap()
    }

    #[test]
    fn segments_become_one_stream_with_the_times_of_one() {
        let mut before = Before::default();
        let first = segment(1, &[(920, 1000), (960, 1120), (1000, 1040), (1040, 1080)]);
        assert_eq!((first.frames(), first.first_seconds()), (4, Some(1.0)));
        assert!(first.is_shown_at(&[0, 1, 2, 3], (1, 25), 1));
        assert!(!first.is_shown_at(&[0, 1, 2], (1, 25), 1) && !first.is_shown_at(&[0, 1, 2, 4], (1, 25), 1));
        let mut whole = first.follow(&mut before).unwrap();
        assert_eq!(whole.len(), 2);
        assert!(
            whole[1].ends_with(b"mdatdata"),
            "what follows the fragments is left out"
        );
        // Its encoder took the frames before for as far from each other as its own are, which are farther.
        let second = segment(1, &[(1000, 1200), (1100, 1500), (1200, 1300), (1300, 1400)]);
        whole.extend(second.follow(&mut before).unwrap());
        whole.extend(segment(1, &[]).follow(&mut before).unwrap());
        let whole = Encoded::read(whole.concat()).unwrap();
        let decoded: Vec<i64> = whole.frames.iter().map(|frame| frame.decoded).collect();
        let shown: Vec<i64> = whole.frames.iter().map(|frame| frame.shown).collect();
        assert_eq!(decoded, [920, 960, 1000, 1040, 1080, 1120, 1200, 1300]);
        assert_eq!(shown, [1000, 1120, 1040, 1080, 1200, 1500, 1300, 1400]);
    }

    #[test]
    fn segments_that_do_not_fit_are_refused() {
        let mut before = Before::default();
        segment(1, &[(0, 0), (40, 40)]).follow(&mut before).unwrap();
        assert!(segment(1, &[(40, 40)]).follow(&mut before).is_err(), "it is earlier");
        assert!(
            segment(2, &[(80, 80)]).follow(&mut before).is_err(),
            "it has another head"
        );
        let good = bytes(1, &[(0, 0)]);
        for end in 0..good.len() - 8 {
            if let Ok(cut) = Encoded::read(good[..end].to_vec()) {
                assert_eq!(cut.frames(), 0, "{end} bytes of {}", good.len());
            }
        }
    }
}
