//! The frames in a stream of NUT, as ffmpeg writes it, and streams of some of them.
//!
//! A stream is read as it comes, in pieces of any size, by a program that nobody trusts: what it says is bounded. A stream that is
//! written has the head of the one that was read, and frames that each stand for themselves.

use std::mem;

const ID: &[u8] = b"nut/multimedia container\0";

/// Each begins with N, which no frame does.
const MAIN: u64 = 0x4E4D_7A56_1F5F_04AD;
const STREAM: u64 = 0x4E53_1140_5BF2_F9DB;
const SYNCPOINT: u64 = 0x4E4B_E4AD_EECA_4569;
const INDEX: u64 = 0x4E58_DD67_2F23_E64E;
const INFO: u64 = 0x4E49_AB68_B596_BA78;

/// What a frame's code, or what is coded after it, says of it.
const KEY: u64 = 1;
const CODED_PTS: u64 = 8;
const STREAM_ID: u64 = 16;
const SIZE_MSB: u64 = 32;
const CHECKSUM: u64 = 64;
const RESERVED: u64 = 128;
const SIDE_DATA: u64 = 256;
const HEADER_IDX: u64 = 1024;
const MATCH_TIME: u64 = 2048;
const CODED: u64 = 4096;
const INVALID: u64 = 8192;

/// More than any packet of ffmpeg's has beside frames, but for the index at the end.
const PACKET_MAX: usize = 64 << 10;
/// The most that is looked at to find the next frame.
const STEP: usize = 4 << 10;
/// A pixel has at most so many bytes: four components of 32 bits.
const PIXEL_MAX_BYTES: u64 = 16;
/// Rows and planes may be longer than their pixels.
const PADDING_MAX_BYTES: u64 = 1 << 16;

/// Filters make more than a plan has seen.
pub const NO_VIDEO: &str = "its filters make more than one video, or none";

const DAMAGED: &str = "the frames that are fed are damaged";

/// What the head of a stream says, and the head itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    bytes: Vec<u8>,
    /// The units of times, in seconds: numerator and denominator.
    pub time_base: (u64, u64),
    bases: usize,
    base: usize,
    pts_shift: u32,
    pub width: u64,
    pub height: u64,
    codes: Vec<Code>,
    /// What frames may begin with, which is then left out.
    elided: Vec<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Code {
    flags: u64,
    pts_delta: i64,
    stream: u64,
    size_mul: u64,
    size_lsb: u64,
    reserved: u64,
    header: u64,
}

/// Takes what is read.
pub trait Frames {
    type Error: From<&'static str>;

    /// A frame of this size begins, at a time in units of the time base.
    fn begin(&mut self, head: &Head, time: i64, size_bytes: u64) -> Result<(), Self::Error>;

    /// A part of it.
    fn data(&mut self, bytes: &[u8]) -> Result<(), Self::Error>;
}

/// Where a reader is.
#[derive(Debug, Default)]
pub struct Reader {
    head: Head,
    /// Bytes that are no frame's, or not known to be.
    pending: Vec<u8>,
    /// How much of the current frame is still to come.
    left: u64,
    has_id: bool,
    has_main: bool,
    has_stream: bool,
    has_frames: bool,
    /// The index ends it.
    is_over: bool,
    last_time: i64,
    size_bytes: Option<u64>,
}

/// What was found at the beginning of what is pending.
enum Item {
    /// There is not enough of it.
    Part,
    /// So many bytes of anything but a frame.
    Other(usize),
    /// A frame's head of so many bytes.
    Frame {
        head: usize,
        time: i64,
        size_bytes: u64,
        elided: usize,
    },
}

impl Reader {
    pub fn push<F: Frames>(&mut self, mut bytes: &[u8], frames: &mut F) -> Result<(), F::Error> {
        loop {
            if self.is_over {
                return Ok(());
            }
            if self.left > 0 {
                let within = |length: usize, left: u64| usize::try_from(left).map_or(length, |left| length.min(left));
                if !self.pending.is_empty() {
                    let rest = self.pending.split_off(within(self.pending.len(), self.left));
                    let part = mem::replace(&mut self.pending, rest);
                    self.left -= part.len() as u64;
                    frames.data(&part)?;
                } else if bytes.is_empty() {
                    return Ok(());
                } else {
                    let (part, rest) = bytes.split_at(within(bytes.len(), self.left));
                    bytes = rest;
                    self.left -= part.len() as u64;
                    frames.data(part)?;
                }
                continue;
            }
            match self.item()? {
                Item::Part if bytes.is_empty() => return Ok(()),
                Item::Part => {
                    let (part, rest) = bytes.split_at(bytes.len().min(STEP));
                    self.pending.extend_from_slice(part);
                    bytes = rest;
                }
                Item::Other(length) => drop(self.pending.drain(..length)),
                Item::Frame {
                    head,
                    time,
                    size_bytes,
                    elided,
                } => {
                    self.pending.drain(..head);
                    frames.begin(&self.head, time, size_bytes)?;
                    let elided = self.head.elided.get(elided).map_or(&[][..], Vec::as_slice);
                    if !elided.is_empty() {
                        frames.data(elided)?;
                    }
                    self.left = size_bytes - elided.len() as u64;
                }
            }
        }
    }

    /// Checks that it ends where a frame does.
    pub fn finish(&self) -> Result<(), &'static str> {
        match self.is_over || (self.left == 0 && self.pending.is_empty() && self.has_stream) {
            true => Ok(()),
            false => Err(DAMAGED),
        }
    }

    fn item(&mut self) -> Result<Item, &'static str> {
        if !self.has_id {
            let known = ID.len().min(self.pending.len());
            if self.pending[..known] != ID[..known] {
                return Err(DAMAGED);
            }
            if known < ID.len() {
                return Ok(Item::Part);
            }
            self.has_id = true;
            self.head.bytes.extend_from_slice(ID);
            return Ok(Item::Other(ID.len()));
        }
        match self.pending.first() {
            None => Ok(Item::Part),
            Some(b'N') => self.packet(),
            Some(_) if self.has_stream => self.frame(),
            Some(_) => Err(DAMAGED),
        }
    }

    fn packet(&mut self) -> Result<Item, &'static str> {
        let Some(code) = self.pending.first_chunk::<8>() else {
            return Ok(Item::Part);
        };
        let code = u64::from_be_bytes(*code);
        if code == INDEX {
            self.is_over = true;
            return Ok(Item::Other(self.pending.len()));
        }
        let mut cursor = Cursor::new(&self.pending[8..]);
        let Some(length) = cursor.number() else {
            return cursor.missing();
        };
        let length = usize::try_from(length).ok().filter(|length| *length <= PACKET_MAX);
        let length = length.filter(|length| *length >= 4).ok_or(DAMAGED)?;
        // A longer one has a checksum of its head.
        let start = 8 + cursor.at + if length > 4096 { 4 } else { 0 };
        let end = start + length;
        if self.pending.len() < end {
            return Ok(Item::Part);
        }
        let content = &self.pending[start..end - 4];
        match code {
            SYNCPOINT => {
                let number = Cursor::new(content).number().ok_or(DAMAGED)?;
                let bases = self.head.bases.max(1) as u64;
                // Another stream's units would be another time.
                if !self.has_stream || number % bases != self.head.base as u64 {
                    return Err(DAMAGED);
                }
                self.last_time = i64::try_from(number / bases).map_err(|_| DAMAGED)?;
                self.has_frames = true;
            }
            MAIN | STREAM | INFO if self.has_frames => {}
            MAIN if !self.has_main => {
                read_main(content, &mut self.head)?.ok_or(DAMAGED)?;
                self.has_main = true;
            }
            STREAM if self.has_main && !self.has_stream => {
                read_stream(content, &mut self.head).ok_or(DAMAGED)?;
                self.has_stream = true;
            }
            INFO if self.has_stream => {}
            _ => return Err(DAMAGED),
        }
        if !self.has_frames {
            self.head.bytes.extend_from_slice(&self.pending[..end]);
            if self.head.bytes.len() > PACKET_MAX {
                return Err(DAMAGED);
            }
        }
        Ok(Item::Other(end))
    }

    fn frame(&mut self) -> Result<Item, &'static str> {
        let mut cursor = Cursor::new(&self.pending[1..]);
        let code = self.head.codes.get(usize::from(self.pending[0])).ok_or(DAMAGED)?;
        let Some((time, size_bytes, header)) = frame(&mut cursor, code, &self.head, self.last_time)? else {
            return cursor.missing();
        };
        let pixels = self.head.width.saturating_mul(self.head.height);
        let most = pixels.saturating_mul(PIXEL_MAX_BYTES).saturating_add(PADDING_MAX_BYTES);
        let is_usual = self.size_bytes.is_none_or(|usual| usual == size_bytes);
        if !self.has_frames || size_bytes == 0 || size_bytes > most || !is_usual {
            return Err(DAMAGED);
        }
        self.size_bytes = Some(size_bytes);
        // What is long is whole.
        let elided = if size_bytes > 4096 { 0 } else { header };
        let elided_bytes = self.head.elided.get(elided).ok_or(DAMAGED)?.len() as u64;
        if elided_bytes > size_bytes {
            return Err(DAMAGED);
        }
        let item = Item::Frame {
            head: 1 + cursor.at,
            time,
            size_bytes,
            elided,
        };
        self.last_time = time;
        Ok(item)
    }
}

/// Reads what is behind a frame's code: its time, its size and what is left out of it. None if there is not enough.
fn frame(
    cursor: &mut Cursor,
    code: &Code,
    head: &Head,
    last_time: i64,
) -> Result<Option<(i64, u64, usize)>, &'static str> {
    let mut flags = code.flags;
    if flags & INVALID != 0 {
        return Err(DAMAGED);
    }
    // What is there if the flag is set.
    macro_rules! number {
        ($flag:expr, $usual:expr) => {
            match flags & $flag != 0 {
                true => match cursor.number() {
                    Some(number) => number,
                    None => return Ok(None),
                },
                false => $usual,
            }
        };
    }
    let coded = number!(CODED, 0);
    flags ^= coded;
    if flags & (SIDE_DATA | INVALID) != 0 || number!(STREAM_ID, code.stream) != 0 {
        return Err(DAMAGED);
    }
    let time = match flags & CODED_PTS != 0 {
        true => {
            let coded = i64::try_from(number!(CODED_PTS, 0)).map_err(|_| DAMAGED)?;
            let full = 1_i64 << head.pts_shift;
            match coded < full {
                // The nearest time to the last one that ends so.
                true => {
                    let delta = last_time - (full - 1) / 2;
                    ((coded - delta) & (full - 1)) + delta
                }
                false => coded - full,
            }
        }
        false => last_time.checked_add(code.pts_delta).ok_or(DAMAGED)?,
    };
    let msb = number!(SIZE_MSB, 0);
    let size = msb
        .checked_mul(code.size_mul)
        .and_then(|size| size.checked_add(code.size_lsb));
    let size = size.ok_or(DAMAGED)?;
    let _ = number!(MATCH_TIME, 0);
    let header = number!(HEADER_IDX, code.header);
    let reserved = number!(RESERVED, code.reserved);
    if reserved > 16 {
        return Err(DAMAGED);
    }
    for _ in 0..reserved {
        if cursor.number().is_none() {
            return Ok(None);
        }
    }
    if flags & CHECKSUM != 0 && cursor.bytes(4).is_none() {
        return Ok(None);
    }
    if !(0..1 << 62).contains(&time) {
        return Err(DAMAGED);
    }
    Ok(Some((time, size, usize::try_from(header).map_err(|_| DAMAGED)?)))
}

fn read_main(content: &[u8], head: &mut Head) -> Result<Option<()>, &'static str> {
    let mut cursor = Cursor::new(content);
    match (cursor.number(), cursor.number()) {
        (Some(3), Some(1)) => Ok(read_codes(&mut cursor, head)),
        (Some(3), Some(_)) => Err(NO_VIDEO),
        _ => Ok(None),
    }
}

fn read_codes(cursor: &mut Cursor, head: &mut Head) -> Option<()> {
    let _distance = cursor.number()?;
    let bases = cursor.number()?;
    if bases != 1 {
        return None;
    }
    head.bases = 1;
    head.time_base = (cursor.number()?, cursor.number()?);
    let is_base = |number: u64| (1..1 << 31).contains(&number);
    if !is_base(head.time_base.0) || !is_base(head.time_base.1) {
        return None;
    }
    let mut of_all = Code {
        size_mul: 1,
        ..Code::default()
    };
    while head.codes.len() < 256 {
        of_all.flags = cursor.number()?;
        let fields = cursor.number()?;
        if fields > 8 {
            return None;
        }
        let mut field = |number: u64, usual: u64| match fields > number {
            true => cursor.number(),
            false => Some(usual),
        };
        let pts_delta = field(0, u64::MAX)?;
        if pts_delta != u64::MAX {
            of_all.pts_delta = signed(pts_delta)?;
        }
        of_all.size_mul = field(1, of_all.size_mul)?;
        of_all.stream = field(2, of_all.stream)?;
        of_all.size_lsb = field(3, 0)?;
        of_all.reserved = field(4, 0)?;
        let count = field(5, of_all.size_mul.saturating_sub(of_all.size_lsb))?;
        let _match_time = field(6, 0)?;
        of_all.header = field(7, of_all.header)?;
        if of_all.size_mul > 1 << 16 || count == 0 || count > 256 {
            return None;
        }
        for at in 0..count {
            if head.codes.len() == usize::from(b'N') {
                head.codes.push(Code {
                    flags: INVALID,
                    ..Code::default()
                });
            }
            if head.codes.len() == 256 {
                return None;
            }
            head.codes.push(Code {
                size_lsb: of_all.size_lsb + at,
                ..of_all
            });
        }
    }
    head.elided = vec![Vec::new()];
    if !cursor.is_empty() {
        let count = cursor.number()?;
        for _ in 0..Some(count).filter(|count| *count < 128)? {
            let length = cursor.number().filter(|length| *length < 256)?;
            head.elided.push(cursor.bytes(usize::try_from(length).ok()?)?.to_vec());
        }
    }
    Some(())
}

fn read_stream(content: &[u8], head: &mut Head) -> Option<()> {
    let mut cursor = Cursor::new(content);
    let (id, class) = (cursor.number()?, cursor.number()?);
    if id != 0 || class != 0 {
        return None;
    }
    let length = cursor.number().filter(|length| matches!(length, 2 | 4))?;
    cursor.bytes(usize::try_from(length).ok()?)?;
    head.base = usize::try_from(cursor.number()?)
        .ok()
        .filter(|base| *base < head.bases)?;
    head.pts_shift = u32::try_from(cursor.number()?).ok().filter(|shift| *shift < 16)?;
    let (_distance, _delay, _flags) = (cursor.number()?, cursor.number()?, cursor.number()?);
    let extra = cursor.number()?;
    cursor.bytes(usize::try_from(extra).ok()?)?;
    (head.width, head.height) = (cursor.number()?, cursor.number()?);
    let is_side = |side: u64| (1..1 << 16).contains(&side);
    (is_side(head.width) && is_side(head.height)).then_some(())
}

impl Head {
    #[cfg(test)]
    pub fn test() -> Head {
        Head {
            time_base: (1, 100),
            bases: 1,
            codes: vec![Code {
                flags: CODED,
                size_mul: 1,
                ..Code::default()
            }],
            ..Head::default()
        }
    }

    /// How each stream of frames begins.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What is before the data of a frame, so that it needs nothing of those before.
    pub fn before_frame(&self, time: i64, size_bytes: u64) -> Result<Vec<u8>, &'static str> {
        let is_free = |code: &Code| {
            code.flags & CODED != 0
                && (code.stream, code.size_mul, code.size_lsb, code.reserved, code.header) == (0, 1, 0, 0, 0)
        };
        let at = self.codes.iter().position(is_free).ok_or(DAMAGED)?;
        let time = u64::try_from(time).map_err(|_| DAMAGED)?;
        let mut payload = number(time * self.bases as u64 + self.base as u64);
        payload.push(0);
        let mut bytes = SYNCPOINT.to_be_bytes().to_vec();
        bytes.extend(number(payload.len() as u64 + 4));
        bytes.extend(&payload);
        bytes.extend(checksum(&payload).to_be_bytes());
        let mut frame = vec![u8::try_from(at).map_err(|_| DAMAGED)?];
        let wanted = KEY | CODED_PTS | SIZE_MSB | CHECKSUM | CODED;
        frame.extend(number(self.codes[at].flags ^ wanted));
        frame.extend(number(time + (1 << self.pts_shift)));
        frame.extend(number(size_bytes));
        frame.extend(checksum(&frame).to_be_bytes());
        bytes.extend(frame);
        Ok(bytes)
    }
}

/// Reads numbers out of bytes.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    is_damaged: bool,
}

impl<'a> Cursor<'a> {
    fn new(bytes: &'a [u8]) -> Cursor<'a> {
        Cursor {
            bytes,
            at: 0,
            is_damaged: false,
        }
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        let mut at = self.at;
        loop {
            let byte = *self.bytes.get(at)?;
            at += 1;
            if at - self.at > 9 {
                self.is_damaged = true;
                return None;
            }
            number = (number << 7) | u64::from(byte & 0x7F);
            if byte & 0x80 == 0 {
                self.at = at;
                return Some(number);
            }
        }
    }

    fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(length)?;
        let bytes = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(bytes)
    }

    fn is_empty(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// There was no number.
    fn missing(&self) -> Result<Item, &'static str> {
        match self.is_damaged || self.bytes.len() > PACKET_MAX {
            true => Err(DAMAGED),
            false => Ok(Item::Part),
        }
    }
}

fn signed(number: u64) -> Option<i64> {
    let number = i64::try_from(number).ok()?.checked_add(1)?;
    Some(if number & 1 == 1 { -(number >> 1) } else { number >> 1 })
}

fn number(number: u64) -> Vec<u8> {
    let mut bytes = vec![(number & 0x7F) as u8];
    let mut rest = number >> 7;
    while rest > 0 {
        bytes.push(0x80 | (rest & 0x7F) as u8);
        rest >>= 7;
    }
    bytes.reverse();
    bytes
}

fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |sum, byte| {
        (0..8).fold(sum ^ (u32::from(*byte) << 24), |sum, _| match sum >> 31 {
            1 => (sum << 1) ^ 0x04C1_1DB7,
            _ => sum << 1,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The times and data of frames.
    #[derive(Default)]
    struct Seen(Vec<(i64, Vec<u8>)>);

    impl Frames for Seen {
        type Error = &'static str;

        fn begin(&mut self, _head: &Head, time: i64, size_bytes: u64) -> Result<(), &'static str> {
            self.0.push((time, Vec::with_capacity(size_bytes as usize)));
            Ok(())
        }

        fn data(&mut self, bytes: &[u8]) -> Result<(), &'static str> {
            self.0.last_mut().unwrap().1.extend_from_slice(bytes);
            Ok(())
        }
    }

    fn packet(code: u64, content: &[u8]) -> Vec<u8> {
        let mut bytes = code.to_be_bytes().to_vec();
        bytes.extend(number(content.len() as u64 + 4));
        bytes.extend(content);
        bytes.extend(checksum(content).to_be_bytes());
        bytes
    }

    /// A head of pictures of 4 x 2, in units of a hundredth.
    fn head() -> Vec<u8> {
        let mut main = [3, 1, 100, 1, 1, 100].to_vec();
        // Code 0 is none, 1 has all coded, 2 has a size and the next time, all others are none.
        for (flags, fields) in [
            (INVALID, &[1, 0, 0, 0, 0, 1][..]),
            (CODED, &[1, 1, 0, 0, 0, 1]),
            (SIZE_MSB, &[3, 1, 0, 0, 0, 1]),
            // The first N is not counted.
            (INVALID, &[1, 1, 0, 0, 0, 252]),
        ] {
            main.extend(number(flags));
            main.push(6);
            for field in fields {
                main.extend(number(*field));
            }
        }
        main.extend([1, 3, 0, 0, 1]);
        let stream = [&[0, 0, 4][..], b"I420", &[0, 7, 100, 0, 0, 0, 4, 2, 1, 1, 0]].concat();
        [
            ID.to_vec(),
            packet(MAIN, &main),
            packet(STREAM, &stream),
            packet(INFO, b"anything"),
        ]
        .concat()
    }

    fn read(bytes: &[u8], step: usize) -> Result<Vec<(i64, Vec<u8>)>, &'static str> {
        let (mut reader, mut seen) = (Reader::default(), Seen::default());
        for part in bytes.chunks(step) {
            reader.push(part, &mut seen)?;
        }
        reader.finish().map(|()| seen.0)
    }

    fn stream() -> Vec<u8> {
        let mut bytes = [head(), packet(SYNCPOINT, &[5, 0])].concat();
        // One that is fully coded, one that follows it by 2, a head in between, one that leaves out what is known.
        bytes.extend([1, (KEY | CODED_PTS | SIZE_MSB) as u8]);
        bytes.extend(number(128 + 7));
        bytes.extend([12, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21]);
        bytes.extend([2, 12, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41]);
        bytes.extend(packet(INFO, b"again"));
        bytes.push(1);
        bytes.extend(number(CODED_PTS | SIZE_MSB | HEADER_IDX));
        bytes.extend([20, 12, 1, 51, 52, 53, 54, 55, 56, 57, 58, 59]);
        bytes
    }

    #[test]
    fn frames_are_read_in_pieces_of_any_size_and_written_alone() {
        let bytes = stream();
        let frames = [
            (7, (10..22).collect::<Vec<u8>>()),
            (9, (30..42).collect()),
            (20, [&[0, 0, 1][..], &(51..60).collect::<Vec<u8>>()].concat()),
        ];
        for step in [1, 2, 7, 64, 5000] {
            assert_eq!(read(&bytes, step).unwrap(), frames, "{step}");
        }
        let mut reader = Reader::default();
        reader.push(&bytes, &mut Seen::default()).unwrap();
        let mut alone = reader.head.bytes().to_vec();
        assert!(alone == head());
        for (time, data) in &frames[1..] {
            alone.extend(reader.head.before_frame(*time, 12).unwrap());
            alone.extend(data);
        }
        assert_eq!(read(&alone, 100).unwrap(), frames[1..]);
    }

    #[test]
    fn what_is_damaged_is_an_error_and_takes_no_memory() {
        let bytes = stream();
        for end in 0..bytes.len() {
            // Where a frame or a packet ends, it might be all.
            if let Ok(frames) = read(&bytes[..end], 50) {
                assert!(frames.iter().all(|(_, data)| data.len() == 12), "{end}");
            }
            for change in [0x01, 0x80, 0xFF] {
                let mut changed = bytes.clone();
                changed[end] ^= change;
                // It is about what does not happen.
                let _ = read(&changed, 50);
            }
        }
        let (mut reader, mut seen) = (Reader::default(), Seen::default());
        reader.push(&head(), &mut seen).unwrap();
        assert!(reader.push(&[2, 12], &mut seen).is_err(), "there was no syncpoint");
        let endless = [MAIN.to_be_bytes().to_vec(), vec![0xFF; 100]].concat();
        assert!(read(&[ID.to_vec(), endless].concat(), 50).is_err());
        let long = [&INFO.to_be_bytes()[..], &number(1 << 40)].concat();
        assert!(read(&[head(), long].concat(), 50).is_err());
    }
}
