//! What ffmpeg says of the frames that it feeds: the filter showinfo prints what a raw picture does not have, and each encoder is to
//! know. And the errors among what it says.

use crate::parallel::plan::Feed;

/// The name of the filter in the graph.
pub const FILTER: &str = "showinfo@afmpeg";

/// What is the same for all frames of a video that is fed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The units of times before the encoder, and the rate that filters tell, as fractions.
    pub time_base: (u64, u64),
    pub rate: (u64, u64),
    pub pixels: String,
    chroma: String,
    aspect: String,
    size: String,
    fields: String,
    range: String,
    space: String,
    primaries: String,
    transfer: String,
    alpha: Option<String>,
}

/// Reads it line by line, as it comes.
#[derive(Debug, Default)]
pub struct Reader {
    line: Vec<u8>,
    /// Of the first frame, once all of it is said.
    pub known: Option<Known>,
    current: Known,
    frames: u64,
    /// How long the last frame is shown, in the units of the filters.
    duration: u64,
    /// Why the frames cannot be fed.
    pub unfit: Option<String>,
    errors: Vec<u8>,
}

const LINE_MAX_BYTES: usize = 16 << 10;
const ERRORS_MAX_BYTES: usize = 64 << 10;

/// Side data of frames that no encoder takes, unless it is asked to.
const HARMLESS: &[&str] = &[
    "H.26[45] User Data Unregistered SEI message",
    "GOP timecode",
    "AVPanScan",
];

/// Formats of pixels that raw video keeps, and that a decoder tells from each other.
const PIXELS: &[&str] = &[
    "yuv420p",
    "yuv422p",
    "yuv444p",
    "yuv410p",
    "yuv411p",
    "yuv420p10le",
    "yuv422p10le",
    "yuv444p10le",
    "yuv420p12le",
    "yuv422p12le",
    "yuv444p12le",
    "yuva420p",
    "yuva422p",
    "yuva444p",
    "yuva444p10le",
    "nv12",
    "nv21",
    "gray",
    "gray10le",
    "rgb24",
    "bgr24",
    "gbrp",
    "gbrp10le",
    "gbrp12le",
    "bgra",
    "bgr0",
];

impl Reader {
    pub fn push(&mut self, bytes: &[u8]) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let space = LINE_MAX_BYTES.saturating_sub(self.line.len());
            self.line.extend_from_slice(&part[..part.len().min(space)]);
            if part.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                self.line(String::from_utf8_lossy(&line).trim_end());
            }
        }
    }

    /// The errors, as they would be without the rest.
    pub fn errors(&mut self) -> Vec<u8> {
        self.push(b"\n");
        std::mem::take(&mut self.errors)
    }

    fn line(&mut self, line: &str) {
        if let Some((of, said)) = line.split_once("] [info] ")
            && of.contains(FILTER)
        {
            self.frame(said);
            return;
        }
        for level in ["[error] ", "[fatal] ", "[panic] "] {
            if let Some((before, said)) = line.split_once(level) {
                let text = format!("{before}{said}\n");
                if self.errors.len() + text.len() <= ERRORS_MAX_BYTES {
                    self.errors.extend_from_slice(text.as_bytes());
                }
                return;
            }
        }
    }

    /// A line of the filter.
    fn frame(&mut self, said: &str) {
        let value = |name: &str| {
            let (_, value) = said.split_once(name)?;
            Some(value.split_whitespace().next().unwrap_or_default().to_owned())
        };
        if said.starts_with("config in ") {
            let fraction = |name| fraction(&value(name)?);
            let zero = (0, 0);
            let config = (fraction("time_base: "), fraction("frame_rate: "));
            let (time_base, rate) = (config.0.unwrap_or(zero), config.1.unwrap_or(zero));
            if self.frames > 0 && (self.current.time_base, self.current.rate) != (time_base, rate) {
                self.refuse("its filters change times in the middle".to_owned());
            }
            (self.current.time_base, self.current.rate) = (time_base, rate);
        } else if said.starts_with("n:") {
            self.frames += 1;
            self.duration = value(" duration:")
                .and_then(|text| text.parse().ok())
                .unwrap_or_default();
            let take = |name: &str| value(name).unwrap_or_default();
            let current = &mut self.current;
            current.pixels = take(" fmt:");
            current.chroma = take(" cl:");
            current.aspect = take(" sar:");
            current.size = take(" s:");
            current.fields = take(" i:");
        } else if said.starts_with("color_range:") {
            let take = |name: &str| value(name).unwrap_or_default();
            let current = &mut self.current;
            current.range = take("color_range:");
            current.space = take(" color_space:");
            current.primaries = take(" color_primaries:");
            current.transfer = take(" color_trc:");
            self.compare();
        } else if let Some(mode) = said.strip_prefix("alpha_mode:") {
            self.current.alpha = Some(mode.to_owned());
            if self.frames == 1 {
                // It is the first frame's last line.
                self.known = Some(self.current.clone());
            }
            self.compare();
        } else if let Some(side) = said.trim_start().strip_prefix("side data - ")
            && !HARMLESS.iter().any(|name| side.starts_with(name))
        {
            let name = side.split(": ").next().unwrap_or_default();
            self.refuse(format!("its frames have what raw video does not keep: {name}"));
        }
    }

    fn compare(&mut self) {
        match &self.known {
            None => {
                let current = &self.current;
                let of_color = [&current.range, &current.space, &current.primaries, &current.transfer];
                if of_color.iter().any(|name| *name == "reserved") {
                    self.refuse("its colors are not such as filters set".to_owned());
                }
                if !PIXELS.contains(&&*self.current.pixels) {
                    let pixels = self.current.pixels.clone();
                    self.refuse(format!("raw video might not keep its format of pixels, {pixels}"));
                }
                self.known = Some(self.current.clone());
            }
            Some(known) if *known == self.current => {}
            Some(_) => self.refuse(format!("its frames change in the middle, at frame {}", self.frames)),
        }
    }

    /// Checks that the last frame is shown as long as one whose duration is not known.
    pub fn check_end(&mut self, feed: &Feed) {
        let Some((above, below)) = self.known.as_ref().and_then(|known| known.rate(feed)) else {
            return;
        };
        let base = self.current.time_base;
        let ticks = self.duration as f64 * base.0 as f64 / base.1.max(1) as f64 * above as f64 / below as f64;
        if self.duration > 0 && !feed.is_constant && feed.rate.is_none() && !(0.5..1.5).contains(&ticks) {
            self.refuse("its last frame is shown longer or shorter than others".to_owned());
        }
    }

    fn refuse(&mut self, reason: String) {
        self.unfit.get_or_insert(reason);
    }
}

impl Known {
    /// The rate of the frames that the encoder is told, if any is known.
    pub fn rate(&self, feed: &Feed) -> Option<(u64, u64)> {
        let of_filters = Some(self.rate).filter(|(above, below)| *above > 0 && *below > 0);
        feed.rate.or(of_filters).or(feed.is_constant.then_some((25, 1)))
    }

    /// The units of the encoder's times, as ffmpeg chooses them.
    pub fn time_base(&self, feed: &Feed) -> Result<(u64, u64), String> {
        match self.rate(feed) {
            Some((above, below)) if above >= 1000 * below || above.max(below) > feed.rate_part_max => {
                Err(format!("its rate of frames, {above}/{below}, is not one that is fed"))
            }
            Some((above, below)) => Ok((below, above)),
            // Raw frames have no durations, and that of the last one would be another.
            None => Err("its filters tell no rate of frames".to_owned()),
        }
    }

    /// The filters that give it to frames which lack it.
    pub fn filters(&self) -> String {
        let mode = match &*self.fields {
            "T" => "tff",
            "B" => "bff",
            _ => "prog",
        };
        let params = [
            ("field_mode", mode),
            ("range", &self.range),
            ("color_primaries", &self.primaries),
            ("color_trc", &self.transfer),
            ("colorspace", &self.space),
            ("chroma_location", &self.chroma),
        ];
        // Names are ffmpeg's own; what is none would be an error of the graph.
        let plain = |text: &str| -> String {
            let is_plain = |character: &char| character.is_ascii_alphanumeric() || "-_".contains(*character);
            text.chars().filter(is_plain).collect()
        };
        let params: Vec<String> = params
            .iter()
            .map(|(name, value)| format!("{name}={}", plain(value)))
            .collect();
        let alpha = self.alpha.as_deref().map(|mode| format!(":alpha_mode={}", plain(mode)));
        let aspect = fraction(&self.aspect).filter(|(_, below)| *below > 0).unwrap_or((0, 1));
        format!(
            "setparams={}{},setsar=sar={}/{}:max=1000000",
            params.join(":"),
            alpha.unwrap_or_default(),
            aspect.0,
            aspect.1
        )
    }
}

fn fraction(text: &str) -> Option<(u64, u64)> {
    let (above, below) = text.trim_end_matches(',').split_once('/')?;
    let number = |text: &str| text.parse::<u32>().ok().map(u64::from);
    Some((number(above)?, number(below)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: &str = "[showinfo@afmpeg @ 0x1] [info] n:   0 pts:      0 pts_time:0 duration:512 duration_time:0.04 fmt:yuv420p \
                         cl:left sar:4/3 s:64x32 i:P iskey:1 type:I \n\
                         [showinfo@afmpeg @ 0x1] [info]   side data - H.26[45] User Data Unregistered SEI message: UUID=x\n\
                         [showinfo@afmpeg @ 0x1] [info] color_range:tv color_space:bt709 color_primaries:unknown color_trc:bt709\n";

    fn reader(text: &str) -> Reader {
        let mut reader = Reader::default();
        for part in text.as_bytes().chunks(7) {
            reader.push(part);
        }
        reader
    }

    #[test]
    fn what_encoders_have_to_know_is_taken_from_what_is_said() {
        let config = "[showinfo@afmpeg @ 0x1] [info] config in time_base: 1/12800, frame_rate: 25/1\n";
        let error = "[h264 @ 0x2] [error] bad\n[info] nothing\n[fatal] worse\n";
        let mut said = reader(&[config, FRAME, error, FRAME].concat());
        let known = said.known.clone().unwrap();
        let mut feed = Feed {
            feeder: Vec::new(),
            frames: 1,
            segment: Vec::new(),
            rate: None,
            is_constant: false,
            rate_part_max: u64::MAX,
        };
        assert_eq!(known.time_base(&feed), Ok((1, 25)));
        assert_eq!((known.time_base, known.rate), ((1, 12800), (25, 1)));
        assert_eq!(
            known.filters(),
            "setparams=field_mode=prog:range=tv:color_primaries=unknown:color_trc=bt709:colorspace=bt709:chroma_location=left,\
             setsar=sar=4/3:max=1000000"
        );
        said.check_end(&feed);
        assert_eq!(said.unfit, None);
        let mut long = reader(&[config, &FRAME.replace("duration:512 ", "duration:   5000 ")].concat());
        long.check_end(&feed);
        assert!(long.unfit.is_some());
        assert!(Known::default().time_base(&feed).is_err());
        feed.rate = Some((30000, 1001));
        assert_eq!(known.time_base(&feed), Ok((1001, 30000)));
        feed.rate_part_max = 20000;
        assert!(known.time_base(&feed).is_err());
        assert_eq!(said.unfit, None);
        assert_eq!(said.errors(), b"[h264 @ 0x2] bad\nworse\n");
    }

    #[test]
    fn what_raw_video_does_not_keep_is_told() {
        for (change, to, reason) in [
            ("i:P", "i:T", "change in the middle, at frame 2"),
            ("sar:4/3", "sar:1/1", "change in the middle"),
            (
                "H.26[45] User",
                "ATSC A53 Part 4 Closed Captions: User",
                "ATSC A53 Part 4 Closed Captions",
            ),
        ] {
            let said = reader(&[FRAME, &FRAME.replace(change, to)].concat());
            assert!(
                said.unfit.as_ref().is_some_and(|unfit| unfit.contains(reason)),
                "{said:?}"
            );
        }
        let said = reader(&FRAME.replace("yuv420p", "pal8"));
        assert!(said.unfit.unwrap().contains("pal8"));
        // What never ends takes no memory.
        assert!(reader(&"x".repeat(LINE_MAX_BYTES * 3)).line.len() <= LINE_MAX_BYTES);
    }
}
