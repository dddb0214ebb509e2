//! What a plan has to know of the input.

use super::whole::Whole;
use crate::probe::{MediaType, Probe, Rational, Stream};

/// An input, as its description and the index of its picture say.
#[derive(Clone, Debug)]
pub struct Source {
    pub probe: Probe,
    /// The index of the stream with the picture.
    pub picture: u32,
    pub time_base: Rational,
    /// In the order of decoding.
    pub packets: Vec<Packet>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// In units of the time base.
    pub time: i64,
    pub is_key: bool,
    pub size_bytes: u64,
    /// Decoded, but not shown, as the input says.
    pub is_discarded: bool,
}

impl Source {
    /// The arguments of ffprobe by which it prints what [`Source::new`] reads.
    pub fn index_args(of_input: &[String], picture: u32, input: &str) -> Vec<String> {
        let mut args: Vec<String> = [
            "-v",
            "error",
            "-show_entries",
            "packet=pts,size,flags",
            "-of",
            "csv=p=0",
        ]
        .map(str::to_owned)
        .into();
        args.extend(["-select_streams".to_owned(), picture.to_string()]);
        // ffprobe has no choice of decoders, and none reads packets.
        for pair in of_input.chunks(2) {
            if let [name @ ("-f" | "-probesize" | "-analyzeduration" | "-fflags"), value] =
                pair.iter().map(String::as_str).collect::<Vec<_>>()[..]
            {
                args.extend([name.to_owned(), value.to_owned()]);
            }
        }
        args.extend(["-i".to_owned(), input.to_owned()]);
        args
    }

    /// The one stream with moving pictures.
    pub fn picture_of(probe: &Probe) -> Result<u32, Whole> {
        let is_video = |stream: &&Stream| stream.codec_type == MediaType::Video;
        let mut pictures = probe
            .streams
            .iter()
            .filter(is_video)
            .filter(|stream| !stream.is_attached_picture());
        match (pictures.next(), pictures.next()) {
            (Some(picture), None) => Ok(picture.index),
            (None, _) => Err(Whole::new("the input has no video")),
            (Some(_), Some(_)) => Err(Whole::new("the input has several videos")),
        }
    }

    pub fn new(probe: Probe, picture: u32, index: &str) -> Result<Source, Whole> {
        let stream = probe.streams.iter().find(|stream| stream.index == picture);
        let time_base = stream.and_then(|stream| stream.time_base);
        let time_base = time_base.filter(|base| base.numerator > 0 && base.denominator > 0);
        let time_base = time_base.ok_or_else(|| Whole::new("the input's video has no time base"))?;
        let mut packets = Vec::new();
        for line in index.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let fields: Vec<&str> = line.split(',').collect();
            let [time, size, flags, ..] = fields[..] else {
                return Err(Whole::new("the index of the input's video is damaged"));
            };
            let time = time.parse().ok();
            packets.push(Packet {
                time: time.ok_or_else(|| Whole::new("not all packets of the input's video have a time"))?,
                is_key: flags.starts_with('K'),
                size_bytes: size.parse().unwrap_or_default(),
                is_discarded: flags.contains('D'),
            });
        }
        if packets.is_empty() {
            return Err(Whole::new("the input's video has no packets"));
        }
        Ok(Source {
            probe,
            picture,
            time_base,
            packets,
        })
    }

    /// The stream with the picture.
    pub fn picture(&self) -> Option<&Stream> {
        self.probe.streams.iter().find(|stream| stream.index == self.picture)
    }

    /// The time at which the input begins, in microseconds.
    pub fn start_us(&self) -> i64 {
        // ffprobe prints microseconds.
        (self.probe.format.start_time.unwrap_or(0.0) * 1e6).round() as i64
    }

    /// Microseconds in units of the time base, rounded as ffmpeg does.
    pub fn units(&self, us: i64) -> i64 {
        let base = self.time_base;
        scale(us, i128::from(base.denominator), i128::from(base.numerator) * 1_000_000)
    }

    /// A time in microseconds.
    pub fn microseconds(&self, time: i64) -> i64 {
        let base = self.time_base;
        scale(
            time,
            i128::from(base.numerator) * 1_000_000,
            i128::from(base.denominator),
        )
    }

    /// A time in seconds.
    pub fn seconds(&self, time: i64) -> f64 {
        time as f64 * self.time_base.numerator as f64 / self.time_base.denominator as f64
    }

    /// The times of all frames, in order.
    pub fn times(&self) -> Vec<i64> {
        let shown = self.packets.iter().filter(|packet| !packet.is_discarded);
        let mut times: Vec<i64> = shown.map(|packet| packet.time).collect();
        times.sort_unstable();
        times
    }

    /// Those of key frames, in order.
    pub fn keys(&self) -> Vec<i64> {
        let keys = self.packets.iter().filter(|packet| packet.is_key);
        let mut keys: Vec<i64> = keys.map(|packet| packet.time).collect();
        keys.sort_unstable();
        keys
    }

    /// Whether its format is one of these, as ffprobe names them.
    pub fn is(&self, formats: &[&str]) -> bool {
        let mut names = self.probe.format.format_name.split(',');
        names.any(|name| formats.contains(&name))
    }
}

/// A number times a fraction of positive numbers; halves are rounded away from zero.
fn scale(number: i64, numerator: i128, denominator: i128) -> i64 {
    let number = i128::from(number) * numerator;
    let half = denominator / 2;
    let rounded = match number >= 0 {
        true => (number + half) / denominator,
        false => -((half - number) / denominator),
    };
    i64::try_from(rounded).unwrap_or_default()
}
