//! Segments of fragmented MP4, one after another as one stream.
//!
//! Each segment is a head (`ftyp` and `moov`) and fragments (`moof` and `mdat`), whose times are those of the whole. So the head of
//! the first and the fragments of all are the whole, if all heads are the same.

use bytes::Bytes;
use std::ops::Range;

/// An encoded segment.
#[derive(Clone, Debug)]
pub struct Encoded {
    bytes: Bytes,
    head: Range<usize>,
    fragments: Range<usize>,
    pub frames: u64,
    /// Of the first frame, in seconds.
    pub first_seconds: f64,
    /// The times of decoding of the first and the last frame, in units of the container.
    decoded: Option<(u64, u64)>,
}

impl Encoded {
    pub fn read(bytes: Bytes) -> Result<Encoded, &'static str> {
        let mut encoded = Encoded {
            head: 0..0,
            fragments: 0..0,
            frames: 0,
            first_seconds: 0.0,
            decoded: None,
            bytes: Bytes::new(),
        };
        let mut scale = None;
        for (kind, content, end) in boxes(&bytes, 0..bytes.len()) {
            match &kind {
                b"ftyp" => {}
                b"moov" => {
                    encoded.head = 0..end;
                    encoded.fragments = end..end;
                    scale = time_scale(&bytes, content);
                }
                b"moof" => encoded.add_fragment(&bytes, content, scale)?,
                b"mdat" => encoded.fragments.end = end,
                _ => {}
            }
        }
        if encoded.head.is_empty() {
            return Err("a segment has no head");
        }
        encoded.bytes = bytes;
        Ok(encoded)
    }

    fn add_fragment(&mut self, bytes: &[u8], content: Range<usize>, scale: Option<u32>) -> Result<(), &'static str> {
        const DAMAGED: &str = "a segment is damaged";
        let scale = scale.filter(|scale| *scale > 0).ok_or(DAMAGED)?;
        for (kind, content, _) in boxes(bytes, content) {
            if &kind != b"traf" {
                continue;
            }
            let part = |name: &[u8; 4]| boxes(bytes, content.clone()).find(|(kind, ..)| kind == name);
            let (_, decode, _) = part(b"tfdt").ok_or(DAMAGED)?;
            let time = match bytes.get(decode.start) {
                Some(0) => u64::from(number(bytes, decode.start + 4).ok_or(DAMAGED)?),
                _ => {
                    let high = u64::from(number(bytes, decode.start + 4).ok_or(DAMAGED)?);
                    (high << 32) | u64::from(number(bytes, decode.start + 8).ok_or(DAMAGED)?)
                }
            };
            let (_, run, _) = part(b"trun").ok_or(DAMAGED)?;
            let flags = number(bytes, run.start).ok_or(DAMAGED)?;
            self.frames += u64::from(number(bytes, run.start + 4).ok_or(DAMAGED)?);
            if self.decoded.is_none() {
                // Before the first sample's offset of composition: the data's offset and the first sample's flags, if any,
                // then its duration, size and flags.
                let before = [0x1, 0x4, 0x100, 0x200, 0x400]
                    .iter()
                    .filter(|flag| flags & **flag != 0)
                    .count();
                let offset = match flags & 0x800 {
                    0 => 0,
                    _ => number(bytes, run.start + 8 + 4 * before).ok_or(DAMAGED)?.cast_signed(),
                };
                self.first_seconds = (time as f64 + f64::from(offset)) / f64::from(scale);
            }
            self.decoded = Some((self.decoded.map_or(time, |(first, _)| first), time));
        }
        Ok(())
    }

    /// Whether this can follow another in one stream.
    pub fn follows(&self, before: &Encoded) -> Result<(), &'static str> {
        if self.bytes[self.head.clone()] != before.bytes[before.head.clone()] {
            return Err("the segments have different parameters");
        }
        match (before.decoded, self.decoded) {
            (Some((_, last)), Some((first, _))) if first <= last => Err("the segments overlap"),
            _ => Ok(()),
        }
    }

    pub fn head(&self) -> Bytes {
        self.bytes.slice(self.head.clone())
    }

    pub fn fragments(&self) -> Bytes {
        self.bytes.slice(self.fragments.clone())
    }
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

    fn segment(parameter: u8, times: &[u32]) -> Encoded {
        let header = [&[0; 12][..], &1000_u32.to_be_bytes(), &[0; 8]].concat();
        let track = of("trak", &of("mdia", &of("mdhd", &header)));
        let mut bytes = [
            of("ftyp", b"isom"),
            of("moov", &[track, of("xxxx", &[parameter])].concat()),
        ]
        .concat();
        for time in times {
            let decode = [[0; 4], time.to_be_bytes()].concat();
            let run = [[0, 0, 8, 0], [0, 0, 0, 1], 40_u32.to_be_bytes()].concat();
            let track = of("traf", &[of("tfdt", &decode), of("trun", &run)].concat());
            bytes.extend([of("moof", &track), of("mdat", b"data")].concat());
        }
        bytes.extend(of("mfra", b""));
        Encoded::read(bytes.into()).unwrap()
    }

    #[test]
    fn segments_follow_each_other_in_time_with_the_same_head() {
        let (first, second) = (segment(1, &[0, 40]), segment(1, &[80]));
        assert_eq!((first.frames, second.frames), (2, 1));
        assert!((first.first_seconds - 0.04).abs() < 1e-9);
        assert!(second.follows(&first).is_ok());
        assert!(first.follows(&second).is_err(), "it is earlier");
        assert!(segment(2, &[80]).follows(&first).is_err(), "it has another head");
        assert!(segment(1, &[]).follows(&first).is_ok(), "it has no frame");
        assert!(first.fragments().ends_with(b"mdatdata"));
        let whole = [first.head(), first.fragments(), second.fragments()].concat();
        assert_eq!(Encoded::read(whole.into()).unwrap().frames, 3);
        for damaged in [&b""[..], b"\0\0\0\x08ftyp", &first.bytes[..40]] {
            let read = Encoded::read(Bytes::copy_from_slice(damaged));
            assert!(read.is_err(), "{read:?}");
        }
    }
}
